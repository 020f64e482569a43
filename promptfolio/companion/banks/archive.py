"""Read the arrays of an .npz archive that nobody vouches for: what each member declares is checked against the file
and the machine before any memory is taken for it, and nothing is unpickled."""

import difflib
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from promptfolio.companion.banks.checks import Said, printable, shortened
from simulate.running.memory import machine_memory
from simulate.validation import ConfigurationError

_SUFFIX = ".npy"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x41
_FORMATS = {b"\x93NUMPY": "a single array", b"\x89HDF": "an HDF5 file", b"\x80": "a pickle"}
_ALLOWED = "a readable .npz archive of plain arrays (no pickles)"
_UNKNOWN_MEMORY = 2**33
# An array is converted to float32 beside the one that is read.
_CONVERTED_BYTES = 4
_MEMORY_SHARE = 0.5
# Features hardly compress. Labels in order do, by up to the thousandfold that DEFLATE allows, but are small.
_LARGE, _LARGEST_RATIO = 2**28, 200


def read_arrays(
    path: str, required: Collection[str], known: Collection[str], ignored: Collection[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read the arrays of an .npz archive by their keys.

    Args:
        path: a regular file.
        required: keys that the archive must have.
        known: further keys to read where the archive has them.
        ignored: keys that the archive may have but that are not read.

    Returns:
        The arrays, as stored; and the ignored keys that the archive has.

    Raises:
        ConfigurationError: naming the file and, where there is one, the key: for what is no such archive, is
            damaged, encrypted or compressed in another way than NumPy's, has keys that are not among these or occur
            twice, lacks required ones, or declares arrays that its bytes cannot hold or that would take more than
            half of the memory.
    """
    shown = printable(path)
    with _one_line(shown), _opened(path, shown) as stream, zipfile.ZipFile(stream) as archive:
        size = os.fstat(stream.fileno()).st_size
        members = _members(shown, archive, {*required, *known, *ignored}, size)
        for key in required:
            if key not in members:
                raise ConfigurationError(
                    f"{shown}[{key}]",
                    None,
                    "present; the file has " + shortened(", ".join(members) or "no array"),
                )
        wanted = {key: member for key, member in members.items() if key not in ignored}
        needed = 0
        for key, member in wanted.items():
            with _one_line(f"{shown}[{key}]"):
                needed += _declared_bytes(f"{shown}[{key}]", archive, member)
        limit = int((machine_memory() or _UNKNOWN_MEMORY) * _MEMORY_SHARE)
        if needed > limit:
            raise ConfigurationError(
                shown,
                Said(f"arrays that take {needed:,} bytes"),
                f"arrays that take at most {limit:,} bytes here",
            )
        arrays = {}
        for key, member in wanted.items():
            with _one_line(f"{shown}[{key}]"), archive.open(member) as content:
                arrays[key] = np.lib.format.read_array(content, allow_pickle=False)
    return arrays, tuple(key for key in members if key in ignored)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Turn whatever the libraries raise on hostile bytes into one error that names the file and the key."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2 are read, with a warning
            yield
    except ConfigurationError:
        raise
    # zipfile, zlib and the parsers behind NumPy's headers document no complete list: errors of reading, decoding,
    # syntax, recursion, overflow and memory have all been seen.
    except Exception as error:
        said = shortened(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        raise ConfigurationError(where, Said(said), _ALLOWED) from None


@contextmanager
def _opened(path: str, shown: str) -> Iterator[BinaryIO]:
    """The file, once it is known to be a regular one: opening a pipe would wait, and a device may never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ConfigurationError(shown, Said("a folder, a pipe or a device"), _ALLOWED)
    with open(path, "rb") as stream:
        start = stream.read(6)
        if not start.startswith(b"PK"):
            other = "another kind of file" if start else "an empty file"
            kind = next((kind for magic, kind in _FORMATS.items() if start.startswith(magic)), other)
            raise ConfigurationError(shown, Said(kind), _ALLOWED)
        stream.seek(0)
        yield stream


def _members(
    shown: str, archive: zipfile.ZipFile, keys: Collection[str], size: int
) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive of ``size`` bytes by their keys, each known, unencrypted and compressed as NumPy
    does it."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(_SUFFIX)
        if key not in keys or not member.filename.endswith(_SUFFIX):
            nearest = difflib.get_close_matches(key[:100], sorted(keys), 1, 0.7)
            raise ConfigurationError(
                shown,
                Said(f"an archive with the key {shortened(ascii(key))}"),
                f"an archive of arrays named {', '.join(sorted(keys))}"
                + (f" (the nearest is {nearest[0]})" if nearest else ""),
            )
        where = f"{shown}[{key}]"
        if key in members:
            raise ConfigurationError(where, Said("twice in the archive"), "there once")
        if member.flag_bits & _ENCRYPTED:
            raise ConfigurationError(where, Said("encrypted"), _ALLOWED)
        if member.compress_type not in _METHODS:
            method = Said(f"compressed by method {member.compress_type}")
            raise ConfigurationError(where, method, "stored (method 0) or deflated (method 8), as NumPy does")
        if member.compress_size > size:
            raise ConfigurationError(
                where, Said(f"{member.compress_size:,} packed bytes"), f"within the file's {size:,}"
            )
        members[key] = member
    return members


def _declared_bytes(where: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Bytes of memory that an array takes once it is read and converted, by its header alone."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with archive.open(member) as content:
        version = np.lib.format.read_magic(content)
        if version not in readers:
            raise ConfigurationError(
                where, Said(f"in version {version} of the .npy format"), "in version 1.0 or 2.0"
            )
        shape, _, dtype = readers[version](content)
        held = member.file_size - content.tell()
    described = Said(shortened(f"{dtype} array of shape {shape}"))
    if dtype.hasobject or dtype.kind == "V" or dtype.itemsize == 0:
        raise ConfigurationError(
            where, described, "an array of plain numbers or texts, not of objects or records"
        )
    entries = math.prod(shape)
    if min(shape, default=0) < 0 or entries * dtype.itemsize != held:
        raise ConfigurationError(
            where, described, f"an array of the {held:,} bytes that the file holds for it"
        )
    if member.file_size > max(_LARGE, _LARGEST_RATIO * member.compress_size):
        raise ConfigurationError(
            where,
            Said(f"{member.compress_size:,} bytes that unpack to {member.file_size:,}"),
            f"packed by a factor of at most {_LARGEST_RATIO}",
        )
    return entries * (dtype.itemsize + _CONVERTED_BYTES)
