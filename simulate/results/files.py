"""Write files whole or not at all."""

import contextlib
import errno
import functools
import hashlib
import os
import pathlib
import platform
import re
import secrets
import time

_HOUR = 3600.0
_OLD = 24 * _HOUR
_TEMPORARY = re.compile(r"\.promptfolio-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.tmp")
# What file systems answer that cannot flush a folder.
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM}


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Write a file by writing a temporary one beside it, then renaming that in one step.

    The content is on the disk before it gets its name, and the name is on the disk when this returns, so neither
    a full disk nor a power cut leaves half a file in place. Only a process that is killed leaves its temporary
    file, which the next one to write into the folder removes (`remove_leftovers`).

    Args:
        path: of the file; missing folders are made.
        content: of the file, all of it.

    Raises:
        OSError: when the file cannot be written; what stood there before is untouched.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(pathlib.Path(folder, "deep", "x.txt"), b"whole")
        ...     [(path.name, path.read_text()) for path in pathlib.Path(folder, "deep").iterdir()]
        [('x.txt', 'whole')]
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers_once(folder)
    temporary = folder / temporary_name()
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # Also when a signal ends the command. After a failure, the reason is worth more than this one's.
        with contextlib.suppress(OSError):
            temporary.unlink()
    _flush_folder(folder)


def temporary_name() -> str:
    """A new name for a temporary file: hidden, and with the machine and the process that it belongs to.

    Example:
        >>> bool(_TEMPORARY.fullmatch(temporary_name()))
        True
    """
    return f".promptfolio-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove temporary files that processes have left which were killed.

    Only names of `temporary_name` count, older than an hour and of a process of this machine that is gone; or older
    than a day, since process numbers are given out again, and those of another machine cannot be looked up.
    A file that cannot be removed stays.
    """
    try:
        with os.scandir(folder) as entries:
            named = [(entry, found) for entry in entries if (found := _TEMPORARY.fullmatch(entry.name))]
    except OSError:
        return
    for entry, found in named:
        with contextlib.suppress(OSError):
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if age > _OLD or (
                age > _HOUR and found["machine"] == _machine() and not _alive(int(found["process"]))
            ):
                os.unlink(entry.path)


@functools.lru_cache(maxsize=64)
def _remove_leftovers_once(folder: pathlib.Path) -> None:
    remove_leftovers(folder)


@functools.cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:8]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 asks only
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _flush_folder(folder: pathlib.Path) -> None:
    """Have a folder's list of names on the disk, where the file system can do that."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
