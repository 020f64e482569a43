"""Checks of a bank's fields: each returns the field as it is used, or names what is wrong with it, and where."""

import sys
import unicodedata

import numpy as np
from jaxtyping import Float, Int

from simulate.validation import ConfigurationError

_LONGEST_NAME = 500
# Rows normalised at a time, so that no copy of all features in double precision is made.
_BLOCK_ENTRIES = 2**22
# Format characters that words of some scripts are written with: the zero-width joiner and non-joiner.
_JOINERS = "\u200c\u200d"


class Said:
    """What stands in an error message for a value that would be too long, or too little, to show."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


class ArrayText(Said):
    """An array in an error message: its shape and type, not its numbers."""

    def __init__(self, array: np.ndarray):
        super().__init__(f"{array.dtype} array of shape {array.shape}")


def unit_rows(field: str, value: object) -> Float[np.ndarray, "rows dim"]:
    """Rows of unit length in float32, from floats of any precision, byte order, memory layout and scale.

    Raises:
        ConfigurationError: for other than floats with two non-empty dimensions, and for a row that is not finite,
            is zero, or is so small that its own type holds fewer digits of it.
    """
    array = np.asarray(value)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
        raise ConfigurationError(
            field, ArrayText(array), "floats with two non-empty dimensions, one row each"
        )
    rows = np.empty(array.shape, np.float32)
    block = max(1, _BLOCK_ENTRIES // array.shape[1])
    for start in range(0, array.shape[0], block):
        piece = array[start : start + block]
        finite = np.isfinite(piece)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = Said(f"{piece[row, column]} in row {start + row}, column {column}")
            raise ConfigurationError(field, value, "finite in every entry")
        largest = np.abs(piece).max(axis=1, keepdims=True)
        if not largest.all():
            row = start + int(np.argmin(largest))
            raise ConfigurationError(field, Said(f"zero throughout row {row}"), "non-zero in every row")
        smallest = float(np.finfo(array.dtype).smallest_normal)
        if (largest < smallest).any():
            row = int(np.argmax(largest < smallest))
            value = Said(f"at most {float(largest[row, 0]):.3g} in size throughout row {start + row}")
            allowed = f"{smallest:.3g} or more somewhere in every row, below which {array.dtype} loses digits"
            raise ConfigurationError(field, value, allowed)
        # A power of two changes no digit; without it, float32 would overflow or underflow for rows of any scale.
        scaled = np.ldexp(piece, -np.frexp(largest)[1]) if array.dtype.itemsize > 2 else piece
        single = scaled.astype(np.float32)
        norms = np.linalg.norm(single.astype(np.float64), axis=1, keepdims=True)
        rows[start : start + block] = single / norms
    return rows


def checked_codes(field: str, value: object, images: int, count: int) -> Int[np.ndarray, " images"]:
    """One integer from 0 to ``count`` − 1 per image, as int32.

    Raises:
        ConfigurationError: for another shape or type, naming the first row that is out of range otherwise.
    """
    codes = np.asarray(value)
    if codes.shape != (images,) or codes.dtype.kind not in "iu":
        raise ConfigurationError(field, ArrayText(codes), f"one integer per image: ({images},)")
    outside = np.flatnonzero((codes < 0) | (codes >= count))
    if outside.size:
        row = outside[0]
        raise ConfigurationError(field, Said(f"{codes[row]} in row {row}"), f"integers from 0 to {count - 1}")
    return codes.astype(np.int32)


def checked_names(field: str, value: object, minimum: int) -> tuple[str, ...]:
    """At least ``minimum`` names that can be printed on a line.

    Raises:
        ConfigurationError: for fewer, and for one that is empty, too long, or has control characters or others
            that do not print.
    """
    if not isinstance(value, tuple | list) or len(value) < minimum:
        raise ConfigurationError(field, shortened(repr(value)), f"at least {minimum} names")
    for index, name in enumerate(value):
        where = f"entry {index}: {shortened(ascii(name))!r}"
        if not isinstance(name, str):
            raise ConfigurationError(field, Said(where), f"at least {minimum} names, all text")
        if not name.strip() or len(name) > _LONGEST_NAME or any(map(_unprintable, name)):
            raise ConfigurationError(
                field,
                Said(where),
                f"names of 1 to {_LONGEST_NAME} characters, without control characters or others that do not print",
            )
    return tuple(value)


def text_entries(field: str, array: np.ndarray) -> tuple[str, ...]:
    """The entries of an array of texts with at most one dimension.

    Raises:
        ConfigurationError: for an array of anything else, and for what is no text in Unicode.
    """
    if array.dtype.kind != "U" or array.ndim > 1 or array.size == 0:
        raise ConfigurationError(field, ArrayText(array), "a list of strings (dtype U)")
    texts = np.ascontiguousarray(np.atleast_1d(array), array.dtype.newbyteorder("="))
    # NumPy stores four bytes a character and does not ask whether they are one.
    wrong = np.flatnonzero((texts.view(np.uint32).reshape(texts.size, -1) > sys.maxunicode).any(axis=1))
    if wrong.size:
        raise ConfigurationError(
            field, Said(f"bytes that are no text in entry {wrong[0]}"), "text in Unicode"
        )
    return tuple(str(entry) for entry in texts)


def numbered_names(
    field: str, value: object, images: int, names: tuple[str, ...]
) -> tuple[tuple[str, ...], Int[np.ndarray, " images"]]:
    """Names and, for each image, the index of its name: from indices into the given names, or where there are none
    from integers or texts whose different values are the names.

    Raises:
        ConfigurationError: for anything else than one integer or text per image.
    """
    given = np.asarray(value)
    if names:
        return checked_names(f"{field}_names", names, 2), checked_codes(field, given, images, len(names))
    if given.shape != (images,) or given.dtype.kind not in "iuU":
        raise ConfigurationError(field, ArrayText(given), f"one integer or text per image: ({images},)")
    if given.dtype.kind == "U":
        text_entries(field, given)
    values, codes = np.unique(given, return_inverse=True)
    return checked_names(field, [str(each) for each in values], 2), codes.astype(np.int32)


def shortened(text: str, longest: int = 200) -> str:
    """A text on one line, cut where it is longer than an error message should be.

    Example:
        >>> shortened("two\\nlines"), shortened("abcdef", 3)
        ('two lines', 'abc…')
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else line[:longest] + "…"


def printable(name: str) -> str:
    """A file's name as it is, or with escapes where it would not print on a line.

    Example:
        >>> printable("bank.npz"), printable("two\\nlines")
        ('bank.npz', "'two\\\\nlines'")
    """
    return name if name.isprintable() else ascii(name)


def _unprintable(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Zl", "Zp") or (category[0] == "C" and character not in _JOINERS)
