"""(T28): with partial participation local prompts take fewer steps than the average, and θ* rises."""

from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing import theta_grid
from promptfolio.checks.settings.residuals import accumulated_residuals
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import Experiment, TrainingScheme
from simulate.running.runner import run
from theory.dynamics.symmetric_ratio import best_mixing, predicted_ratio, symmetric_tau
from theory.extensions.participation import energy_excess, joint_mixing
from theory.mixing.tangency import optimal_mixing
from theory.numerics.best import best_place

CLAIM = Claim(
    name="participation",
    equation="T28",
    provenance="derived",
    title="Partial participation",
    statement="When a share r of equal clients is drawn in each round, the averaged prompt advances as with all of"
    " them and a local one r times as far: post-hoc odds* start at odds*/r and lose the factor with time, joint"
    " training has θ*/(1−θ*) = √(odds*/r) at every time.",
    bound="asymptotic",
    cost=6,
)

# Thousands of float32 steps.
_ROUNDING = 1e-4
JOINT_THETA = tuple(np.linspace(0.4, 0.7, 7).round(10).tolist())


def collect(scale: Scale) -> xr.Dataset:
    """K=4, n=10, χ=1, many small steps with 2 of the 4 clients in each round, and in full with 1 as well."""
    quick = scale == "quick"
    setting = SymmetricSetting(noise_dim=2500 if quick else 3000, step_size=0.01)
    steps = (100, 500) if quick else (100, 500, 1500)
    shares = (0.5,) if quick else (0.5, 0.25)
    schemes: dict[TrainingScheme, tuple[float, ...]] = {"posthoc": theta_grid(0.1), "joint": JOINT_THETA}
    if not quick:
        schemes["detached"] = (0.2, 0.5, 0.8)
    experiment = setting.experiment(rounds=max(steps), record=steps, replicates=2, precision="float32")
    parts, results = [], []
    for share in shares:
        compared: dict[str, Any] = {}
        for scheme, theta in schemes.items():
            partial = experiment.replace(participation=share, scheme=scheme, theta=theta)
            result = run(partial)
            results.append(result)
            found = _compared(setting, partial, result)
            compared |= {f"{scheme}_{name}": values for name, values in found.items()}
        parts.append(xr.Dataset(compared))
    data = xr.concat(parts, xr.DataArray(list(shares), dims="share", name="share"))
    data["theta_full"] = float(joint_mixing(setting.equal_clients, 1.0))
    data = data.assign(assumptions.of_runs(*results)).assign_attrs(experiment=experiment.to_json())
    return assumptions.record(data, experiment)


def _compared(setting: SymmetricSetting, experiment: Experiment, result: xr.Dataset) -> dict[str, Any]:
    """Ratio of the moments' means, θ* and the accumulated residuals, beside their predictions.

    Means are over clients and seeds: random draws raise the mean noise energies by a factor that T28 includes.
    """
    scheme, share = experiment.scheme, experiment.participation
    own = {"theta": f"{scheme}_theta"}
    names = ["signal", "noise_norm_sq", "noise_inner"]
    mean = result[names].mean(("seed", "client"), skipna=False).drop_vars("round")
    (s_global, s_local), (A, B) = (
        [mean[name].sel(prompt=side, drop=True) for side in ("global", "local")] for name in names[:2]
    )
    theta = result.theta
    noise = (1 - theta) ** 2 * A + 2 * theta * (1 - theta) * mean.noise_inner + theta**2 * B
    ratio = ((1 - theta) * s_global + theta * s_local) / (setting.noise_std * np.sqrt(noise))
    ratio = ratio.transpose("step", "theta")
    equal, eta = setting.equal_clients, experiment.learning_rate
    grid, steps = theta.values[None, :], result.step.values[:, None]
    trained = symmetric_tau(equal, scheme, grid, steps, eta, share)
    predicted = predicted_ratio(equal, scheme, grid, trained) / np.sqrt(energy_excess(share, steps))
    best = [best_mixing(equal, scheme, step, eta, share) for step in experiment.record]
    if scheme == "posthoc":
        moments = (s_global, s_local, A, B, mean.noise_inner)
        empirical = np.asarray(optimal_mixing(*(part.values for part in moments)))
    else:
        empirical = np.asarray([_best(theta.values, row) for row in ratio.values])
    tau = accumulated_residuals(result, experiment).mean(("seed", "client"), skipna=False).drop_vars("round")
    found = {
        "ratio": ratio.rename(own),
        "ratio_predicted": (("step", own["theta"]), np.broadcast_to(predicted, ratio.shape)),
        "theta_empirical": ("step", empirical),
        "theta_predicted": ("step", np.asarray(best)),
    }
    if scheme == "joint":
        lag = tau.sel(prompt="local", drop=True) / tau.sel(prompt="global", drop=True)
        found["lag"] = lag.rename(own)
    if scheme == "posthoc":
        everybody = symmetric_tau(equal, scheme, 0.0, result.step.values, eta).global_prompt
        own_share = symmetric_tau(equal, scheme, 0.0, result.step.values, eta, share).local_prompt
        found["tau"] = tau.transpose("step", "prompt")
        found["tau_predicted"] = (("step", "prompt"), np.stack([everybody, own_share], axis=-1))
    return found


def _best(theta: np.ndarray, ratio: np.ndarray) -> float:
    """θ with the largest ratio, between the grid's points by a parabola."""
    curve = np.polynomial.Polynomial.fit(theta, ratio, 2)
    fine = np.linspace(theta[0], theta[-1], 3001)
    return float(best_place(fine, curve(fine)).place)


def judge(data: xr.Dataset) -> Finding:
    """Ratios and residuals within 1.5 %, θ* within 0.02 at every time; the lag of joint training equals r."""
    schemes = [name for name in ("posthoc", "joint", "detached") if f"{name}_ratio" in data]
    return Finding(
        CLAIM,
        (
            *(
                compare(
                    f"R relative to its prediction at every θ and time, {name} training",
                    data[f"{name}_ratio"] / data[f"{name}_ratio_predicted"],
                    1,
                    bound="asymptotic",
                    tolerance=0.015,
                )
                for name in schemes
            ),
            # The detached scheme is trained at three θ only, too few to find the best.
            *(
                compare(
                    f"θ* at every time, {name} training",
                    data[f"{name}_theta_empirical"],
                    data[f"{name}_theta_predicted"],
                    bound="asymptotic",
                    tolerance=0.02,
                )
                for name in ("posthoc", "joint")
            ),
            compare(
                "post-hoc τ (from β), relative to full participation after t rounds (average) and"
                " r t rounds (local)",
                data.posthoc_tau / data.posthoc_tau_predicted,
                1,
                bound="asymptotic",
                tolerance=0.015,
            ),
            # In the mean over equal clients no approximation enters: both prompts add up the same residuals.
            compare(
                "τ_L/τ_G in joint training, relative to the participating share r",
                data.joint_lag / data.share,
                1,
                bound="exact",
                tolerance=_ROUNDING,
            ),
            compare(
                "rise of joint θ* above that of full participation, at least half of its prediction",
                data.joint_theta_empirical - data.theta_full,
                (data.joint_theta_predicted - data.theta_full) / 2,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.02,
            equal_group_sizes=True,
        ),
    )
