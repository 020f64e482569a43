"""The ends of the mixture: θ = 0 is the global prompt alone, θ = 1 the local one alone."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Comparison, Finding, Scale, compare
from promptfolio.checks.largest import largest
from simulate.experiment import Experiment
from simulate.running.runner import run

CLAIM = Claim(
    name="end_points",
    equation="T3",
    provenance="code",
    title="PromptFL and CoOp are the ends of the mixture",
    statement="θ is the weight of the local prompt: joint training at θ = 0 is PromptFL (one averaged prompt), at"
    " θ = 1 CoOp (prompts that are never averaged), and the prompt without weight stays at its initial value.",
    bound="exact",
    cost=2,
)


_COEFFICIENTS = {"beta": "β", "gamma_own": "γ", "phi_norm": "‖φ‖"}


def collect(scale: Scale) -> xr.Dataset:
    """Joint training at both ends beside the two prompts trained apart."""
    base = Experiment(
        clients=4,
        samples=(6, 9, 4, 5),
        groups=(0, 1, 0, 2),
        noise_dim=100 if scale == "quick" else 500,
        init_std=0.2,
        theta=(0.0, 1.0),
        rounds=30,
        record=(30,),
        local_steps=2,
        learning_rate=2e-3,
        signal_offset=0.5,
        noise_offset=0.5,
    )
    joint, apart = run(base), run(base.replace(scheme="posthoc"))
    # The global prompt is trained at θ = 0 and idle at θ = 1; the local one the other way round.
    ends = {"trained": [0.0, 1.0], "idle": [1.0, 0.0]}
    data = xr.Dataset(attrs={"experiment": base.to_json()})
    for name in _COEFFICIENTS:
        for role, theta in ends.items():
            data[f"{name}_{role}"] = (
                joint[name].sel(theta=xr.DataArray(theta, dims="prompt")).drop_vars("theta")
            )
        data[f"{name}_apart"] = apart[name]
    return assumptions.record(data.assign(assumptions.of_runs(joint, apart)), base)


def judge(data: xr.Dataset) -> Finding:
    """Coefficients of the trained prompt against training apart; those of the idle one against zero."""
    comparisons: list[Comparison] = []
    for name, symbol in _COEFFICIENTS.items():
        trained, apart = xr.broadcast(data[f"{name}_trained"], data[f"{name}_apart"])
        size = largest(abs(apart))
        comparisons += [
            compare(
                f"{symbol} trained jointly at θ = 0 or 1, against the prompt trained alone",
                trained / size,
                apart / size,
                bound="exact",
                tolerance=1e-10,
            ),
            compare(
                f"{symbol} of the prompt without weight there, in units of the other's",
                data[f"{name}_idle"] / size,
                0,
                bound="exact",
                tolerance=1e-12,
            ),
        ]
    return Finding(CLAIM, tuple(comparisons), assumptions.measured(data))
