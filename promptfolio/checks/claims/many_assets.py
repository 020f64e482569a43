"""(T23): portfolios of a global, a cluster and a local prompt, simulated."""

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.federation import federation_of
from simulate.experiment import Experiment
from simulate.hierarchy.config import Hierarchy
from simulate.hierarchy.run import run_hierarchy
from theory.mixing.joint_weights import joint_weights
from theory.mixing.many_assets import mixture_ratio, optimal_ratio, optimal_weights
from theory.mixing.nested_assets import nested_moments, three_level_weights
from theory.model.accuracy import accuracy

CLAIM = Claim(
    name="many_assets",
    equation="T23",
    provenance="derived",
    title="Many assets: a third, cluster-level prompt",
    statement="The best mixture of any number of prompts has weights w* ∝ Σ⁻¹s (over those it keeps) and"
    " R*² = sᵀΣ⁻¹s/σ_p²; jointly trained, θ_i ∝ √w_i*. A cluster prompt has a positive weight if and only if a"
    " client's group has a larger share of the cluster than of the federation; three prompts then beat every two.",
    bound="asymptotic",
    figure="many_assets",
    cost=7,
)

LEVELS = ("global", "cluster", "local")
PORTFOLIOS = ("all three", "without local", "without cluster", "without global", *LEVELS)
"""Best portfolios of three, two and one of the prompts."""

# Twelve clients in six groups of two: client k is of group k // 2.
_CLUSTERS = {
    "mixed": tuple(k // 4 for k in range(12)),
    "own group": tuple(k // 2 for k in range(12)),
    "strangers": tuple(k % 3 for k in range(12)),
}
_SIZE_AND_OWN = {"mixed": (4, 2), "own group": (2, 2), "strangers": (4, 1)}
_UNEQUAL = (2, 6, 4, 5, 2, 3, 6, 4, 3, 6, 5, 2)
# Where joint training is tried around its predicted weights, by cluster and local weight: close enough for a
# parabola.
_AROUND = 0.05 * np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1)])


def collect(scale: Scale) -> xr.Dataset:
    """Twelve clients in groups of two, clustered in three ways; equal and unequal data; post-hoc and joint."""
    quick = scale == "quick"
    setting = SymmetricSetting(
        clients=12,
        samples=6,
        group_size=2,
        local_share=0.9,
        noise_dim=4000 if quick else 10000,
        noise_std=0.7,
        noise_feature_sq=1.5,
        step_size=0.05,
    )
    late = 5 if quick else 30
    base = setting.experiment(
        scheme="posthoc",
        rounds=late,
        record=(1, late),
        replicates=2 if quick else 4,
        precision="float32",
    )
    runs = {name: _run(base, name, _best_of_each_size(base, name)) for name in _CLUSTERS}
    by_clustering = xr.concat(
        [_leading_order(base, run, name) for name, run in runs.items()],
        xr.DataArray(list(runs), dims="clustering", name="clustering"),
    )
    weights = _best_of_each_size(base, "mixed")
    unequal = base.replace(samples=_UNEQUAL)
    unequal_run = _run(unequal, "mixed", weights)
    bent_run = _run(base.replace(signal_offset=1e-3, noise_offset=1e-4), "mixed", weights)
    joint_run = _run(base.replace(scheme="joint"), "mixed", _near(base))
    parts = (
        by_clustering,
        _by_client(unequal, unequal_run),
        _searched((*runs.values(), unequal_run, bent_run), base.noise_std, 4 if quick else 8),
        _joint(base, joint_run),
        _lattice(base, runs["mixed"], 6 if quick else 12),
    )
    within_band = (*runs.values(), unequal_run, joint_run)
    data = xr.merge(parts).assign(assumptions.of_runs(*within_band)).assign_attrs(runs["mixed"].attrs)
    data["band_left"] = assumptions.of_runs(bent_run)["band_occupancy"]
    return assumptions.record(data, base, unequal)


def _run(experiment: Experiment, clustering: str, weights: np.ndarray) -> xr.Dataset:
    portfolios = tuple(map(tuple, weights.tolist()))
    return run_hierarchy(Hierarchy(experiment, (_CLUSTERS[clustering],), portfolios))


def _moments(experiment: Experiment, clustering: str) -> tuple[np.ndarray, np.ndarray]:
    """Predicted s and Σ of every client after the first step, in the simulator's units."""
    federation = federation_of(experiment)
    moments = nested_moments(federation, clusters=(_CLUSTERS[clustering],))
    # From zero every residual is 1/2, so that τ = η/2; the common factor is 4τ.
    grown = 2 * experiment.learning_rate
    energy = float(federation.noise_feature_sq * federation.noise_energy)
    return grown * moments.signals, grown**2 * energy * moments.gram


def _of_one(experiment: Experiment, clustering: str) -> tuple[np.ndarray, np.ndarray]:
    """`_moments` of one client; where all have equally many samples they are the same for all."""
    signals, gram = _moments(experiment, clustering)
    return signals[0], gram[0]


