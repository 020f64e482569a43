"""(T11): every training sample's margin between two curves at every step, where the noise vectors overlap."""

from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from promptfolio.checks import assumptions, certified
from promptfolio.checks.claim import Assumption, Claim, Comparison, Finding, Scale, compare
from promptfolio.checks.largest import largest
from simulate.experiment import Experiment
from simulate.model.data import ClientData
from simulate.running.arithmetic import arithmetic
from simulate.running.portfolio import Portfolio, train_portfolio
from simulate.running.prepared import prepare_rows
from theory.dynamics.margin_kernel import exact_margins, margin_kernel
from theory.dynamics.sample_sandwich import bounds, largest_spread, rates
from theory.dynamics.sandwich import LARGEST_STEP
from theory.numerics.certificate import certify_samples

CLAIM = Claim(
    name="sample_sandwich",
    equation="T11",
    provenance="derived",
    title="Sample-wise sandwich",
    statement="The margins of the training samples follow a recursion of their own, and each stays between two"
    " curves, x(t; ηκ_i^-) ≤ M_i(t) ≤ x(t; ηκ_i^+) + ηκ_i^+/2, without any mean field; the curves close in as L"
    " grows.",
    bound="sandwich",
    cost=3,
)

LARGE = 2000
"""Noise coordinates from which 20 samples must all have bounds; with fewer, some κ_i^- is negative."""
_JOINT = "3 clients, θ = 0.4"


def collect(scale: Scale) -> xr.Dataset:
    """One client with 20 samples at several L, and three unequal clients trained jointly at θ = 0.4.

    Every step of the recursion is held against the bounds. Single samples are taken from training at a few
    rounds: of the three clients, and at full scale of one client with the smallest and the largest L.
    """
    quick = scale == "quick"
    rounds, widths = ((1, 20, 300), (500, 2000)) if quick else ((1, 20, 200, 2000), (500, 2000, 20000))
    steps = max(rounds)
    cases = {f"1 client, L = {width}": _one_client(width) for width in widths}
    cases[_JOINT] = _three_clients()
    names = list(cases)
    to_train = {_JOINT} if quick else {names[0], names[-2], _JOINT}  # compiling each takes seconds
    parts, simulated, portfolios, experiments, certificates = [], {}, [], [], []
    for name, drawn in cases.items():
        samples = _drawn_samples(drawn)
        kernel = _kernel(drawn, samples)
        eta = float(0.5 / kernel.diagonal().max())
        experiment = drawn.replace(learning_rate=eta)
        margins = exact_margins(kernel, eta, steps)
        # Rounded up, so that the exact recursion cannot exceed what the rounded one showed.
        spread = largest_spread(margins) * (1 + 1e-9)
        found = bounds(kernel, eta, spread, steps)
        at_every_step = {"margin": margins, "lower": found.lower, "upper": found.upper}
        parts.append(
            xr.Dataset({key: (("step", "sample"), values) for key, values in at_every_step.items()}).assign(
                spread=spread,
                largest_step=eta * float(rates(kernel, spread).upper.max()),
                noise_overlap=_overlap(samples.features[:, -experiment.noise_dim :]),
                noise_dim=experiment.noise_dim,
            )
        )
        experiments.append(experiment)
        if experiment.noise_dim >= LARGE:
            certificates.append((kernel, eta, spread, steps))
        if name in to_train:
            trained = [train_portfolio(experiment.replace(rounds=count, record=(count,))) for count in rounds]
            portfolios += trained
            simulated[name] = [_margins(experiment, portfolio) for portfolio in trained]
    data = xr.concat(parts, xr.DataArray(names, dims="case", name="case"))
    data["simulated"] = (("trained", "round", "sample"), np.asarray(list(simulated.values())))
    data = data.assign_coords(step=np.arange(steps + 1), round=list(rounds), trained=list(simulated))
    data["band_occupancy"] = assumptions.of_runs(*portfolios)["band_occupancy"]
    data = assumptions.record(data, *experiments).assign(scaled_step=largest(data.largest_step))
    data = certified.record(data, lambda: [certify_samples(*inputs) for inputs in certificates])
    return data.assign_attrs(experiment=experiments[-1].to_json())


