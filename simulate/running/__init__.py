"""Running an experiment: batches, threads and devices, compilation; `run` is in `simulate.running.runner`."""