def _best_of_each_size(experiment: Experiment, clustering: str) -> np.ndarray:
    """Predicted best weights of every one of `PORTFOLIOS`, for equal clients."""
    signals, gram = _of_one(experiment, clustering)
    chosen = [list(kept) for size in (3, 2, 1) for kept in itertools.combinations(range(3), size)]
    weights = np.zeros((len(chosen), 3))
    for portfolio, kept in zip(weights, chosen, strict=True):
        portfolio[kept] = optimal_weights(signals[kept], gram[np.ix_(kept, kept)])
    return weights


def _leading_order(experiment: Experiment, run: xr.Dataset, clustering: str) -> xr.Dataset:
    """Moments, weights of any sign and accuracies after the first step, beside their predictions."""
    first = run.isel(step=0)
    signals, gram = _of_one(experiment, clustering)
    mean_gram = first.noise_gram.mean(("seed", "client"), skipna=False).values.astype(float)
    measured = np.linalg.solve(mean_gram, first.signal.mean(("seed", "client"), skipna=False).values)
    size, own = _SIZE_AND_OWN[clustering]
    equal = federation_of(experiment).equal_clients()
    predicted = three_level_weights(equal, cluster_size=size, group_in_cluster=own)
    ratio = mixture_ratio(run.weight.values, signals, gram, experiment.noise_std)
    return xr.Dataset(
        {
            "signal": (("seed", "client", "level"), first.signal.values / signals),
            "gram": (("level", "other_level"), mean_gram / gram),
            "weights": ("level", measured / measured.sum()),
            "weights_predicted": ("level", predicted / predicted.sum()),
            "accuracy": ("portfolio", first.accuracy.mean(("seed", "client"), skipna=False).values),
            "accuracy_predicted": ("portfolio", accuracy(ratio)),
        },
        {"level": list(LEVELS), "other_level": list(LEVELS), "portfolio": list(PORTFOLIOS)},
    )


def _by_client(experiment: Experiment, run: xr.Dataset) -> xr.Dataset:
    """Every client's best weights, by its moments as measured (means over seeds) and as predicted."""
    mean = run.isel(step=0, drop=True).mean("seed", skipna=False)
    measured = optimal_weights(mean.signal.values, mean.noise_gram.values)
    predicted = optimal_weights(*_moments(experiment, "mixed"))
    dims = ("client", "level")
    return xr.Dataset({"client_weights": (dims, measured), "client_weights_predicted": (dims, predicted)})


def _searched(runs: Sequence[xr.Dataset], noise_std: float, stride: int) -> xr.Dataset:
    """Trained prompts at all times: T23 with their own moments, against simulated ratios and a numerical search.

    Every ``stride``-th portfolio is searched.
    """
    stacked = [run.stack(point=("seed", "step", "client")).transpose("point", ...) for run in runs]
    signals = np.concatenate([run.signal.values for run in stacked]).astype(float)
    grams = np.concatenate([run.noise_gram.values for run in stacked]).astype(float)
    weights = np.concatenate(
        [np.broadcast_to(run.weight, (run.sizes["point"], *run.weight.shape)) for run in stacked]
    )
    found = [_maximise(*moments) for moments in zip(signals[::stride], grams[::stride], strict=True)]
    from_moments = mixture_ratio(weights, signals[:, None], grams[:, None], noise_std)
    dims, mixtures = ("point", "level"), ("trained", "mixture")
    return xr.Dataset(
        {
            "ratio_simulated": (mixtures, np.concatenate([run.ratio.values for run in stacked])),
            "ratio_of_moments": (mixtures, from_moments),
            "searched": (dims, [best for best, _ in found]),
            "formula": (dims, optimal_weights(signals[::stride], grams[::stride])),
            "ratio_searched": ("point", [ratio / noise_std for _, ratio in found]),
            "ratio_formula": ("point", optimal_ratio(signals[::stride], grams[::stride], noise_std)),
        }
    )


def _maximise(signals: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, float]:
    """Best weights on the simplex and sᵀw/√(wᵀΣw) there, by a general optimiser."""
    size = np.sqrt(np.diag(gram).max())
    signals, gram = signals / size, gram / size**2
    found = minimize(
        lambda weights: -float(weights @ signals / np.sqrt(weights @ gram @ weights)),
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 200},
    )
    return found.x, -float(found.fun)


def _near(experiment: Experiment) -> np.ndarray:
    """The predicted joint weights and six around them."""
    best = joint_weights(optimal_weights(*_of_one(experiment, "mixed")))
    return np.asarray(best + np.column_stack([-_AROUND.sum(axis=1), _AROUND]))