def judge(data: xr.Dataset) -> Finding:
    """Simulated margins against the recursion, both against the bounds, and the bounds' width."""
    # A sample without bounds has infinite ones; one that is no number is compared, and fails.
    covered = ~np.isinf(data.lower).any("step")
    missing = 1 - covered.mean("sample", skipna=False)
    large = data.noise_dim >= LARGE
    exact = data.margin.sel(case=data.trained, step=data["round"]).transpose(*data.simulated.dims)
    alone = data.case != _JOINT
    gap, last = (data.upper - data.lower).where(covered, 0.0), data.isel(step=-1)
    width = _mean_of_covered(gap.isel(step=-1) / last.margin, covered).values[alone]
    # At the start both curves are at zero, and all that lies between the bounds is ηκ⁺/2.
    beyond = _mean_of_covered(gap.isel(step=-1) - gap.isel(step=0), covered).values[alone]
    after_start = data.isel(step=slice(1, None))
    at_rounds = data.sel(case=data.trained, step=data["round"])
    return Finding(
        CLAIM,
        (
            compare(
                "margin of every sample in training, against its recursion",
                data.simulated,
                exact,
                bound="exact",
                tolerance=1e-9 * abs(exact),
            ),
            *_inside("margin of the recursion at every step", after_start.margin, after_start),
            *_inside("simulated margin", data.simulated, at_rounds),
            compare(
                "width between the bounds relative to the margin, at the largest L",
                width[-1],
                0.15,
                bound="upper",
                tolerance=0,
            ),
            # Noise overlaps by 1/√L, and so far apart are the rates; ηκ⁺/2 stays.
            compare(
                "width beyond ηκ⁺/2 at the largest L relative to the next smaller L, at most the"
                " root of their ratio",
                beyond[-1] / beyond[-2],
                np.sqrt(data.noise_dim.values[alone][-2] / data.noise_dim.values[alone][-1]),
                bound="upper",
                tolerance=0,
            ),
            certified.comparison(data),
        ),
        (
            *assumptions.measured(data, linear_band=True, step=LARGEST_STEP),
            Assumption(f"share of samples without bounds, L ≥ {LARGE}", largest(missing[large]), 0.0),
            Assumption("share of samples without bounds, smaller L", largest(missing[~large])),
        ),
    )


def _mean_of_covered(values: xr.DataArray, covered: xr.DataArray) -> xr.DataArray:
    """Mean over the samples with bounds; NaN where there are none, or one of them is NaN."""
    counts = covered.sum("sample", skipna=False)
    return values.where(covered, 0.0).sum("sample", skipna=False) / counts.where(counts > 0)


def _inside(what: str, margins: xr.DataArray, at: xr.Dataset) -> tuple[Comparison, Comparison]:
    """Margins against both bounds, wherever there are any."""
    low, high = (side.transpose(*margins.dims).values for side in (at.lower, at.upper))
    bounded = ~(np.isinf(low) | np.isinf(high))
    if not bounded.any():  # then an assumption is violated, and says so
        bounded = ~bounded
    values = margins.values[bounded]
    rounding = 1e-9 * (1 + np.abs(values))
    return (
        compare(f"{what}, at least x(t; ηκ⁻)", values, low[bounded], bound="lower", tolerance=rounding),
        compare(
            f"{what}, at most x(t; ηκ⁺) + ηκ⁺/2", values, high[bounded], bound="upper", tolerance=rounding
        ),
    )


def _one_client(width: int) -> Experiment:
    return Experiment(
        clients=1,
        samples=(20,),
        theta=(1.0,),
        global_feature_sq=0.5 * (width / 20) ** 0.5,
        local_feature_sq=0.0,
        noise_dim=width,
        rounds=1,
        record=(1,),
        seed=1,
    )


def _three_clients() -> Experiment:
    return Experiment(
        clients=3,
        samples=(5, 6, 9),
        groups=(0, 1, 0),
        theta=(0.4,),
        global_feature_sq=3.0,
        local_feature_sq=6.0,
        noise_feature_sq=0.7,
        noise_std=1.2,
        noise_dim=LARGE,
        rounds=1,
        record=(1,),
    )


class _Samples(NamedTuple):
    """Training samples of all clients together: y g, shape (samples, rows), and whose they are."""

    features: np.ndarray
    clients: np.ndarray


def _drawn_samples(experiment: Experiment) -> _Samples:
    with arithmetic(experiment.precision):
        return _samples(jax.device_get(prepare_rows(experiment).worlds.data))


def _samples(data: ClientData) -> _Samples:
    """Those of the first replicate, without padding."""
    present = np.asarray(data.sample_weights)[0] > 0
    signed = np.asarray(data.features)[0] * np.asarray(data.labels)[0][..., None]
    return _Samples(signed[present], np.nonzero(present)[0])


def _kernel(experiment: Experiment, samples: _Samples) -> np.ndarray:
    blocks = (1, experiment.group_count, experiment.noise_dim)
    norms = (experiment.global_feature_sq, experiment.local_feature_sq, experiment.noise_feature_sq)
    return margin_kernel(
        samples.features,
        squared_norms=np.repeat(norms, blocks),
        clients=samples.clients,
        theta=experiment.theta[0],
    )


def _overlap(noise: np.ndarray) -> float:
    """max |⟨x_i, x_j⟩| / ‖x_i‖²."""
    gram = noise @ noise.T
    return float((np.abs(gram - np.diag(gram.diagonal())) / gram.diagonal()[:, None]).max())


def _margins(experiment: Experiment, portfolio: Portfolio) -> np.ndarray:
    """y f(g) of every training sample under the trained mixture."""
    samples, theta = _samples(portfolio.data), experiment.theta[0]
    mixture = (1 - theta) * portfolio.feature_global[0] + theta * portfolio.feature_local[0, 0]
    margins: np.ndarray = np.einsum("ir,ir->i", samples.features, mixture[samples.clients])
    return margins
