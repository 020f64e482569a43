"""Largest acceptable relative difference between two computations of the same number, by precision.

Each is a few hundred roundings: what tens of training steps accumulate when sums run in another order.
"""

RELATIVE = {"float64": 1e-9, "float32": 1e-4}
