"""Options of the command line are overwritten by a file: a sweep over them runs one and the same setting.

Set up anew: two sources of options are applied one over the other, in the released order and in the usual one, and
the experiments that come out are run.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from promptfolio.audit.observation import Table
from promptfolio.audit.setting import Setting
from promptfolio.checks.claim import Claim, Finding, compare
from simulate.experiment import Experiment
from simulate.running.runner import run

ORDER = 3
OBSERVATION = Claim(
    name="overwritten_options",
    equation="code",
    provenance="code",
    title="Options of the command line are overwritten",
    statement="The released code applies a YAML file after the command line, and the file sets the learning rate"
    " and the local epochs: what the command line says about them has no effect.",
    bound="exact",
)
CHANGES = "sweeps over learning rate or local epochs repeat one run"

Options = Mapping[str, Any]

ORDERS = ("as released", "usual")
ASKED = ((0.5, 1), (2.0, 1), (1.0, 5))
"""Learning rate, in units of the file's, and local steps E of each run asked for; the file says (1, 1)."""

# Learning rates and local steps apart by a factor of two or more move the loss by far more than this.
_LEAST_DIFFERENCE = 0.01


def resolve(sources: Sequence[Options]) -> dict[str, Any]:
    """The options that result when sources are applied one after the other: the last to name an option decides.

    Example:
        >>> command_line, file = {"learning_rate": 0.5}, {"learning_rate": 0.1, "rounds": 10}
        >>> resolve([command_line, file])["learning_rate"], resolve([file, command_line])["learning_rate"]
        (0.1, 0.5)
    """
    return {name: value for source in sources for name, value in source.items()}


def demonstrate(setting: Setting) -> xr.Dataset:
    """Resolve and run what is asked for, in both orders."""
    base = setting.experiment.replace(theta=(0.5,), rounds=20, record=(20,), replicates=1)
    unit = base.learning_rate
    file = {"learning_rate": unit, "local_steps": 1}
    rates, steps, losses = [], [], []
    for factor, local_steps in ASKED:
        command_line = {"learning_rate": factor * unit, "local_steps": local_steps}
        runs = [base.replace(**resolve(sources)) for sources in ((command_line, file), (file, command_line))]
        rates.append([each.learning_rate / unit for each in runs])
        steps.append([each.local_steps for each in runs])
        losses.append([_training_loss(each) for each in runs])
    described: dict[str, tuple[tuple[str, ...], Any, str]] = {
        "asked_rate": (
            ("run",),
            [rate for rate, _ in ASKED],
            "learning rate on the command line / in the file",
        ),
        "asked_steps": (("run",), [count for _, count in ASKED], "local steps on the command line"),
        "rate": (("run", "order"), rates, "learning rate of the run / in the file"),
        "steps": (("run", "order"), steps, "local steps of the run"),
        "loss": (
            ("run", "order", "client"),
            losses,
            "training loss of the mixture after the last round (T3)",
        ),
    }
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": text, "units": "1"})
            for name, (dims, values, text) in described.items()
        },
        coords={"order": list(ORDERS)},
        attrs={"experiment": base.to_json()},
    )


def _training_loss(experiment: Experiment) -> np.ndarray:
    return run(experiment).training_loss.sel(predictor="mixture").isel(step=-1, theta=0, seed=0).values


def judge(data: xr.Dataset) -> Finding:
    """Whether all runs are one in the released order, and differ in the usual one."""
    released, usual = (data.sel(order=order) for order in ORDERS)
    return Finding(
        OBSERVATION,
        (
            compare(
                "learning rate of the run / of the file, as released",
                released.rate,
                1.0,
                bound="exact",
                tolerance=0.0,
            ),
            compare("local steps of the run, as released", released.steps, 1.0, bound="exact", tolerance=0.0),
            compare(
                "learning rate of the run / of the file, usual order",
                usual.rate,
                data.asked_rate,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "local steps of the run, usual order",
                usual.steps,
                data.asked_steps,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "relative difference of the training loss between any two runs, as released",
                _differences(released.loss),
                0.0,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "relative difference of the training loss between any two runs, usual order",
                _differences(usual.loss),
                _LEAST_DIFFERENCE,
                bound="lower",
                tolerance=0.0,
            ),
        ),
    )


def _differences(loss: xr.DataArray) -> np.ndarray:
    """Largest relative difference over clients, of every two runs."""
    values = loss.transpose("run", "client").values
    pairs = itertools.combinations(values, 2)
    return np.array([np.max(np.abs(first - second) / np.abs(first)) for first, second in pairs])


def effect(data: xr.Dataset) -> str:
    """How many different runs were asked for, and how many there were."""
    released, usual = (len(np.unique(data.loss.sel(order=order).values, axis=0)) for order in ORDERS)
    return (
        f"{data.sizes['run']} different runs asked for: {released} as released, {usual} in the usual order, where"
        f" the training loss differs by up to {np.max(_differences(data.loss.sel(order='usual'))):.0%}"
    )


def tables(data: xr.Dataset) -> tuple[Table, ...]:
    """What was asked for, what ran, and what came out."""
    rows = [
        (
            f"η = {float(each.asked_rate):g}, E = {int(each.asked_steps)}",
            order,
            f"η = {float(each.rate.sel(order=order)):g}, E = {int(each.steps.sel(order=order))}",
            f"{float(each.loss.sel(order=order).mean(skipna=False)):.6f}",
        )
        for order in ORDERS
        for each in (data.isel(run=index) for index in range(data.sizes["run"]))
    ]
    caption = (
        "The file says η = 1 (the unit) and E = 1 local step. Training loss of the mixture at θ = 0.5 after 20"
        " rounds of the synthetic model, mean over clients."
    )
    return (Table(caption, ("command line", "order", "run", ">training loss"), tuple(rows)),)
