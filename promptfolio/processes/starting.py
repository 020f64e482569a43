"""How a process of this toolkit starts sooner: a second of loading that no result needs is left out.

For processes that are this toolkit's own; a program that imports it decides for itself.
"""

import gc
import importlib.util
import sys

_OBJECTS = 500_000


def collect_rarely() -> None:
    """Have Python look for cycles of garbage after half a million new objects, not after every 700.

    Libraries load about as many, and none of them is garbage: looking for it took a tenth of a short command.
    """
    gc.set_threshold(_OBJECTS, 10, 10)


def spare_dask() -> None:
    """Import xarray and have it find no dask in this process, unless one is loaded; it computes as before.

    Where dask is installed, xarray loads its core when it is itself imported, and all of it for the first array it
    is given, to see whether that is one of dask's. Dask can still be imported afterwards; an array of its own is
    then computed when xarray is given it.
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
