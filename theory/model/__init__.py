"""The model (T1 to T7): features, encoder, loss, decomposition, update rule, aggregation, accuracy."""
