"""The seed does not reach the partition: every run has the same clients.

Set up anew: prompts are trained for every pair of one of several partitions with one of several initialisations.
Runs that share their partition differ as runs of the released code do under two seeds; runs that share neither
differ as they would if the seed drew the partition too.
"""

import jax
import numpy as np
import xarray as xr

from promptfolio.audit.numbers import scientific
from promptfolio.audit.observation import Table
from promptfolio.audit.pairs import replicate_keys, train_pairs
from promptfolio.audit.setting import Setting, audit_setting
from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.partition import Partition
from promptfolio.companion.study import draw_partitions
from promptfolio.companion.study_config import ClipStudy
from theory.mixing.accuracy_curve import accuracy_steps
from theory.numerics.best import best_index

ORDER = 2
OBSERVATION = Claim(
    name="partition_seed",
    equation="code",
    provenance="code",
    title="The seed does not change the partition",
    statement="The released code draws the partition with a fixed seed, so its seed option changes neither who"
    " holds which images nor the label skew, and the spread over seeds leaves the partition out.",
    bound="lower",
)
CHANGES = "error bars over seeds are too short"

DRAWN = ("as released", "per seed")
QUANTITIES = ("global", "local", "best mixture", "best θ")

# Two independent partitions give an image to the same of K clients in one of about K cases; never in half of them.
_MOST_AGREEMENT = 0.5
# Standard deviations below this ratio are not called different.
_LEAST_RATIO = 1.02
# Entries of initial prompts: with none at all, nothing would be random beside the partition.
_INIT_STD = 0.01


def demonstrate(setting: Setting) -> xr.Dataset:
    """Train over all pairs of a partition and an initialisation, on every bank with class texts.

    A bank without texts draws its anchor images with the partition, and could not tell the two apart.
    """
    banks = [bank for bank in setting.banks if bank.text_features is not None] or list(audit_setting().banks)
    study = setting.study.replace(
        replicates=setting.spread_replicates, rounds=setting.study.record[0], record=(), init_std=_INIT_STD
    )
    data = xr.concat([_on_bank(study, bank) for bank in banks], dim="bank")
    return data.assign_coords(bank=[bank.source for bank in banks]).assign_attrs(study=study.to_json())


def _on_bank(study: ClipStudy, bank: FeatureBank) -> xr.Dataset:
    keys = replicate_keys(study)
    count = study.replicates
    released, redrawn = (
        draw_partitions(each, bank, keys) for each in (study.replace(partition_seed=0), study)
    )
    # Runs in the order (partition, initialisation).
    partitions = [partition for partition in redrawn for _ in range(count)]
    pairs = train_pairs(study, bank, partitions, jax.numpy.tile(keys, count))
    theta = np.asarray(study.theta)
    curves = np.stack(
        [
            accuracy_steps(first[mask], second[mask], labels[mask]).at(theta)
            for first, second, labels, mask in zip(
                pairs.logits_global,
                pairs.logits_local,
                pairs.splits.labels,
                pairs.splits.test,
                strict=True,
            )
        ]
    )
    best = np.array([best_index(curve) for curve in curves])
    values = np.stack([curves[:, 0], curves[:, -1], curves.max(axis=1), theta[best]])
    return xr.Dataset(
        {
            "agreement": (
                ("drawn", "pair"),
                [_agreement(bank, partitions) for partitions in (released, redrawn)],
                {"long_name": "share of images that the same client holds under two seeds", "units": "1"},
            ),
            "value": (
                ("quantity", "partition", "initialisation"),
                values.reshape(-1, count, count),
                {"long_name": "test accuracy, and the θ with the best one", "units": "1"},
            ),
        },
        coords={"drawn": list(DRAWN), "quantity": list(QUANTITIES)},
    )


