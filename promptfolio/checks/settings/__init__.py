"""Settings that several claims share, in the theory's own units."""
