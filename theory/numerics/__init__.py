"""Validation of arguments, the best place of a curve, maximisation over θ, certificates."""
