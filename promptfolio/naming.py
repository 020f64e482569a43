"""Names of files by their content, so that no result overwrites another one."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_DIGITS = 16
_LONGEST = 40


def content_name(readable: str, content: Mapping[str, Any]) -> str:
    """A file's name without its ending: something to read, and 64 bits of SHA-256 of all that the file depends on.

    Letters, digits, points, underscores and dashes of the readable part are kept, other characters become dashes.
    The order of keys and whether a whole number is written 5 or 5.0 make no difference.

    Args:
        readable: for example a command and the name of what it was run on.
        content: what JSON can hold.

    Example:
        >>> content_name("clip my bank", {"rounds": 5, "beta": 1.0})
        'clip-my-bank-dd2b995747fbbfc0'
        >>> content_name("clip my bank", {"beta": 1, "rounds": 5.0}) == _
        True
    """
    text = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
    shown = re.sub(r"[^\w.-]+", "-", readable, flags=re.ASCII).strip("-.")[:_LONGEST]
    return f"{shown}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(entry) for entry in value]
    # Whole numbers as integers, since integers beyond 2^53 have no float of their own.
    return int(value) if isinstance(value, float) and value.is_integer() else value