def _agreement(bank: FeatureBank, partitions: list[Partition]) -> np.ndarray:
    """Between the first seed and each other, whatever the images are used for; shape (seeds − 1,)."""
    owners = np.full((len(partitions), bank.labels.size), -1)
    for owner, partition in zip(owners, partitions, strict=True):
        for parts in (partition.train, partition.validation, partition.test):
            for client, rows in enumerate(parts):
                owner[rows] = client
    held = owners[0] >= 0
    return (owners[1:, held] == owners[0, held]).mean(axis=1)


def spread(data: xr.Dataset) -> xr.DataArray:
    """Standard deviations over seeds: root of half the mean squared difference of two runs.

    Args:
        data: with `value` over every pair of a partition and an initialisation.

    Returns:
        Dimensions drawn, bank, quantity. "as released": of two runs with the same partition and another
        initialisation, over all partitions; "per seed": of two runs that share neither.
    """
    values = data.value.transpose("bank", "quantity", "partition", "initialisation").values
    squares = (values[..., :, :, None, None] - values[..., None, None, :, :]) ** 2 / 2
    count = values.shape[-1]
    same, other = np.eye(count, dtype=bool), ~np.eye(count, dtype=bool)
    # Axes of the differences: partition, initialisation, partition, initialisation.
    kinds = [which[:, None, :, None] & other[None, :, None, :] for which in (same, other)]
    spreads = [np.sqrt(squares[..., kind].mean(axis=-1)) for kind in kinds]
    return xr.DataArray(
        np.stack(spreads),
        dims=("drawn", "bank", "quantity"),
        coords={"drawn": list(DRAWN), "bank": data.bank, "quantity": data.quantity},
    )


def judge(data: xr.Dataset) -> Finding:
    """Whether the partitions are the same, and the spread over seeds smaller because of that."""
    spreads = spread(data).sel(quantity=["local", "best mixture"])
    return Finding(
        OBSERVATION,
        (
            compare(
                "share of images with the same client under two seeds, as released",
                data.agreement.sel(drawn="as released"),
                1.0,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "share of images with the same client under two seeds, drawn for each seed",
                data.agreement.sel(drawn="per seed"),
                _MOST_AGREEMENT,
                bound="upper",
                tolerance=0.0,
            ),
            compare(
                "standard deviation over seeds of the accuracy of the local prompt and of the best mixture,"
                " drawn for each seed / as released",
                spreads.sel(drawn="per seed") / spreads.sel(drawn="as released"),
                _LEAST_RATIO,
                bound="lower",
                tolerance=0.0,
            ),
        ),
    )


def effect(data: xr.Dataset) -> str:
    """How much shorter error bars are."""
    spreads = spread(data)
    parts = []
    for name in data.bank.values:
        local, mixture = (
            float(ratio)
            for ratio in (spreads.sel(drawn="per seed") / spreads.sel(drawn="as released"))
            .sel(bank=name, quantity=["local", "best mixture"])
            .values
        )
        parts.append(
            f"{name}: standard deviation over seeds {local:.1f} times too small for the local prompt,"
            f" {mixture:.1f} for the best mixture"
        )
    return "; ".join(parts)


def tables(data: xr.Dataset) -> tuple[Table, ...]:
    """Standard deviations of every quantity, one line per bank and way of drawing."""
    spreads = spread(data)
    agreement = data.agreement.mean("pair", skipna=False)
    rows = [
        (
            str(bank),
            drawn,
            f"{float(agreement.sel(bank=bank, drawn=drawn)):.0%}",
            *(scientific(100 * float(value)) for value in spreads.sel(bank=bank, drawn=drawn).values[:3]),
            scientific(spreads.sel(bank=bank, drawn=drawn).values[3]),
        )
        for bank in data.bank.values
        for drawn in DRAWN
    ]
    caption = (
        f"Standard deviation over seeds, accuracies in points, from {data.sizes['partition']} partitions ×"
        f" {data.sizes['initialisation']} initialisations. The more a seed draws beside the partition, the less the"
        f" partition adds; here it draws initial prompts with entries of standard deviation {_INIT_STD}."
    )
    columns = ("bank", "partition drawn", ">same client", ">global", ">local", ">best mixture", ">best θ")
    return (Table(caption, columns, tuple(rows)),)
