"""Read a bank from an .npz file."""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from promptfolio.companion.banks.archive import read_arrays
from promptfolio.companion.banks.checks import ArrayText, Said, printable, text_entries
from promptfolio.companion.banks.feature_bank import FeatureBank
from simulate.validation import ConfigurationError

REQUIRED = ("image_features", "labels", "split", "split_names", "class_names", "backbone")
OPTIONAL = ("text_features", "synthetic", "client", "client_names")
IGNORED = (
    "text_source",
    "original_label",
    "domain",
    "domain_names",
    "source",
    "licence",
    "license",
    "citation",
    "description",
    "notes",
    "version",
)
"""Keys that a file may have for its readers. They are not read, and a notice says so."""


def load_bank(path: str | os.PathLike[str]) -> FeatureBank:
    """Read a bank from an .npz file. Keys that are not known are refused, and so are pickles.

    Args:
        path: the file. Keys: image_features (images, dim), labels (images,), split (images,), split_names,
            class_names, backbone; optional: text_features (classes, dim), synthetic (a flag), client (images,) and
            client_names. Keys of `IGNORED` are not used, and become a notice.

    Raises:
        ConfigurationError: naming the file, and the key and row within it, that cannot be read or is malformed.
    """
    name = os.fsdecode(path)
    arrays, unused = read_arrays(name, REQUIRED, OPTIONAL, IGNORED)
    try:
        return FeatureBank(
            image_features=arrays["image_features"],
            labels=arrays["labels"],
            split=arrays["split"],
            split_names=text_entries("split_names", arrays["split_names"]),
            class_names=text_entries("class_names", arrays["class_names"]),
            backbone=_one_text("backbone", arrays["backbone"]),
            source=printable(os.path.basename(name)),
            text_features=arrays.get("text_features"),
            synthetic=_flag("synthetic", arrays["synthetic"]) if "synthetic" in arrays else False,
            client=arrays.get("client"),
            client_names=(
                text_entries("client_names", arrays["client_names"]) if "client_names" in arrays else ()
            ),
            remarks=_remarks(unused),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{printable(name)}[{error.field}]", error.value, error.allowed) from None
    except MemoryError:
        raise ConfigurationError(printable(name), Said("a bank"), "one that fits into memory") from None


def load_banks(paths: Sequence[str | os.PathLike[str]]) -> list[FeatureBank]:
    """Read several banks for one result, which tells them apart by their `source`: the file's name, or the path as
    given where files of several folders have the same name.

    Raises:
        ConfigurationError: as `load_bank`, and when two of the banks have the same contents.
    """
    banks = [load_bank(path) for path in paths]
    names = Counter(bank.source for bank in banks)
    seen: dict[str, str] = {}
    for index, (path, bank) in enumerate(zip(paths, banks, strict=True)):
        shown = printable(os.fsdecode(path))
        if bank.sha256 in seen:
            raise ConfigurationError(
                "bank", shown, f"another bank than {seen[bank.sha256]}: their contents are equal"
            )
        seen[bank.sha256] = shown
        if names[bank.source] > 1:
            banks[index] = dataclasses.replace(bank, source=shown)
    return banks


def _remarks(unused: tuple[str, ...]) -> tuple[str, ...]:
    if not unused:
        return ()
    remark = f"the bank's {', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not used"
    if "domain" in unused:
        remark += "; to make a client of each domain, give it as the key client"
    return (remark,)


def _one_text(field: str, array: np.ndarray) -> str:
    texts = text_entries(field, array)
    if len(texts) != 1:
        raise ConfigurationError(field, ArrayText(array), "one string")
    return texts[0]


def _flag(field: str, array: np.ndarray) -> bool:
    if array.size != 1 or array.dtype.kind not in "biu" or array.item() not in (0, 1):
        raise ConfigurationError(field, ArrayText(array), "one flag: true or false, or 1 or 0")
    return bool(array.item())
