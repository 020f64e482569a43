"""Ways to train the model: prompts in R^d, coefficients, the samples' Gram matrix."""
