"""Open a netCDF file without a checksum where it does no harm: HDF5 may crash on a damaged one, or never return."""

import json
import os
import subprocess
import sys

from simulate.results.sealed import DamagedFileError
from simulate.running.parent import die_with_parent

SECONDS = 60.0
"""Time that opening a file may take."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from simulate.results.unsealed import main; main(int(sys.argv[2]), sys.argv[3])"
)


def copy_sealed(path: str) -> bytes:
    """A copy of a netCDF file, with a checksum, made by another process.

    Raises:
        OSError: when it cannot be opened, or not within `SECONDS`.
    """
    folders = json.dumps([os.path.abspath(each) for each in sys.path])
    command = [sys.executable, "-I", "-c", _PROGRAM, folders, str(os.getpid()), path]
    try:
        # Its complaints, a crash's in particular, are for nobody to read.
        answer = subprocess.run(
            command,
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


def main(parent: int, path: str) -> None:
    """What the other process does: write a copy of the file to standard output.

    It ends with its parent: who is killed cannot end it, and HDF5 may never return.

    Args:
        parent: number of the process that started this one.
        path: of the file.
    """
    die_with_parent(parent)
    import xarray as xr

    from simulate.results.netcdf import dataset_bytes

    content = dataset_bytes(xr.load_dataset(path, engine="h5netcdf"))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
