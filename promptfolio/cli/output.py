"""Output files: paths are checked before work starts, and files are written completely or not at all."""

import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from simulate.results import files
from simulate.results.finiteness import NonFiniteError
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

STANDARD_OUTPUT = "-"

ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "ratio": "R is infinite: no noise was memorised",
        "theta_empirical": "all θ are equally good",
        "theta_low": "one seed gives no interval",
        "theta_high": "one seed gives no interval",
        "training_rate": "the run was too short to tell training apart",
    }
)
"""Numbers that need not exist, by their names in JSON, and what their null says."""


def require_writable_folder(field: str, path: str | None) -> None:
    """Refuse a folder that cannot be written or created, before any work is done; nothing is created yet.

    Args:
        field: name of the option, for the message.
        path: the folder; None, for no output, is allowed.

    Raises:
        ConfigurationError: when the nearest existing parent is no folder, or not writable.
    """
    if path is None:
        return
    nearest = pathlib.Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ConfigurationError(field, path, f"in a folder that can be written ({nearest} cannot)")


def require_writable_file(field: str, path: str | None) -> None:
    """Refuse a file that cannot be written, as `require_writable_folder` does; a folder is no file."""
    if path is None:
        return
    if pathlib.Path(path).is_dir():
        raise ConfigurationError(field, path, "a file's path, and this is a folder")
    require_writable_folder(field, str(pathlib.Path(path).parent))


def require_json_target(path: str | None) -> None:
    """Refuse a ``--json`` that is neither a writable file nor ``-`` for standard output."""
    if path != STANDARD_OUTPUT:
        require_writable_file("json", path)


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], None]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then put it in place in one step.

    Raises:
        ConfigurationError: when the file cannot be written; what stood there before is untouched.
    """
    try:
        files.write_atomically(path, write)
    except OSError as error:
        raise ConfigurationError("output", str(path), f"writable ({error.strerror or error})") from None


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""

    def write(temporary: pathlib.Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def write_dataset(path: pathlib.Path, data: "xr.Dataset") -> None:
    """Write a dataset as one netCDF file, atomically."""
    write_atomically(path, lambda temporary: data.to_netcdf(temporary, engine="h5netcdf"))


def write_figure(folder: pathlib.Path, name: str, figure: "Figure") -> None:
    """Write a figure as PNG and as vector PDF, each atomically, both free of dates so that reruns are equal."""
    from figures.style import in_style

    with in_style():
        write_atomically(
            folder / f"{name}.png", lambda path: figure.savefig(path, metadata={"Software": None})
        )
        write_atomically(
            folder / f"{name}.pdf", lambda path: figure.savefig(path, metadata={"CreationDate": None})
        )


def emit_json(path: str | None, content: Any) -> None:
    """Write ``content`` as JSON to a file, or to standard output for ``-``; None writes nothing.

    Null stands for a number that does not exist (`ABSENT`), and in the record of a claim, beside its verdict, for
    one that could not be measured.

    Raises:
        NonFiniteError: any other number is not finite.
    """
    if path is None:
        return
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        write_text(pathlib.Path(path), text)


def _finite(content: Any, name: str = "", judged: bool = False) -> Any:
    """The content with null for numbers that may be absent; ``name`` is where it stands, as a.b[0].c."""
    if isinstance(content, dict):
        judged = judged or "verdict" in content
        dot = "." if name else ""
        return {key: _finite(value, f"{name}{dot}{key}", judged) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value, f"{name}[{index}]", judged) for index, value in enumerate(content)]
    if not isinstance(content, float) or math.isfinite(content):
        return content
    if judged or name.rpartition(".")[2] in ABSENT:
        return None
    raise NonFiniteError(
        f"{name} = {content:g} for JSON", None, None, "a result that should have been refused"
    )
