"""Processes: how a command ends, the processes that it starts, and jobs that run in them.

Nothing here imports JAX, SymPy or Dask; `ending` and `children` load in milliseconds, before anything else does.
"""
