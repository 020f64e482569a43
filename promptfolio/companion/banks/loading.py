"""Read a bank from an .npz file."""

import os
import zipfile
import zlib

import numpy as np

from promptfolio.companion.banks.checks import text_entries
from promptfolio.companion.banks.feature_bank import FeatureBank
from simulate.validation import ConfigurationError

_REQUIRED = ("image_features", "labels", "split", "split_names", "class_names", "backbone")
_OPTIONAL = ("text_features", "synthetic", "client")


def load_bank(path: str | os.PathLike[str]) -> FeatureBank:
    """Read a bank from an .npz file; further keys than those of `FeatureBank` are ignored, pickles refused.

    Args:
        path: the file. Keys: image_features (images, dim), labels (images,), split (images,), split_names,
            class_names, backbone; optional: text_features (classes, dim) and synthetic (a flag).

    Raises:
        ConfigurationError: naming the file, and the key within it, that cannot be read or is malformed.
    """
    name = os.fspath(path)
    arrays: dict[str, np.ndarray] = {}
    key = ""
    try:
        with open(name, "rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ConfigurationError(name, "a single array", "an .npz archive of named arrays")
            with archive:
                for key in _REQUIRED + _OPTIONAL:
                    if key in archive.files:
                        arrays[key] = archive[key]
                    elif key in _REQUIRED:
                        raise ConfigurationError(
                            f"{name}[{key}]", None, "present; the file has " + ", ".join(archive.files)
                        )
    # What NumPy, zipfile and zlib raise on files that are missing, cut short, damaged, pickled or
    # something else.
    except ConfigurationError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError) as error:
        raise _unreadable(name, key, error) from None
    try:
        return FeatureBank(
            image_features=arrays["image_features"],
            labels=arrays["labels"],
            split=arrays["split"],
            split_names=text_entries("split_names", arrays["split_names"]),
            class_names=text_entries("class_names", arrays["class_names"]),
            backbone=text_entries("backbone", arrays["backbone"])[0],
            source=os.path.basename(name),
            text_features=arrays.get("text_features"),
            client=arrays.get("client"),
            synthetic=bool(np.any(arrays.get("synthetic", False))),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}[{error.field}]", error.value, error.allowed) from None


def _unreadable(name: str, key: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{name}[{key}]" if key else name, str(error), "a readable .npz file of plain arrays (no pickles)"
    )
