"""Open a netCDF file without a checksum where it does no harm: HDF5 may crash on a damaged one, or never return."""

import json
import os
import subprocess
import sys

from simulate.results.sealed import DamagedFileError

SECONDS = 60.0
"""Time that opening a file may take."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from simulate.results.unsealed import main; main(sys.argv[2])"
)


def copy_sealed(path: str) -> bytes:
    """A copy of a netCDF file, with a checksum, made by another process.

    Raises:
        OSError: when it cannot be opened, or not within `SECONDS`.
    """
    command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps([os.path.abspath(each) for each in sys.path])]
    try:
        # Its complaints, a crash's in particular, are for nobody to read.
        answer = subprocess.run(
            [*command, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DamagedFileError(f"damaged: opening it takes more than {SECONDS:g} seconds") from None
    if answer.returncode != 0 or not answer.stdout:
        raise DamagedFileError("damaged: it cannot be opened as a netCDF-4 file")
    return answer.stdout


def main(path: str) -> None:
    """What the other process does: write a copy of the file to standard output."""
    import xarray as xr

    from simulate.results.netcdf import dataset_bytes

    content = dataset_bytes(xr.load_dataset(path, engine="h5netcdf"))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
