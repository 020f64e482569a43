"""Notices that travel with a result: choices made for its user, and what makes its numbers mean less than they
seem to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr

_ATTRIBUTE = "notices"


def with_notices(data: xr.Dataset, notices: Iterable[str]) -> xr.Dataset:
    """A dataset with further notices in its attribute ``notices``, a JSON list of sentences without repeats.

    Example:
        >>> noted = with_notices(xr.Dataset(), ["one seed: no spread", "one seed: no spread"])
        >>> notices_of(noted.attrs)
        ['one seed: no spread']
    """
    every = dict.fromkeys([*notices_of(data.attrs), *notices])
    return data.assign_attrs({_ATTRIBUTE: json.dumps(list(every), ensure_ascii=False)})


def notices_of(attributes: Mapping[str, Any]) -> list[str]:
    """The notices in a dataset's attributes, in order; none where the file holds none.

    Raises:
        ValueError: the attribute is something else than a JSON list of texts.
    """
    text = attributes.get(_ATTRIBUTE, "[]")
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"attribute {_ATTRIBUTE} = {str(text)[:80]!r}; allowed: a JSON list of texts")
    return found