def _joint(experiment: Experiment, run: xr.Dataset) -> xr.Dataset:
    """Where the ratio of jointly trained mixtures peaks: the top of a parabola through `_near`."""
    ratio = run.ratio.mean(("seed", "client"), skipna=False).transpose("step", "portfolio").values
    weights = run.weight.values
    x, y = _AROUND.T
    design = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    tops = []
    for values in ratio:
        _, slope_x, slope_y, xx, xy, yy = np.linalg.lstsq(design, values, rcond=None)[0]
        top = np.linalg.solve([[2 * xx, xy], [xy, 2 * yy]], [-slope_x, -slope_y])
        tops.append(weights[0] + [-top.sum(), *top])
    predicted = mixture_ratio(weights**2, *_of_one(experiment, "mixed"), experiment.noise_std)
    return xr.Dataset(
        {
            "joint_best": (("step", "level"), tops),
            "joint_predicted": ("level", weights[0]),
            "joint_ratio": (("step", "near"), ratio),
            "joint_ratio_predicted": ("near", predicted),
        },
        {"step": run.step.values},
    )


def _lattice(experiment: Experiment, posthoc: xr.Dataset, divisions: int) -> xr.Dataset:
    """Accuracy over all weights after one step, post-hoc and joint."""
    corners = range(divisions + 1)
    counts = [(i, j, divisions - i - j) for i in corners for j in corners if i + j <= divisions]
    lattice = np.array(counts) / divisions
    once = experiment.replace(scheme="joint", rounds=1, record=(0, 1))
    # Batches as large as the other runs: another size would be compiled anew.
    batches = [_run(once, "mixed", batch) for batch in np.split(lattice, len(lattice) // len(PORTFOLIOS))]
    joint = xr.concat([batch.accuracy.isel(step=1, drop=True) for batch in batches], "portfolio")
    first = posthoc.isel(step=0).transpose("seed", "client", ...)
    signals, gram = first.signal.values[:, :, None], first.noise_gram.values[:, :, None]
    ratio = mixture_ratio(lattice, signals, gram, experiment.noise_std)
    return xr.Dataset(
        {
            "lattice": (("lattice_point", "level"), lattice),
            "lattice_joint": ("lattice_point", joint.mean(("seed", "client"), skipna=False).values),
            "lattice_posthoc": ("lattice_point", np.mean(accuracy(ratio), axis=(0, 1))),
            "posthoc_predicted": ("level", optimal_weights(*_of_one(experiment, "mixed"))),
        }
    )


def judge(data: xr.Dataset) -> Finding:
    """Exact for trained prompts; to leading order for their moments, weights, accuracies and joint training."""
    gain, gain_predicted = (
        values.isel(portfolio=0, drop=True)
        - values.isel(portfolio=slice(1, 4)).max("portfolio", skipna=False)
        for values in (data.accuracy.sel(clustering="mixed"), data.accuracy_predicted.sel(clustering="mixed"))
    )
    exact = (
        (
            "R of a simulated mixture, relative to R from its moments",
            data.ratio_simulated / data.ratio_of_moments,
            1,
            1e-5,
        ),
        ("best weights w* found by search", data.searched, data.formula, 1e-5),
        ("R* found by search, relative to √(sᵀΣ⁻¹s)/σ_p", data.ratio_searched / data.ratio_formula, 1, 1e-10),
        ("signal of a prompt, relative to a + bP", data.signal, 1, 1e-5),
    )
    leading = (
        ("noise moment Σ_ij, relative to its prediction", data.gram, 1, 0.02),
        ("weights Σ⁻¹s of any sign, scaled to sum to one", data.weights, data.weights_predicted, 0.02),
        (
            "best weights w* of clients with unequal data",
            data.client_weights,
            data.client_weights_predicted,
            0.06,
        ),
        (
            "accuracy of the best mixture of each set of prompts",
            data.accuracy,
            data.accuracy_predicted,
            0.002,
        ),
        ("accuracy gained by the third prompt", gain, gain_predicted, 0.001),
        ("best weights of joint training, √w*/Σ√w*", data.joint_best, data.joint_predicted, 0.01),
        (
            "R of jointly trained mixtures, relative to R at squared weights",
            data.joint_ratio / data.joint_ratio_predicted,
            1,
            0.01,
        ),
    )
    kept = (data.formula > 0).all("level").mean()
    least = (
        ("share of trained portfolios that keep all three prompts", kept, 0.3),
        ("max |z|/c of prompts trained beyond the linear band", data.band_left, 1),
        ("accuracy gained by the third prompt, at least half of its prediction", gain, gain_predicted / 2),
    )
    return Finding(
        CLAIM,
        (
            *(compare(*pair, bound="exact", tolerance=tolerance) for *pair, tolerance in exact),
            *(compare(*pair, bound="asymptotic", tolerance=tolerance) for *pair, tolerance in leading),
            *(compare(*pair, bound="lower", tolerance=0) for pair in least),
        ),
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.2,
            equal_group_sizes=True,
        ),
    )
