"""(T6): what averaging does to signal and noise."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare, t_test
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.running.runner import run
from theory.model.aggregation import client_group_sizes, noise_energy_factor, signal_factor

CLAIM = Claim(
    name="aggregation",
    equation="T6",
    provenance="derived",
    title="Aggregation law",
    statement="In the first round, averaging keeps β, multiplies a client's γ by χ_k/K, and divides the"
    " expected noise energy by K.",
    bound="exact",
)


def collect(scale: Scale) -> xr.Dataset:
    """One round from zero with groups of unequal size, many replicates; the local prompts are the clients' own."""
    setting = SymmetricSetting(clients=6, noise_dim=1000, step_size=0.05)
    experiment = setting.experiment(
        groups=(0, 0, 0, 1, 1, 2),
        scheme="posthoc",
        rounds=1,
        record=(1,),
        replicates=20 if scale == "quick" else 100,
        engine="coefficient",
    )
    result = run(experiment).isel(step=0)
    group_size = client_group_sizes(experiment.groups)
    factors = noise_energy_factor(experiment.samples)
    result["gamma_factor"] = ("client", signal_factor(group_size=group_size, clients=experiment.clients))
    result["energy_factor"] = ("client", np.broadcast_to(factors.global_prompt / factors.local_prompts, 6))
    return assumptions.record(result, experiment)


def judge(data: xr.Dataset) -> Finding:
    """Signal factors exactly; the noise energy's factor up to the spread of its mean over replicates."""
    beta, gamma = data.beta, data.gamma_own
    energy = data.phi_norm**2
    global_energy = energy.sel(prompt="global").isel(client=0)
    local_energy = energy.sel(prompt="local").mean("client", skipna=False)
    expected = float(data.energy_factor[0])
    # Delta method for a ratio of means: the spread of numerator − ratio·denominator.
    excess = global_energy - expected * local_energy
    mean = local_energy.mean(skipna=False)
    standard_error = float(excess.std(ddof=1, skipna=False) / np.sqrt(data.sizes["seed"]) / mean)
    return Finding(
        CLAIM,
        (
            compare(
                "β of the averaged prompt, relative to a client's",
                beta.sel(prompt="global") / beta.sel(prompt="local"),
                1,
                bound="exact",
                tolerance=1e-12,
            ),
            compare(
                "γ of the averaged prompt, relative to a client's",
                (gamma.sel(prompt="global") / gamma.sel(prompt="local")).transpose("seed", "client"),
                data.gamma_factor.values[None, :],
                bound="exact",
                tolerance=1e-12,
            ),
            t_test(
                "mean of ‖φ‖² of the averaged prompt, relative to a client's",
                float(global_energy.mean(skipna=False) / mean),
                expected,
                standard_error=standard_error,
                degrees=data.sizes["seed"] - 1,
                sample_size=data.sizes["seed"],
                name="ratio of two means over replicates, delta method",
            ),
        ),
        assumptions.measured(data, linear_band=True, step=0.1),
    )
