"""Training images are test images: the federated partition pools the official splits.

Set up anew: a client's pool holds rows of both splits of a feature bank; it trains on a part of the pool, as large
a share as the training split has. The SAME prompts are then measured on the whole pool, as released, and on the
part of the pool that no client trained on. A third measurement repeats the study with disjoint splits.
"""

import numpy as np
import xarray as xr

from promptfolio.audit.numbers import mean_and_spread, points
from promptfolio.audit.observation import Table
from promptfolio.audit.setting import Setting
from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.study import run_study
from promptfolio.companion.study_config import ClipStudy
from theory.numerics.best import best_index

ORDER = 1
OBSERVATION = Claim(
    name="pooled_split",
    equation="code",
    provenance="code",
    title="Training images are test images",
    statement="The released code's federated partition pools the official training and test images and tests each"
    " client on its whole pool, so the images a client trained on are among those it is tested on.",
    bound="lower",
)
CHANGES = "every accuracy, the comparison of local with global prompts, and the best θ"

MEASURED_ON = ("whole pool", "untouched", "disjoint")
PREDICTORS = ("global", "local", "best mixture")

# Two images in a thousand. On every bank tried the effect is at least four times as large.
_LEAST_GAIN = 0.002
# Shares are rounded class by class and client by client.
_SHARE_TOLERANCE = 0.02
# One step of the grid of θ.
_THETA_TOLERANCE = 0.02


def demonstrate(setting: Setting) -> xr.Dataset:
    """Run the study on every bank, with pooled and with disjoint splits."""
    names = [bank.source for bank in setting.banks]
    data = xr.concat([_on_bank(setting.study, bank) for bank in setting.banks], dim="bank")
    return data.assign_coords(bank=names).assign_attrs(study=setting.study.replace(split="pooled").to_json())


def _on_bank(study: ClipStudy, bank: FeatureBank) -> xr.Dataset:
    pooled, disjoint = (run_study(study.replace(split=split), bank) for split in ("pooled", "disjoint"))
    theta = pooled.theta.values
    # In the disjoint study nobody trained on any image outside the training split, whatever its purpose.
    measured = ((pooled, ["test"]), (pooled, ["validation"]), (disjoint, ["validation", "test"]))
    curves = np.stack([_curve(result, splits) for result, splits in measured])
    best = np.apply_along_axis(best_index, -1, curves)
    chosen_on_untouched, chosen_on_pool = (
        np.take_along_axis(curves[1], choice[..., None], axis=-1)[..., 0] for choice in (best[1], best[0])
    )
    # Counted where nothing is pooled, so that a pool with a row too few or too many shows.
    train_rows = disjoint.train_samples.sum("client", skipna=False)
    all_rows = train_rows + disjoint.samples.sum(("split", "client"), skipna=False)
    described = {
        "accuracy": (
            ("measured_on", "round", "seed", "predictor"),
            np.stack([curves[..., 0], curves[..., -1], curves.max(axis=-1)], axis=-1),
            "accuracy over all clients' images; the best mixture's at the best θ for these very images",
        ),
        "theta": (
            ("measured_on", "round", "seed"),
            theta[best],
            "θ with the best accuracy on the images measured",
        ),
        "theta_loss": (
            ("round", "seed"),
            chosen_on_untouched - chosen_on_pool,
            "accuracy on untouched images that the θ best on the whole pool loses against the best",
        ),
        "reused": (
            ("split", "seed"),
            [_reused(pooled), _reused(disjoint)],
            "share of test images that some client trained on",
        ),
        "train_share": (
            ("seed",),
            (train_rows / all_rows).values,
            "the training split's share of all images",
        ),
        "images": ((), int(all_rows[0]), "images in the pools of all clients"),
        "synthetic": ((), int(bank.synthetic), "1 for a synthetic bank"),
    }
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": text, "units": "1"})
            for name, (dims, values, text) in described.items()
        },
        coords={
            "measured_on": list(MEASURED_ON),
            "predictor": list(PREDICTORS),
            "split": ["pooled", "disjoint"],
            "round": pooled["round"].values,
        },
    )


def _curve(result: xr.Dataset, splits: list[str]) -> np.ndarray:
    """Accuracy of the mixture over all clients' images of some splits together; shape (rounds, seeds, thetas)."""
    counts = result.samples.sum("client", skipna=False).sel(split=splits)
    curve = (
        result.overall_accuracy.sel(scheme="posthoc", split=splits)
        .weighted(counts)
        .mean("split", skipna=False)
    )
    return curve.transpose("step", "seed", "theta").values


