"""A bank of precomputed CLIP features: the images, their labels and splits, and the class texts and clients if
there are any."""

import dataclasses
import functools
import hashlib

import numpy as np
from jaxtyping import Int

from promptfolio.companion.banks.checks import (
    ArrayText,
    checked_codes,
    checked_names,
    numbered_names,
    unit_rows,
)
from promptfolio.companion.banks.noticing import notices_about
from simulate.validation import ConfigurationError, require_choice


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureBank:
    """Frozen features of a labelled image data set. Construction validates and normalises them.

    Features may be given in any float precision and length: they are converted to float32 and then divided
    by their norms, so that rounding a file to float16 does not leave their lengths uneven.

    Raises:
        ConfigurationError: naming the field that is malformed, and how; for a bad entry also its row.

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
    client: np.ndarray | None = None
    """Client that holds each image, as an index into `client_names`; int32, shape (images,). Given as integers or
    texts of any kind, one per image, or as None where the clients are to be drawn."""
    client_names: tuple[str, ...] = ()
    """Name of each client; empty takes the different values of `client` in increasing order."""
    remarks: tuple[str, ...] = ()
    """What reading the bank made known, sentences that become part of `notices`."""

    def __post_init__(self) -> None:
        self._set("split_names", checked_names("split_names", self.split_names, 1))
        if len(set(self.split_names)) != len(self.split_names):  # class names may repeat, as ImageNet's do
            raise ConfigurationError("split_names", self.split_names, "different names")
        self._set("class_names", checked_names("class_names", self.class_names, 2))
        checked_names("backbone", (self.backbone,), 1)
        self._set("image_features", unit_rows("image_features", self.image_features))
        images = self.image_features.shape[0]
        self._set("labels", checked_codes("labels", self.labels, images, len(self.class_names)))
        self._set("split", checked_codes("split", self.split, images, len(self.split_names)))
        if self.text_features is not None:
            texts = unit_rows("text_features", self.text_features)
            if texts.shape != (len(self.class_names), self.dim):
                raise ConfigurationError(
                    "text_features",
                    ArrayText(texts),
                    f"one row per class: ({len(self.class_names)}, {self.dim})",
                )
            self._set("text_features", texts)
        if self.client is not None:
            names, codes = numbered_names("client", self.client, images, self.client_names)
            self._set("client", codes)
            self._set("client_names", names)
        elif self.client_names:
            raise ConfigurationError("client_names", self.client_names, "given together with client")

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def dim(self) -> int:
        """Dimension of the joint image-text space."""
        return int(self.image_features.shape[1])

    @functools.cached_property
    def notices(self) -> tuple[str, ...]:
        """What a user of the bank must know, one sentence each: what reading it made known, and what its names,
        labels and texts look like."""
        return (*self.remarks, *notices_about(self))

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of everything in the bank but `source` and `remarks`, in hexadecimal: equal for equal contents,
        however their file was written."""
        digest = hashlib.sha256()
        names = (self.split_names, self.class_names, self.client_names, self.backbone, self.synthetic)
        digest.update(repr(names).encode("utf-8", "backslashreplace"))
        for array in (self.image_features, self.labels, self.split, self.text_features, self.client):
            if array is not None:
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).data)
        return digest.hexdigest()

    def rows(self, split_name: str) -> Int[np.ndarray, " rows"]:
        """Indices of the images of a split, in order.

        Raises:
            ConfigurationError: for a split that the bank does not have.
        """
        require_choice("split", split_name, self.split_names)
        return np.flatnonzero(self.split == self.split_names.index(split_name))

    def describe(self) -> dict[str, str | int]:
        """Description of the bank for the attributes of a result: text and integers, `synthetic` as 1 or 0.

        "images" counts all of the bank; see `SplitRoles.describe` for those that a study uses.
        """
        return {
            "bank": self.source,
            "bank_sha256": self.sha256,
            "backbone": self.backbone,
            "images": int(self.image_features.shape[0]),
            "classes": self.classes,
            "feature_dim": self.dim,
            "text_features": int(self.text_features is not None),
            "clients_given": len(self.client_names),
            "synthetic": int(self.synthetic),
        }
