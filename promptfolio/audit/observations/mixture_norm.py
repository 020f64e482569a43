"""Text features are normalised one by one, their mixture is not.

Two consequences, measured on trained prompts. The mixture's logits are exactly the mixture of logits, which makes
(T24) exact. And ‖(1−θ)h_G + θh_L‖ = √(1 − 2θ(1−θ)(1−cos)), with the cosine between a class's two features: at most
1, and another norm for each class, it acts as a temperature of the class. Normalising the mixture once more would
take that away, and the linearity with it.
"""

from typing import Any

import numpy as np
import xarray as xr

from promptfolio.audit.observation import Table
from promptfolio.audit.pairs import Pairs, replicate_keys, train_pairs
from promptfolio.audit.setting import Setting
from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.study import draw_partitions
from promptfolio.companion.study_config import ClipStudy

ORDER = 5
OBSERVATION = Claim(
    name="mixture_norm",
    equation="T24",
    provenance="code",
    title="The mixture is not normalised",
    statement="The released code normalises each prompt's text features and mixes them as they are: logits are"
    " linear in θ, and a class counts for less the further apart its two text features point.",
    bound="exact",
)
CHANGES = "which class wins a close image, at every θ between 0 and 1"

THETA = tuple(index / 10 for index in range(11))
MIXTURES = ("as released", "re-normalised")

# Images, features and logits are rounded to float32 on the way; logits are of order 30.
_LOGIT_ROUNDING = 1e-3
_NORM_ROUNDING = 1e-5
# Least spread of norms over classes, and least share of images, that count as an effect.
_LEAST_SPREAD = 1e-4
_LEAST_SHARE = 1e-4


def demonstrate(setting: Setting) -> xr.Dataset:
    """Train a pair of prompts on every bank and mix it in both ways."""
    data = xr.concat([_on_bank(setting.study, bank) for bank in setting.banks], dim="bank")
    names = [bank.source for bank in setting.banks]
    return data.assign_coords(bank=names).assign_attrs(study=setting.study.to_json())


def _on_bank(study: ClipStudy, bank: FeatureBank) -> xr.Dataset:
    keys = replicate_keys(study)
    pairs = train_pairs(study, bank, draw_partitions(study, bank, keys), keys)
    images = np.asarray(pairs.splits.replicates.held_out, float)
    held_out = pairs.splits.validation | pairs.splits.test
    labels = pairs.splits.labels[held_out]
    feature_global, feature_local = _unit(pairs.feature_global)[:, None], _unit(pairs.feature_local)
    cosine = (feature_global * feature_local).sum(axis=-1)
    logit_error, norm_error, norms, changed, accuracy = [], [], [], [], []
    for theta in THETA:
        features = (1 - theta) * feature_global + theta * feature_local
        logits = study.logit_scale * np.einsum("rksd,rkcd->rksc", images, features, optimize=True)
        norm = np.linalg.norm(features, axis=-1)
        logit_error.append(np.abs(logits - _mixed_logits(pairs, theta))[held_out].max())
        norm_error.append(np.abs(norm - np.sqrt(1 - 2 * theta * (1 - theta) * (1 - cosine))).max())
        norms.append((norm.min(), norm.max()))
        released = logits[held_out].argmax(axis=-1)
        normalised = (logits / norm[:, :, None])[held_out].argmax(axis=-1)
        changed.append(np.mean(released != normalised))
        accuracy.append((np.mean(released == labels), np.mean(normalised == labels)))
    described: dict[str, tuple[tuple[str, ...], Any, str]] = {
        "logit_error": (("theta",), logit_error, "largest |logit of the mixture − mixture of logits|"),
        "norm_error": (("theta",), norm_error, "largest |norm of the mixture − √(1 − 2θ(1−θ)(1−cos))|"),
        "norm": (
            ("theta", "extreme"),
            norms,
            "norm of the mixture's text features, over classes and clients",
        ),
        "changed": (
            ("theta",),
            changed,
            "share of held-out images whose prediction changes when re-normalised",
        ),
        "accuracy": (("theta", "mixture"), accuracy, "accuracy on held-out images"),
    }
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": text, "units": "1"})
            for name, (dims, values, text) in described.items()
        },
        coords={"theta": list(THETA), "extreme": ["least", "greatest"], "mixture": list(MIXTURES)},
    )


def _unit(features: np.ndarray) -> np.ndarray:
    """Of unit length in float64: rounded to float32, two nearly equal logits could change places at θ = 0."""
    return features / np.linalg.norm(features.astype(float), axis=-1, keepdims=True)


def _mixed_logits(pairs: Pairs, theta: float) -> np.ndarray:
    return (1 - theta) * pairs.logits_global.astype(float) + theta * pairs.logits_local


def judge(data: xr.Dataset) -> Finding:
    """Whether logits are linear, norms what they should be, and predictions changed by them."""
    ends, inside = data.sel(theta=[0.0, 1.0]), data.isel(theta=slice(1, -1))
    return Finding(
        OBSERVATION,
        (
            compare(
                "difference between the logit of the mixture and the mixture of logits",
                data.logit_error,
                0.0,
                bound="exact",
                tolerance=_LOGIT_ROUNDING,
            ),
            compare(
                "difference between the mixture's norm and √(1 − 2θ(1−θ)(1−cos))",
                data.norm_error,
                0.0,
                bound="exact",
                tolerance=_NORM_ROUNDING,
            ),
            compare("norm of the mixture", data.norm, 1.0, bound="upper", tolerance=_NORM_ROUNDING),
            compare(
                "largest minus smallest norm of a mixture over classes and clients, 0 < θ < 1",
                inside.norm.sel(extreme="greatest") - inside.norm.sel(extreme="least"),
                _LEAST_SPREAD,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "share of predictions that re-normalising changes, at the θ with most",
                data.changed.max("theta", skipna=False),
                _LEAST_SHARE,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "share of predictions that re-normalising changes, θ = 0 and 1",
                ends.changed,
                0.0,
                bound="exact",
                tolerance=0.0,
            ),
        ),
    )


def effect(data: xr.Dataset) -> str:
    """Most predictions changed, per bank."""
    return "; ".join(_effect(data.sel(bank=name)) for name in data.bank.values)


def _effect(data: xr.Dataset) -> str:
    at = data.isel(theta=int(np.argmax(data.changed.values)))
    released, normalised = (100 * float(at.accuracy.sel(mixture=name)) for name in MIXTURES)
    return (
        f"{data.bank.item()}: re-normalising would change up to {float(at.changed):.2%} of the predictions"
        f" (θ = {float(at.theta):.1f}), accuracy {released:.1f} to {normalised:.1f}"
    )


def tables(data: xr.Dataset) -> tuple[Table, ...]:
    """One table per bank, one line per θ."""
    return tuple(_table(data.sel(bank=name)) for name in data.bank.values)


def _table(data: xr.Dataset) -> Table:
    rows = tuple(
        (
            f"{float(at.theta):.1f}",
            *(f"{float(norm):.4f}" for norm in at.norm),
            f"{100 * float(at.changed):.2f}",
            *(f"{100 * float(accuracy):.2f}" for accuracy in at.accuracy),
        )
        for at in (data.isel(theta=index) for index in range(data.sizes["theta"]))
    )
    columns = (
        ">θ",
        ">least norm",
        ">greatest norm",
        ">predictions changed",
        *(f">{name}" for name in MIXTURES),
    )
    caption = (
        f"{data.bank.item()}: norms over classes and clients, and what re-normalising changes, % of images."
    )
    return Table(caption, columns, rows)
