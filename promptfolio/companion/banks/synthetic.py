"""A synthetic feature bank with the geometry of CLIP's joint space, for tests and for machines without
real features.

It represents no real images, and is marked as synthetic: in `FeatureBank.synthetic`, in `source` and in the
attributes of every result.
"""

import jax
import numpy as np

from promptfolio.companion.banks.feature_bank import FeatureBank
from simulate.model.keys import fold_purpose, replicate_key
from simulate.running.arithmetic import arithmetic
from simulate.validation import require_integer, require_number, require_seed

# All similarities lie in a narrow band, as in CLIP: a shared direction dominates image features, another
# one text features (the modality gap), and classes differ in the small remaining component.
_SHARED = 0.93
_MODALITY_COSINE = 0.3
_SPREAD_RANK = 6
_ISOTROPIC_SHARE = 0.5


@arithmetic("float32")
def draw_synthetic_bank(
    seed: int = 0,
    *,
    classes: int = 20,
    dim: int = 96,
    train_per_class: int = 24,
    test_per_class: int = 36,
    spread: float = 2.2,
    text_error: float = 0.8,
    texts: bool = True,
) -> FeatureBank:
    """Draw a bank of class clusters on the sphere, with text features near but not at the class means.

    An image of class c is normalise(u + α (v_c + spread · w)), u the direction all images share, v_c the
    class's own unit direction and w within-class noise with E‖w‖² = 1, half of it in a few directions
    common to all classes. The text of class c is normalise(u' + α (v_c + text_error · d_c)), u' the
    direction all texts share and d_c a unit error.

    Args:
        seed: of the random draws; every seed gives another data set.
        classes: number of classes, at least 2.
        dim: dimension of the joint space, at least 8.
        train_per_class: images per class in split "val", the training pool's default name.
        test_per_class: images per class in split "test".
        spread: length of the within-class noise relative to v_c; larger is harder.
        text_error: length of the error of text features relative to v_c; larger makes zero-shot worse.
        texts: whether the bank has text features.

    Raises:
        ConfigurationError: naming the argument that is out of range.

    Example:
        >>> bank = draw_synthetic_bank(classes=3, train_per_class=2, test_per_class=4)
        >>> bank.image_features.shape, bank.source, bank.synthetic
        ((18, 96), 'synthetic', True)
    """
    require_seed("seed", seed)
    require_integer("classes", classes, 2)
    require_integer("dim", dim, 8)
    require_integer("train_per_class", train_per_class, 1)
    require_integer("test_per_class", test_per_class, 1)
    require_number("spread", spread, at_least=0)
    require_number("text_error", text_error, at_least=0)

    key = fold_purpose(replicate_key(seed, 0), "bank")
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))

    def directions(count: int) -> np.ndarray:
        rows = random.standard_normal((count, dim))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    image_shared, other = directions(2)
    text_shared = _MODALITY_COSINE * image_shared + np.sqrt(1 - _MODALITY_COSINE**2) * other
    own = directions(classes)
    scale = np.sqrt(1 - _SHARED**2) / _SHARED

    per_class = train_per_class + test_per_class
    labels = np.repeat(np.arange(classes), per_class)
    low_rank = (
        random.standard_normal((labels.size, _SPREAD_RANK)) @ directions(_SPREAD_RANK) / np.sqrt(_SPREAD_RANK)
    )
    isotropic = random.standard_normal((labels.size, dim)) / np.sqrt(dim)
    within = np.sqrt(1 - _ISOTROPIC_SHARE) * low_rank + np.sqrt(_ISOTROPIC_SHARE) * isotropic
    return FeatureBank(
        image_features=image_shared + scale * (own[labels] + spread * within),
        labels=labels,
        split=np.tile(np.repeat([0, 1], [train_per_class, test_per_class]), classes),
        split_names=("val", "test"),
        class_names=tuple(f"class {index}" for index in range(classes)),
        backbone="none (synthetic features)",
        source="synthetic",
        text_features=text_shared + scale * (own + text_error * directions(classes)) if texts else None,
        synthetic=True,
    )
