"""A bank of precomputed CLIP features: the images, their labels and splits, and the class texts if there
are any."""

import dataclasses
import os
import zipfile
import zlib

import numpy as np
from jaxtyping import Int

from simulate.validation import ConfigurationError, require_choice

_REQUIRED = ("image_features", "labels", "split", "split_names", "class_names", "backbone")
_OPTIONAL = ("text_features", "synthetic")


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureBank:
    """Frozen features of a labelled image data set. Construction validates and normalises them.

    Features may be given in any float precision and length: they are converted to float32 and then divided
    by their norms, so that rounding a file to float16 does not leave their lengths uneven.

    Raises:
        ConfigurationError: naming the field that is malformed, and how.

    Example:
        >>> bank = FeatureBank(
        ...     image_features=np.array([[3.0, 4.0], [1.0, 0.0]]),
        ...     labels=np.array([0, 1]),
        ...     split=np.array([0, 1]),
        ...     split_names=("val", "test"),
        ...     class_names=("cat", "dog"),
        ...     backbone="none",
        ...     source="by hand",
        ... )
        >>> bank.image_features[0].astype(float).round(3).tolist(), bank.rows("test").tolist(), bank.dim
        ([0.6, 0.8], [1], 2)
    """

    # No shapes in these types: construction itself reports bad ones, in terms a user can read.
    image_features: np.ndarray
    """Image features of unit length, float32, shape (images, dim)."""
    labels: np.ndarray
    """Class of each image, numbered from 0; int32, shape (images,)."""
    split: np.ndarray
    """Split of each image, as an index into `split_names`; int32, shape (images,)."""
    split_names: tuple[str, ...]
    class_names: tuple[str, ...]
    backbone: str
    """Name of the encoder that computed the features."""
    source: str
    """Where the features come from: a file's name, or "synthetic"."""
    text_features: np.ndarray | None = None
    """Text feature of each class, of unit length, float32, shape (classes, dim); None for images only."""
    synthetic: bool = False
    """True for generated features, which represent no real images."""

    def __post_init__(self) -> None:
        self._set("split_names", _names("split_names", self.split_names, 1))
        if len(set(self.split_names)) != len(self.split_names):  # class names may repeat, as ImageNet's do
            raise ConfigurationError("split_names", self.split_names, "different names")
        self._set("class_names", _names("class_names", self.class_names, 2))
        self._set("image_features", _unit_rows("image_features", self.image_features))
        self._set("labels", self._codes("labels", self.labels, len(self.class_names)))
        self._set("split", self._codes("split", self.split, len(self.split_names)))
        if self.text_features is not None:
            texts = _unit_rows("text_features", self.text_features)
            if texts.shape != (len(self.class_names), self.dim):
                raise ConfigurationError(
                    "text_features",
                    _Shape(texts),
                    f"one row per class: ({len(self.class_names)}, {self.dim})",
                )
            self._set("text_features", texts)

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _codes(self, field: str, value: object, count: int) -> np.ndarray:
        codes = np.asarray(value)
        images = self.image_features.shape[0]
        if codes.shape != (images,) or not np.issubdtype(codes.dtype, np.integer):
            raise ConfigurationError(field, _Shape(codes), f"one integer per image: ({images},)")
        outside = codes[(codes < 0) | (codes >= count)]
        if outside.size:
            raise ConfigurationError(field, int(outside[0]), f"integers from 0 to {count - 1}")
        return codes.astype(np.int32)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def dim(self) -> int:
        """Dimension of the joint image-text space."""
        return int(self.image_features.shape[1])

    def rows(self, split_name: str) -> Int[np.ndarray, " rows"]:
        """Indices of the images of a split, in order.

        Raises:
            ConfigurationError: for a split that the bank does not have.
        """
        require_choice("split", split_name, self.split_names)
        return np.flatnonzero(self.split == self.split_names.index(split_name))

    def describe(self) -> dict[str, str | int]:
        """Description of the bank for the attributes of a result: text and integers, `synthetic` as 1 or 0."""
        return {
            "bank": self.source,
            "backbone": self.backbone,
            "images": int(self.image_features.shape[0]),
            "classes": self.classes,
            "feature_dim": self.dim,
            "text_features": int(self.text_features is not None),
            "synthetic": int(self.synthetic),
        }


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
            split_names=_strings("split_names", arrays["split_names"]),
            class_names=_strings("class_names", arrays["class_names"]),
            backbone=_strings("backbone", arrays["backbone"])[0],
            source=os.path.basename(name),
            text_features=arrays.get("text_features"),
            synthetic=bool(np.any(arrays.get("synthetic", False))),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}[{error.field}]", error.value, error.allowed) from None


class _Shape:
    """An array in an error message: its shape and type, not its numbers."""

    def __init__(self, array: np.ndarray):
        self.text = f"{array.dtype} array of shape {array.shape}"

    def __repr__(self) -> str:
        return self.text


def _unit_rows(field: str, value: object) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 2 or 0 in array.shape or not np.issubdtype(array.dtype, np.floating):
        raise ConfigurationError(field, _Shape(array), "floats with two non-empty dimensions, one row each")
    if not np.isfinite(array).all():
        raise ConfigurationError(field, _Shape(array), "finite in every entry")
    rows = array.astype(np.float32)
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not norms.all():
        raise ConfigurationError(field, _Shape(array), "non-zero in every row")
    return (rows / norms).astype(np.float32)


def _names(field: str, value: tuple[str, ...], minimum: int) -> tuple[str, ...]:
    names = tuple(value)
    if len(names) < minimum or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(field, names, f"at least {minimum} names")
    return names


def _strings(field: str, array: np.ndarray) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim > 1 or array.size == 0:
        raise ConfigurationError(field, _Shape(array), "a list of strings")
    return tuple(str(entry) for entry in np.atleast_1d(array))


def _unreadable(name: str, key: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{name}[{key}]" if key else name, str(error), "a readable .npz file of plain arrays (no pickles)"
    )
