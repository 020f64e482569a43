"""Training in the space of samples: the Gram engine."""
