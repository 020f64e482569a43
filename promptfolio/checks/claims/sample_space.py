"""(T4, T11): while noise stays in the linear band, training needs only its samples' inner products."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare, t_test, welch_degrees
from promptfolio.checks.claims.update_rule import SCHEMES
from promptfolio.checks.largest import largest
from simulate.experiment import Experiment
from simulate.running.runner import run

CLAIM = Claim(
    name="sample_space",
    equation="T4, T11",
    provenance="derived",
    title="Training in the space of samples",
    statement="While the noise rows stay in the linear band, a prompt is described by its signal rows and one"
    " coefficient per training sample. Trained with the samples' Gram matrix alone, these give the"
    " same as training prompts of R^d; with a Gram matrix drawn by its own law they give the same in"
    " distribution. A replicate that may have left the band is trained again on all rows.",
    bound="exact",
    cost=5,
    together="update_rule",
)

_QUANTITIES = (
    "beta",
    "gamma_own",
    "phi_norm",
    "phi_max",
    "signal",
    "bias",
    "noise_norm_sq",
    "noise_inner",
    "ratio",
    "accuracy",
    "training_loss",
    "margin_mean",
    "margin_spread",
)
_MOMENTS = ("ratio", "noise_norm_sq", "noise_inner")
_NEAR = 0.4
"""A class offset that signal rows pass."""


def collect(scale: Scale) -> xr.Dataset:
    """Everything at once: groups, label noise, a skewed prior, absent clients, two local steps, random prompts."""
    quick = scale == "quick"
    experiment = Experiment(
        clients=4,
        samples=(6, 9, 4, 5),
        groups=(0, 1, 0, 2),
        label_noise=0.1,
        class_prior=(0.3, 0.5, 0.8, 0.5),
        prior_feature_sq=0.5,
        noise_dim=80 if quick else 300,
        init_std=0.1,
        theta=(0.0, 0.35, 1.0),
        rounds=30,
        record=(1, 5, 30),
        local_steps=2,
        participation=0.75,
        learning_rate=0.02,
        signal_offset=_NEAR,
        noise_offset=1e3,
        replicates=2,
    )
    differences, beyond, runs = [], [], []
    for scheme in SCHEMES:
        literal, gram = (
            run(experiment.replace(scheme=scheme, engine=engine)) for engine in ("prompt", "gram")
        )
        differences.append([_difference(literal[name], gram[name]) for name in _QUANTITIES])
        beyond.append(largest(abs(literal.beta)) / _NEAR)
        runs.append(gram)
    data = xr.Dataset(
        {
            "difference": (("scheme", "quantity"), np.asarray(differences)),
            "signal_reach": ("scheme", np.asarray(beyond)),
            **_law(quick),
            **_noticed(quick),
            "band_occupancy": largest(*(each.phi_max / 1e3 for each in runs)),
            "noise_overlap": largest(*(each.noise_overlap for each in runs)),
        },
        coords={"scheme": list(SCHEMES), "quantity": list(_QUANTITIES), "moment": list(_MOMENTS)},
        attrs={"experiment": experiment.to_json()},
    )
    return assumptions.record(data, experiment)


def _difference(first: xr.DataArray, second: xr.DataArray) -> float:
    """Largest difference, relative to the largest value if that is not 0."""
    return largest(abs(first - second)) / (largest(abs(first)) or 1.0)


def _law(quick: bool) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Means and variances of recorded moments over many replicates, for drawn features and drawn Gram matrices."""
    experiment = Experiment(
        clients=3,
        samples=(4,),
        noise_dim=20,  # so few that the law is far from its limit of large L
        noise_std=1.5,
        init_std=0.1,
        theta=(0.4,),
        rounds=5,
        record=(5,),
        learning_rate=0.1,
        engine="gram",
        replicates=1000 if quick else 2000,
    )
    found: dict[str, list[np.ndarray]] = {}
    for way, seed in (("features", 1), ("wishart", 2)):
        result = run(experiment.replace(gram=way, seed=seed)).isel(theta=0, step=0)
        result["ratio"] = result.ratio.sel(predictor="mixture")
        for name in _MOMENTS:
            # One number per replicate: clients of a replicate share the global prompt.
            values = result[name].mean([dim for dim in result[name].dims if dim != "seed"]).values
            spread = (values - values.mean()) ** 2
            found.setdefault(f"{way}_mean", []).append(values.mean())
            found.setdefault(f"{way}_variance", []).append(spread.mean())
            found.setdefault(f"{way}_mean_error", []).append(values.std() / np.sqrt(values.size))
            found.setdefault(f"{way}_variance_error", []).append(spread.std() / np.sqrt(values.size))
    sizes = {"replicates_drawn": ((), np.asarray(experiment.replicates))}
    return {**{name: (("moment",), np.asarray(values)) for name, values in found.items()}, **sizes}


