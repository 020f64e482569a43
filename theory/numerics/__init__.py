"""Validation of arguments, maximisation over θ, certificates."""
