"""Where output goes: JSON to standard output or a file, everything to a file whole or not at all."""

import contextlib
import io
import json
import math
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from simulate.results import files
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

STANDARD_OUTPUT = "-"


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


def write_figure(folder: pathlib.Path, name: str, figure: "Figure") -> None:
    """Write a figure as PNG and as vector PDF, as `write_file` does, free of dates so that reruns are equal."""
    from figures.style import in_style

    with in_style():
        for ending, dated in (("png", "Software"), ("pdf", "CreationDate")):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, metadata={dated: None})
            write_file(folder / f"{name}.{ending}", buffer.getvalue())


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

    Numbers JSON cannot hold (NaN, infinities) become null.
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


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
