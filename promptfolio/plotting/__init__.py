"""Results made ready for pictures: files read and joined, best θ found, predictions put beside measurements."""
