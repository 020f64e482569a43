"""Write files whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
    """Write a file by writing a temporary one beside it, then renaming that in one step.

    The temporary file is hidden and named by `temporary_prefix`; only a process that is killed leaves it behind.
    Its content is on the disk before it gets its name, so a power cut cannot leave an empty file in place.

    Args:
        path: of the file; missing folders are made.
        write: called with the temporary path, which it fills.

    Raises:
        OSError: when the file cannot be written; what stood there before is untouched.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(pathlib.Path(folder, "deep", "x.txt"), lambda path: path.write_text("whole"))
        ...     [(path.name, path.read_text()) for path in pathlib.Path(folder, "deep").iterdir()]
        [('x.txt', 'whole')]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as temporary:
        write(temporary)
        _flush(temporary)
        os.replace(temporary, path)


def temporary_prefix(path: pathlib.Path) -> str:
    """How the names of a file's temporary files begin.

    Example:
        >>> temporary_prefix(pathlib.Path("out/run.nc"))
        '.run-'
    """
    return f".{path.stem}-"


@contextlib.contextmanager
def _temporary(path: pathlib.Path) -> Iterator[pathlib.Path]:
    # The suffix stays: it tells Matplotlib the format.
    handle, name = tempfile.mkstemp(prefix=temporary_prefix(path), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: pathlib.Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
