"""Training in the space of samples."""
