"""Training with every row of the text encoder at hand: what the prompt and the coefficient engine share."""
