"""Results as files: one netCDF file each, of this version or an earlier one."""

import os
import pathlib

import xarray as xr

from simulate.experiment import Experiment
from simulate.former_names import VARIABLES
from simulate.results.files import write_bytes
from simulate.results.netcdf import dataset_bytes, read_dataset
from simulate.results.provenance import refuse_later_format


def save_result(path: str | os.PathLike[str], result: xr.Dataset) -> None:
    """Write a result as one netCDF file with a checksum, whole or not at all.

    Raises:
        OSError: when the file cannot be written.
    """
    write_bytes(pathlib.Path(path), dataset_bytes(result))


def load_result(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the result of `simulate.run` from a file, under the names of this version.

    Names of an earlier version (`simulate.former_names`) are replaced, in the variables and in the attribute
    `experiment`; the attribute `versions` still says what computed the result. A file of version 0.1.0 has no
    checksum, which a notice says (`simulate.results.notices`).

    Raises:
        OSError: naming the file, when it cannot be read, or its bytes are not those that were written.
        ConfigurationError: when a later version wrote it, which is named.
    """
    try:
        result = read_dataset(path)
    except OSError as error:
        name = os.fspath(path)
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
    refuse_later_format(path, result.attrs)
    renamed = {old: new for old, new in VARIABLES.items() if old in result and new not in result}
    result = result.rename(renamed)
    if isinstance(text := result.attrs.get("experiment"), str):
        result.attrs["experiment"] = Experiment.from_json(text).to_json()
    return result