def _reused(result: xr.Dataset) -> np.ndarray:
    return (
        result.reused_samples.sum("client", skipna=False)
        / result.samples.sel(split="test").sum("client", skipna=False)
    ).values


def judge(data: xr.Dataset) -> Finding:
    """Whether test images were trained on, and the prompts look better on them than they are."""
    pooled, disjoint = data.sel(split="pooled"), data.sel(split="disjoint")
    mean = data.accuracy.mean("seed", skipna=False)
    gain = mean.sel(measured_on="whole pool") - mean.sel(measured_on="untouched")
    early = gain.isel(round=0)
    theta = data.theta.mean("seed", skipna=False)
    return Finding(
        OBSERVATION,
        (
            compare(
                "share of test images trained on, pooled splits (predicted: the training split's share)",
                pooled.reused,
                data.train_share,
                bound="exact",
                tolerance=_SHARE_TOLERANCE,
            ),
            compare(
                "share of test images trained on, disjoint splits",
                disjoint.reused,
                0.0,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "accuracy on the whole pool minus that on untouched images, both prompts and the best mixture",
                gain,
                _LEAST_GAIN,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "that difference of the local prompt minus that of the global one, first recorded round",
                early.sel(predictor="local") - early.sel(predictor="global"),
                0.0,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "best θ on the whole pool minus that on untouched images, at least minus one step of the grid",
                theta.sel(measured_on="whole pool") - theta.sel(measured_on="untouched"),
                0.0,
                bound="lower",
                tolerance=_THETA_TOLERANCE,
            ),
        ),
    )


def effect(data: xr.Dataset) -> str:
    """What pooling does to the local prompt and the best θ, bank by bank, at the round where it moves θ most."""
    return "; ".join(_effect(data.sel(bank=name).mean("seed", skipna=False)) for name in data.bank.values)


def _effect(mean: xr.Dataset) -> str:
    shift = mean.theta.sel(measured_on="whole pool") - mean.theta.sel(measured_on="untouched")
    worst = shift.size - 1 - int(np.argmax(shift.values[::-1]))  # of equals the last
    at = mean.isel(round=worst)
    released, honest = (at.sel(measured_on=name) for name in ("whole pool", "untouched"))
    local, mixture = (
        points((released.accuracy - honest.accuracy).sel(predictor=name))
        for name in ("local", "best mixture")
    )
    leads = (
        points(each.accuracy.sel(predictor="local") - each.accuracy.sel(predictor="global"))
        for each in (released, honest)
    )
    return (
        f"{mean.bank.item()}: {float(mean.reused.sel(split='pooled')):.0%} of the test images are training images;"
        f" after {int(at['round'])} rounds local prompt {local} points, best mixture {mixture}, local over global"
        f" {' instead of '.join(leads)}, best θ {float(released.theta):.2f} instead of {float(honest.theta):.2f}"
    )


def tables(data: xr.Dataset) -> tuple[Table, ...]:
    """One table per bank."""
    return tuple(_table(data.sel(bank=name)) for name in data.bank.values)


def _table(data: xr.Dataset) -> Table:
    rows = []
    for index, rounds in enumerate(data["round"].values):
        for name in MEASURED_ON:
            at = data.isel(round=index).sel(measured_on=name)
            loss = mean_and_spread(100 * data.theta_loss.isel(round=index), 1) if name == "whole pool" else ""
            rows.append(
                (
                    str(int(rounds)),
                    _LABELS[name],
                    *(mean_and_spread(100 * at.accuracy.sel(predictor=each), 1) for each in PREDICTORS),
                    mean_and_spread(at.theta, 2),
                    loss,
                )
            )
    kind = "SYNTHETIC bank" if data.synthetic else str(data.bank.item())
    caption = (
        f"{kind}: {int(data.images)} images, test accuracy in %, mean ± standard deviation of"
        f" {data.sizes['seed']} seeds. A client trains on as large a share of its pool as the training split has of"
        " all images. The first two lines of a round are the same prompts; the last column says how many points the"
        " θ best on the whole pool loses on the images not trained on."
    )
    columns = (
        ">rounds",
        "measured on",
        ">global",
        ">local",
        ">best mixture",
        ">best θ",
        ">it loses on untouched",
    )
    return Table(caption, columns, tuple(rows))


_LABELS = {
    "whole pool": "whole pool (as released)",
    "untouched": "its images not trained on",
    "disjoint": "disjoint splits",
}
