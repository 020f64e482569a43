"""Derivations that verify themselves: steps, symbols, notation, typesetting, the catalogue of results."""
