"""A claim of your own: copy this file, say what you claim, and run `promptfolio check --claims your_file.py`.

Here (T5) at its simplest: one step from zero moves the coefficient β of the shared feature by ηa.
"""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from simulate.experiment import Experiment
from simulate.running.runner import run

CLAIM = Claim(
    name="claim_template",  # the file's name
    equation="T5",
    provenance="derived",
    title="First step of the shared coefficient",
    statement="One gradient step from prompts at zero gives the shared feature the coefficient β = ηa.",
    bound="exact",
)


def first_step(learning_rate: float, global_feature_sq: float) -> float:
    """β = η ω ‖μ_G‖² h' q, with weight ω = 1, slope h' = 2 and residual q = 1/2."""
    return learning_rate * 1 * global_feature_sq * 2 * 0.5


def collect(scale: Scale) -> xr.Dataset:
    """Both prompts trained apart for one step, and the prediction beside them."""
    experiment = Experiment(
        scheme="posthoc",
        global_feature_sq=1.5,
        noise_dim=100 if scale == "quick" else 1000,
        learning_rate=0.02,
        rounds=1,
        record=(1,),
        replicates=3,
    )
    result = run(experiment).isel(step=0)
    result["beta_predicted"] = first_step(experiment.learning_rate, experiment.global_feature_sq)
    return assumptions.record(result, experiment)


def judge(data: xr.Dataset) -> Finding:
    """Equal up to rounding for every client, seed and prompt, while all rows stay in the linear band."""
    return Finding(
        CLAIM,
        (compare("β after one step", data.beta, data.beta_predicted, bound="exact", tolerance=1e-12),),
        assumptions.measured(data, linear_band=True),
    )
