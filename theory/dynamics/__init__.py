"""How margins and coefficients develop in training (T8 to T14, T25)."""
