"""(T10): the discrete margin stays between two Lambert-W curves at every step: simulated, and proved."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions, certified
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.largest import largest
from simulate.experiment import Experiment
from simulate.running.portfolio import train_portfolio
from simulate.running.runner import run
from theory.dynamics.sandwich import LARGEST_STEP, lower, upper
from theory.numerics.certificate import certify_recursion

CLAIM = Claim(
    name="sandwich",
    equation="T10",
    provenance="derived",
    title="Sandwich for the discrete recursion",
    statement="With 0 < c = ηκ ≤ 4, the margin M_{t+1} = M_t + c/(1+e^{M_t}) satisfies"
    " x(t) ≤ M_t ≤ x(t) + c/(1+e^{M_0}) for all t, x(t) the continuous solution.",
    bound="sandwich",
)


def collect(scale: Scale) -> xr.Dataset:
    """One client with one sample, whose margin obeys the recursion exactly, at steps up to the largest allowed."""
    rounds = 300 if scale == "quick" else 5000
    scaled_steps = (0.05, 0.5, 2.0, 3.99)
    base = Experiment(
        clients=1,
        samples=(1,),
        noise_dim=50,
        theta=(1.0,),
        rounds=rounds,
        record=tuple(np.unique([0, *np.geomspace(1, rounds, 150).astype(int)]).tolist()),
        init_std=0.02,
        replicates=3,
        signal_offset=1e6,
        noise_offset=1e6,
    )
    noise = train_portfolio(base.replace(rounds=1, record=(1,))).data.features[:, 0, 0, 2:]
    squares = np.sum(noise**2, axis=1)
    rate = 4 * (base.global_feature_sq + base.local_feature_sq + base.noise_feature_sq * squares)
    parts, experiments = [], []
    for scaled_step in scaled_steps:
        # Each replicate has its own κ; the step is set by the largest, so that every c is allowed.
        experiment = base.replace(learning_rate=float(scaled_step / rate.max()))
        result = run(experiment).isel(theta=0, client=0).sel(predictor="local")
        experiments.append(experiment)
        c = experiment.learning_rate * rate[:, None]
        start = result.margin_mean.isel(step=0).values[:, None]
        bounds = {
            "lower": (("seed", "step"), lower(result.step.values[None, :], c, start)),
            "upper": (("seed", "step"), upper(result.step.values[None, :], c, start)),
            "c": ("seed", c[:, 0]),
            "start": ("seed", start[:, 0]),
        }
        parts.append(result[["margin_mean", "band_occupancy", "noise_overlap"]].assign(bounds))
    data = xr.concat(parts, xr.DataArray(list(scaled_steps), dims="largest_c", name="largest_c"))
    # The step of these very samples, where `record` would give that of an average one.
    data = assumptions.record(data, *experiments).assign(scaled_step=largest(data.c))
    data = certified.record(
        data,
        lambda: [
            certify_recursion(float(c), float(start), rounds)
            for c, start in zip(data.c.values.ravel(), data.start.values.ravel(), strict=True)
        ],
    )
    return data.assign_attrs(experiment=base.to_json())


def judge(data: xr.Dataset) -> Finding:
    """Both inequalities at every recorded step, where rounding is all that may be missing; and proved at every
    step of the exact recursion with the same c and M_0."""
    rounding = 1e-10 * (1 + abs(data.margin_mean))
    return Finding(
        CLAIM,
        (
            compare(
                "margin M_t, at least x(t)", data.margin_mean, data.lower, bound="lower", tolerance=rounding
            ),
            compare(
                "margin M_t, at most x(t) + c/(1+e^{M_0})",
                data.margin_mean,
                data.upper,
                bound="upper",
                tolerance=rounding,
            ),
            certified.comparison(data),
        ),
        assumptions.measured(data, linear_band=True, step=LARGEST_STEP),
    )