def _noticed(quick: bool) -> dict[str, float]:
    """Runs whose noise leaves the band in about half of the replicates, and what became of those."""
    experiment = Experiment(
        clients=3,
        samples=(4, 6, 5),
        noise_dim=60,
        init_std=0.1,
        theta=(0.2, 0.7),
        rounds=6,
        local_steps=2,
        learning_rate=1e-2,
        signal_offset=1e6,  # far out, so that occupancies are those of the noise rows
        engine="coefficient",
        replicates=20 if quick else 40,
    )
    everywhere = ("theta", "step", "client", "prompt")
    reach = run(experiment).band_occupancy.max(everywhere, skipna=False) * experiment.noise_offset
    narrow = experiment.replace(noise_offset=float(reach.median(skipna=False)))
    exact, gram = run(narrow), run(narrow.replace(engine="gram"))
    left = exact.band_occupancy.max(everywhere, skipna=False) >= 1
    return {
        "left": float(left.sum()),
        "unnoticed": float((left & ~gram.fallback).sum()),
        "kept": float((~gram.fallback).sum()),
        "fallback_difference": largest(*(_difference(exact[name], gram[name]) for name in _QUANTITIES)),
    }


def judge(data: xr.Dataset) -> Finding:
    """Equal to 1e-9 where both engines use the same draws, equal in distribution where they do not."""
    law = []
    for what in ("mean", "variance"):
        first, second = data[f"features_{what}_error"], data[f"wishart_{what}_error"]
        law.append(
            t_test(
                f"{what} of R, ‖H_ξ‖² and ⟨H_G,ξ , H_L,ξ⟩ with drawn Gram matrices, minus that"
                " with drawn features",
                data[f"wishart_{what}"] - data[f"features_{what}"],
                0,
                standard_error=np.hypot(first, second),
                degrees=welch_degrees(first, second, int(data.replicates_drawn)),
                sample_size=int(data.replicates_drawn),
                name="difference of means of independent replicates (Welch)",
            )
        )
    return Finding(
        CLAIM,
        (
            compare(
                "largest difference of any recorded quantity between sample space and R^d,"
                " relative to its largest value",
                data.difference,
                0,
                bound="exact",
                tolerance=1e-9,
            ),
            compare(
                "max |β|/c of the signal rows, beyond the kink",
                data.signal_reach,
                1,
                bound="lower",
                tolerance=0,
            ),
            *law,
            compare(
                "replicates whose noise left the band, but which were kept",
                data.unnoticed,
                0,
                bound="exact",
                tolerance=0,
            ),
            compare(
                "replicates whose noise left the band, at least one", data.left, 1, bound="lower", tolerance=0
            ),
            compare(
                "replicates that stayed in the band and were kept, at least one",
                data.kept,
                1,
                bound="lower",
                tolerance=0,
            ),
            compare(
                "largest difference of any recorded quantity, kept and repeated replicates"
                " against training of every row",
                data.fallback_difference,
                0,
                bound="exact",
                tolerance=1e-9,
            ),
        ),
        assumptions.measured(data, linear_band=True),
    )
