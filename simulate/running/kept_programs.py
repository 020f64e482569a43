"""A folder of compiled programs that outlive a process: whole entries only, and no more than so many bytes.

JAX asks for a program by its key, a digest of all that it was compiled from: the program itself, the options and
versions of the compiler, and the kind of device. Its own store writes entries in place and does not check them, so
that a process that is killed leaves half a program, and a damaged disk other numbers. Here an entry is written
beside its place and renamed, and is read only if it has the digest that it was written with.
"""

import contextlib
import hashlib
import os
import pathlib
import threading

from simulate.results.files import remove_leftovers, temporary_name

LARGEST = 2**28
"""Bytes of a folder beyond which the programs that were not asked for longest are removed."""
_KEPT_SHARE = 0.75
_LOOK_EVERY = 2**24
_DIGEST = hashlib.sha256().digest_size
_SUFFIX = ".program"


class KeptPrograms:
    """The programs of one folder, as JAX's compilation cache asks for them; processes and threads may share it.

    Nothing here raises: a program that cannot be read is compiled again, and one that cannot be written is not
    kept.

    Args:
        folder: made with the first program, for its owner alone.
        machine: what the programs are compiled for beyond their key; those of another are not found.
        largest: bytes that it may hold; a little more for as long as several processes write.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     programs = KeptPrograms(folder)
        ...     programs.put("f-12", b"code")
        ...     programs.get("f-12"), programs.get("g-34")
        (b'code', None)
    """

    def __init__(self, folder: str | os.PathLike[str], machine: str = "", largest: int = LARGEST):
        self._path = pathlib.Path(folder)  # JAX reads this name
        self._machine = machine
        self._largest = largest
        self._written_since: int | None = None
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The program of a key; None if there is none, or what is there is not what was written."""
        path = self._path_of(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        program = content[_DIGEST:]
        if content[:_DIGEST] != _digest(path.name, program):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # by which the oldest are found
        return program

    def put(self, key: str, program: bytes) -> None:
        """Keep a program."""
        temporary, path = self._path / temporary_name(), self._path_of(key)
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not flushed to the disk: what a power cut tears apart does not have its digest.
            temporary.write_bytes(_digest(path.name, program) + program)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            return
        self._look(len(program))

    def _path_of(self, key: str) -> pathlib.Path:
        return self._path / f"{key}-{self._machine}{_SUFFIX}"

    def _look(self, written: int) -> None:
        """Remove programs when there are too many, looking at the first one written and then now and then."""
        with self._lock:
            if self._written_since is not None and self._written_since + written < _LOOK_EVERY:
                self._written_since += written
                return
            self._written_since = 0
        remove_leftovers(self._path)
        found = []
        with contextlib.suppress(OSError), os.scandir(self._path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # another process may remove it meanwhile
                    if entry.name.endswith(_SUFFIX):
                        about = entry.stat(follow_symlinks=False)
                        found.append((about.st_mtime, about.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        if total <= self._largest:
            return
        for _, size, path in sorted(found):
            if total <= _KEPT_SHARE * self._largest:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size


def _digest(name: str, program: bytes) -> bytes:
    """Of the program and of its name, so that one under another's name is not taken for it."""
    return hashlib.sha256(name.encode() + b"\0" + program).digest()
