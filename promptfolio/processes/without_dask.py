"""Spare a process of this toolkit the loading of dask, half a second that none of its results needs.

Where dask is installed, xarray loads its core when it is itself imported, and all of it for the first array it is
given, to see whether that is one of dask's.
"""

import importlib.util
import sys


def spare_dask() -> None:
    """Import xarray and have it find no dask in this process, unless one is loaded; it computes as before.

    For processes that are this toolkit's own: elsewhere somebody may want to give xarray arrays of dask's. Dask
    itself can still be imported; such an array is then computed when xarray is given it.
    """
    if {"dask", "xarray"} & set(sys.modules) or importlib.util.find_spec("dask") is None:
        return
    sys.modules["dask"] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    try:
        import numpy as np
        import xarray as xr

        xr.Variable("x", np.zeros(1)).mean()  # xarray looks for it once
    finally:
        del sys.modules["dask"]
