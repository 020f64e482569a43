"""Where output goes: JSON to standard output or a file, everything to a file whole or not at all."""

import contextlib
import io
import json
import math
import os
import pathlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from simulate.results import files
from simulate.results.finiteness import NonFiniteError
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from figures.options import Options

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


def write_file(path: pathlib.Path, content: bytes) -> None:
    """Write a file, whole or not at all: the one function that every output goes through.

    Raises:
        ConfigurationError: when the file cannot be written; what stood there before is untouched.
    """
    try:
        files.write_bytes(path, content)
    except OSError as error:
        raise ConfigurationError("output", str(path), f"writable ({error.strerror or error})") from None


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text file in UTF-8, as `write_file` does."""
    write_file(path, text.encode())


def write_dataset(path: pathlib.Path, data: "xr.Dataset") -> None:
    """Write a dataset as one netCDF file with a checksum, as `write_file` does.

    Versions and commit are added to its attributes where they are missing.
    """
    from simulate.results.netcdf import dataset_bytes
    from simulate.results.provenance import provenance

    write_file(path, dataset_bytes(data.assign_attrs({**provenance(), **data.attrs})))


_DATED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"png": ("Software", "Description"), "pdf": ("CreationDate", "Subject"), "svg": ("Date", "Description")}
)
"""Formats of figures, each with what differs between reruns in it, and where a caption has its place."""
FIGURE_ENDINGS = tuple(f".{name}" for name in _DATED)


def write_figure(folder: pathlib.Path, name: str, figure: "Figure") -> None:
    """Write a figure as PNG and as vector PDF, as `write_picture` does."""
    for ending in ("png", "pdf"):
        write_picture(folder / f"{name}.{ending}", figure)


def write_picture(
    path: pathlib.Path, figure: "Figure", caption: str = "", options: "Options | None" = None
) -> None:
    """Write a figure in the format of the path's ending, as `write_file` does, free of dates so that reruns are
    equal.

    Args:
        path: ends in one of `FIGURE_ENDINGS`.
        figure: what to write.
        caption: stored in the file.
        options: with which it was drawn.
    """
    from figures.style import in_style

    ending = path.suffix.lower().removeprefix(".")
    dated, described = _DATED[ending]
    buffer = io.BytesIO()
    with in_style(options):
        figure.savefig(
            buffer, format=ending, metadata={dated: None, **({described: caption} if caption else {})}
        )
    write_file(path, buffer.getvalue())


def write_standard_output(text: str) -> None:
    """Write text to standard output, all of it.

    Raises:
        ConfigurationError: when it cannot be written, to a full disk for instance.
        BrokenPipeError: when what reads it has ended.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer would be tried again, and complained about, when Python ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConfigurationError("output", STANDARD_OUTPUT, f"writable ({error.strerror or error})") from None


def emit_json(path: str | None, content: Any) -> None:
    """Write ``content`` as JSON to a file, or to standard output for ``-``; None writes nothing.

    Null stands for a number that does not exist (`ABSENT`), and in the record of a claim, beside its verdict, for
    one that could not be measured.

    Raises:
        NonFiniteError: any other number is not finite.
    """
    if path is None:
        return
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8") if path == STANDARD_OUTPUT else "utf-8"
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        # JSON can say every character in ASCII: those that the encoding lacks, and bytes of paths that are no text.
        text = json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        write_standard_output(text)
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
