"""Files that say whether they are whole: a last line with a checksum of all bytes before it.

HDF5 and everything built on it ignores what follows a file's own end, so such a file is still a plain netCDF file.
It must be checked before HDF5 opens it: a damaged file can give wrong numbers, or keep HDF5 in a loop for ever.
"""

import hashlib
import os
import pathlib
import stat

_MARK = b"\npromptfolio: SHA-256 of all bytes before this line: "
_LINE = len(_MARK) + 64 + 1

_HDF5 = b"\x89HDF\r\n\x1a\n"
_SEALED_SUPERBLOCK = 3
"""Version of HDF5's first block in files that we seal; those that were written before, and other programs' netCDF
files, have a lower one. So a file of ours that has lost its last line is not taken for an old one."""


class DamagedFileError(OSError):
    """The bytes of a file are not those that were written."""


def seal(content: bytes) -> bytes:
    """A file's content with the line that says whether it is whole.

    Example:
        >>> unseal(seal(b"12345"))
        b'12345'
    """
    return content + _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def unseal(content: bytes) -> bytes | None:
    """The content without its last line, if it is what was sealed; None for a file that never was.

    Raises:
        DamagedFileError: when anything of it has changed.
    """
    body, line = content[:-_LINE], content[-_LINE:]
    if seal(body) == content:
        return body
    if _MARK in content or line.startswith(_MARK):
        raise DamagedFileError("damaged: its bytes do not match its checksum")
    if not content:
        raise DamagedFileError("damaged: it is empty")
    if not content.startswith(_HDF5):
        raise DamagedFileError("damaged, or no netCDF-4 file: it does not begin like one")
    if content[len(_HDF5) : len(_HDF5) + 1] >= bytes([_SEALED_SUPERBLOCK]):
        raise DamagedFileError("damaged: the checksum at its end is missing")
    return None


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file, which must be a regular one: others (a pipe, say) might never end.

    Raises:
        OSError: when it cannot be read, or is no regular file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")
    return pathlib.Path(path).read_bytes()
