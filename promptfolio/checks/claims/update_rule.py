"""(T5): one gradient step on the prompts equals the coefficient update, and FedAvg averages it."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from simulate.experiment import Experiment, TrainingScheme
from simulate.running.portfolio import Portfolio, train_portfolio
from theory.model.update_rule import Batch, coefficient_increment

CLAIM = Claim(
    name="update_rule",
    equation="T5",
    provenance="derived",
    title="Coefficient update",
    statement="One gradient step on a prompt of R^d, by automatic differentiation of the loss, moves every"
    " coefficient by η ω ‖w_r‖² h'_r · mean(q y g_r); the server averages these moves with weights n_k/N.",
    bound="exact",
    cost=4,
    together="update_rule",
)

SCHEMES: tuple[TrainingScheme, ...] = ("joint", "posthoc", "detached")


def collect(scale: Scale) -> xr.Dataset:
    """One round from random prompts that straddle the encoder's kinks, in every scheme."""
    experiment = Experiment(
        clients=4,
        samples=(6, 9, 4, 5),
        groups=(0, 1, 0, 2),
        noise_dim=80 if scale == "quick" else 300,
        init_std=0.5,
        theta=(0.35,),
        rounds=1,
        record=(1,),
        learning_rate=0.05,
        signal_offset=0.5,
        noise_offset=0.5,
        engine="prompt",
        replicates=3,
    )
    measured, predicted = [], []
    portfolios = [train_portfolio(experiment.replace(scheme=scheme)) for scheme in SCHEMES]
    for scheme, portfolio in zip(SCHEMES, portfolios, strict=True):
        for seed in range(experiment.replicates):
            measured.append(_measured_moves(portfolio, seed))
            predicted.append(_predicted_moves(experiment, scheme, portfolio, seed))
    # All schemes start from the same prompts.
    kinked = np.mean(np.abs(_pre_activations(portfolios[0], 0)[0]) > experiment.signal_offset)
    dims = ("run", "prompt", "row")
    moves = {"measured": (dims, np.stack(measured)), "predicted": (dims, np.stack(predicted))}
    data = xr.Dataset(
        {**moves, "kinked": kinked, **assumptions.of_runs(*portfolios)},
        attrs={"experiment": experiment.to_json()},
    )
    return assumptions.record(data, experiment)


def judge(data: xr.Dataset) -> Finding:
    """Every coefficient of every prompt, relative to the largest move of its prompt."""
    size = np.abs(data.predicted).max("row", skipna=False)
    return Finding(
        CLAIM,
        (
            compare(
                "change of every coefficient, relative to the largest of its prompt",
                data.measured / size,
                data.predicted / size,
                bound="exact",
                tolerance=1e-10,
            ),
            compare(
                "share of rows that start beyond the kink",
                data.kinked,
                0.05,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(data),
    )


def _pre_activations(portfolio: Portfolio, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """z of the initial prompts: global (rows,), local (clients, rows)."""
    assert portfolio.weights is not None
    weights = portfolio.weights[seed]
    return weights @ portfolio.initial_global[seed], portfolio.initial_local[seed] @ weights.T


def _measured_moves(portfolio: Portfolio, seed: int) -> np.ndarray:
    """⟨w_r, p⁽¹⁾ − p⁽⁰⁾⟩ of the global prompt and then of every local one."""
    assert portfolio.weights is not None
    moved = np.concatenate(
        [
            portfolio.global_prompt[seed] - portfolio.initial_global[seed],
            portfolio.local_prompts[seed, 0] - portfolio.initial_local[seed],
        ]
    )
    return moved @ portfolio.weights[seed].T


def _predicted_moves(
    experiment: Experiment, scheme: TrainingScheme, portfolio: Portfolio, seed: int
) -> np.ndarray:
    """(T5) of every client, and its average for the global prompt, read literally in NumPy."""
    offset, theta = experiment.signal_offset, experiment.theta[0]
    z_global, z_locals = _pre_activations(portfolio, seed)
    squared_norms = np.repeat(
        (experiment.global_feature_sq, experiment.local_feature_sq, experiment.noise_feature_sq),
        (1, experiment.group_count, experiment.noise_dim),
    )

    def encode(z: np.ndarray) -> np.ndarray:
        return np.maximum(z + offset, 0) - np.maximum(-z + offset, 0)

    def slope(z: np.ndarray) -> np.ndarray:
        return (z + offset > 0).astype(float) + (-z + offset > 0)

    global_moves: list[np.ndarray] = []
    local_moves: list[np.ndarray] = []
    for client, count in enumerate(experiment.samples):
        features = portfolio.data.features[seed, client, :count]
        labels = portfolio.data.labels[seed, client, :count]
        h_global, h_local = encode(z_global), encode(z_locals[client])
        mixture = (1 - theta) * h_global + theta * h_local
        seen_global, seen_local, weight_global, weight_local = {
            "joint": (mixture, mixture, 1 - theta, theta),
            "posthoc": (h_global, h_local, 1.0, 1.0),
            "detached": (h_global, mixture, 1.0, theta),
        }[scheme]
        for z, seen, weight, moves in (
            (z_global, seen_global, weight_global, global_moves),
            (z_locals[client], seen_local, weight_local, local_moves),
        ):
            moves.append(
                coefficient_increment(
                    Batch(features, labels, labels * (features @ seen)),
                    learning_rate=experiment.learning_rate,
                    weight=weight,
                    squared_norms=squared_norms,
                    slope=slope(z),
                )
            )
    averaged = np.average(global_moves, axis=0, weights=experiment.samples)
    return np.stack([averaged, *local_moves])
