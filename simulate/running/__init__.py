"""Running experiments: batches, devices, compilation."""
