"""Temporary folders that only their owner can read, and that go when the command ends, however it is ended."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from promptfolio.processes.ending import cleaned_up


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[pathlib.Path]:
    """Context with a new, empty folder, which is removed at its end.

    Example:
        >>> with scratch_folder("compiled-") as folder:
        ...     folder.stat().st_mode & 0o77
        0
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    with cleaned_up(lambda: shutil.rmtree(path, ignore_errors=True)):
        yield path
