"""Datasets as netCDF files that carry a checksum, and back."""

import functools
import io
import os
from typing import Any

import h5netcdf
import h5py
import xarray as xr

from simulate.results.notices import with_notices
from simulate.results.sealed import read_regular, seal, unseal
from simulate.results.unsealed import copy_sealed

_LIBRARY = "v110"
"""Version of HDF5 whose format is written, which any later one reads: the first with `sealed`'s superblock."""


def dataset_bytes(data: xr.Dataset) -> bytes:
    """A dataset as the content of a netCDF file, with the checksum at its end.

    It is made in memory, since HDF5 crashes on a disk that becomes full.
    """
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w", libver=_LIBRARY) as file:
        data.dump_to_store(xr.backends.H5NetCDFStore(file))
    return seal(buffer.getvalue())


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a file of `dataset_bytes`, or one without a checksum, into memory.

    A file without one (of an earlier version, or of another program) is opened in a process of its own first, with
    a time limit, and the dataset has a notice that damage to it would not be noticed.

    Raises:
        OSError: when the file cannot be read, or is damaged; nothing of a damaged file is opened.
    """
    content, verified = _content(path)
    data = xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
    if verified:
        return data
    return with_notices(data, [f"{os.fspath(path)} has no checksum: damage to it would not be noticed"])


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The attributes of such a file, without its numbers; all of its bytes are checked nevertheless.

    Raises:
        OSError: as `read_dataset`.
    """
    content, _ = _content(path)
    with h5py.File(io.BytesIO(content), "r") as file:
        return dict(file.attrs)


def _content(path: str | os.PathLike[str]) -> tuple[bytes, bool]:
    """A file's content as HDF5 may have it, and whether a checksum of its own says that it is whole."""
    content = unseal(read_regular(path))
    if content is not None:
        return content, True
    status = os.stat(path)
    return _copy(os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns), False


@functools.lru_cache(maxsize=4)  # its attributes are read first, then its numbers
def _copy(path: str, *identity: int) -> bytes:
    content = unseal(copy_sealed(path))
    assert content is not None, "a copy is sealed"
    return content
