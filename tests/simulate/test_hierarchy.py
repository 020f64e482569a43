"""Prompts on several levels: two levels are the run that exists, three are checked against other readings."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from simulate import ConfigurationError, Experiment, run
from simulate.hierarchy.config import Hierarchy
from simulate.hierarchy.run import prepare_hierarchy, run_hierarchy, simulate_hierarchy
from tests.support import double_by_default
from tests.tolerances import RELATIVE, assert_agree

SMALL = Experiment(
    clients=4,
    samples=(2, 5, 3, 4),
    groups=(0, 1, 0, 2),
    noise_dim=30,
    noise_std=0.7,
    init_std=0.1,
    rounds=6,
    record=(0, 2, 6),
    local_steps=2,
    participation=0.6,
    learning_rate=1e-2,
    signal_offset=0.5,
    noise_offset=0.3,
    optimizer_options=(("momentum", 0.9),),
    replicates=2,
)
PLAIN = SMALL.replace(participation=1.0, init_std=0.0, optimizer_options=(), local_steps=1)
CLUSTERS = (0, 1, 1, 0)


def three(
    experiment: Experiment, clusters: tuple[int, ...] = CLUSTERS, *weights: tuple[float, ...]
) -> Hierarchy:
    return Hierarchy(experiment, (clusters,), weights or ((0.2, 0.3, 0.5), (0.6, 0.4, 0.0)))


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_two_levels_are_the_portfolio_of_two(scheme: str) -> None:
    """With every complication at once: unequal clients, momentum, absences, starts, beyond the linear band."""
    theta = (0.0, 0.3, 1.0)
    experiment = SMALL.replace(scheme=scheme)
    pair = run(experiment.replace(theta=theta))
    assert pair.band_occupancy.max() > 1
    levels = run_hierarchy(Hierarchy(experiment, (), tuple((1 - weight, weight) for weight in theta)))
    same = {"portfolio": "theta", "level": "prompt"}
    for name in ("ratio", "accuracy", "training_loss"):
        expected = pair[name].sel(predictor="mixture")
        found = levels[name].rename(portfolio="theta").transpose(*expected.dims)
        np.testing.assert_allclose(found.values, expected.values, rtol=RELATIVE["float64"], atol=1e-12)
    gram = levels.noise_gram.rename({old: new for old, new in same.items() if old in levels.noise_gram.dims})
    for name, found in (
        ("noise_inner", gram.isel(prompt=0, other_level=1)),
        (
            "signal",
            levels.signal.rename({old: new for old, new in same.items() if old in levels.signal.dims}),
        ),
    ):
        values = found.transpose(*pair[name].dims).values
        np.testing.assert_allclose(values, pair[name].values, rtol=RELATIVE["float64"], atol=1e-12)
    assert_agree(levels.noise_overlap, pair.noise_overlap, RELATIVE["float64"])


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
@pytest.mark.parametrize(
    ("clusters", "weights"), [((0, 1, 2, 3), (0.4, 0.6, 0.0)), ((0, 0, 0, 0), (0.0, 0.4, 0.6))]
)
def test_clusters_of_one_and_of_all_are_local_and_global(
    scheme: str, clusters: tuple[int, ...], weights: tuple[float, ...]
) -> None:
    experiment = SMALL.replace(scheme=scheme, init_std=0.0)
    pair = run_hierarchy(Hierarchy(experiment, (), ((0.4, 0.6),)))
    triple = run_hierarchy(three(experiment, clusters, weights))
    for name in ("ratio", "training_loss"):
        assert_agree(triple[name].values, pair[name].values, 1e-9)


def test_names_of_clusters_do_not_matter() -> None:
    first, second = (
        run_hierarchy(three(SMALL.replace(init_std=0.0), names)) for names in (CLUSTERS, (1, 0, 0, 1))
    )
    for name in ("ratio", "signal", "noise_gram"):
        assert_agree(first[name], second[name], RELATIVE["float64"], name)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_an_order_of_clients_does_not_matter(scheme: str) -> None:
    hierarchy = three(PLAIN.replace(scheme=scheme))
    order, gaps = np.array([2, 0, 3, 1]), jnp.asarray([0, 2, 4])
    with jax.enable_x64(True):
        prepared = prepare_hierarchy(hierarchy)
        parameters, worlds = prepared.parameters, prepared.worlds
        moved = prepared._replace(
            parameters=parameters._replace(
                sample_counts=parameters.sample_counts[order], own_group=parameters.own_group[order]
            ),
            worlds=worlds._replace(
                data=jax.tree.map(lambda leaf: leaf[:, order], worlds.data),
                initial_local=worlds.initial_local[:, order],
            ),
            initial_stack=prepared.initial_stack[:, order],
            together=prepared.together[:, order][:, :, order],
        )
        as_drawn, reordered = (simulate_hierarchy(each.program, each[1:], gaps) for each in (prepared, moved))
    for before, after in zip(jax.tree.leaves(as_drawn[0]), jax.tree.leaves(reordered[0]), strict=True):
        np.testing.assert_allclose(after, before[:, :, :, order], rtol=1e-9, atol=1e-15)
    for before, after in zip(jax.tree.leaves(as_drawn[1]), jax.tree.leaves(reordered[1]), strict=True):
        assert_agree(after, before[:, :, :, :, order], 1e-9)


def plain_training(hierarchy: Hierarchy, weights: np.ndarray) -> np.ndarray:
    """The prompts' z after all rounds, shape (clients, levels, rows), by loops over rounds, clients and steps."""
    experiment, joint = hierarchy.experiment, hierarchy.experiment.scheme == "joint"
    with jax.enable_x64(True):
        prepared = prepare_hierarchy(hierarchy)
        data, start, stack = jax.device_get(
            (prepared.worlds.data, prepared.worlds.initial_global[0], prepared.initial_stack[0])
        )
        norms = np.asarray(prepared.parameters.squared_norms)
    clients, counts = range(experiment.clients), np.asarray(experiment.samples)
    partitions = ((0,) * experiment.clients, *hierarchy.clusters, tuple(clients))
    z = np.stack([np.concatenate([start[None], stack[k]]) for k in clients])
    for _ in range(experiment.rounds):
        stepped = z.copy()
        for k in clients:
            features, labels = data.features[0, k, : counts[k]], data.labels[0, k, : counts[k]]
            for _ in range(experiment.local_steps):
                margins = 2 * stepped[k] @ features.T * labels  # h = 2z; shape (levels, samples)
                driving = weights @ margins if joint else margins
                pull = (labels / (1 + np.exp(driving))) @ features / counts[k]
                growth = np.outer(weights, pull) if joint else pull
                stepped[k] = stepped[k] + experiment.learning_rate * 2 * norms * growth
        for level, part in enumerate(partitions):
            for k in clients:
                members = [j for j in clients if part[j] == part[k]]
                z[k, level] = np.average(stepped[members, level], axis=0, weights=counts[members])
    return z


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_three_levels_against_a_plain_reading(scheme: str) -> None:
    experiment = PLAIN.replace(
        scheme=scheme, init_std=0.05, local_steps=2, signal_offset=1e3, noise_offset=1e3, replicates=1
    )
    hierarchy = three(experiment)
    result = run_hierarchy(hierarchy).isel(seed=0, step=-1)
    weights = np.asarray(hierarchy.weights[1])
    z = plain_training(hierarchy, weights)
    noise = 2 * z[:, :, -experiment.noise_dim :]
    own = 1 + np.asarray(experiment.groups)
    signal = 2 * (z[:, :, 0] + z[np.arange(4), :, own])
    trained = result if scheme == "posthoc" else result.isel(portfolio=1)
    np.testing.assert_allclose(trained.signal.transpose("client", "level"), signal, rtol=1e-9)
    gram = trained.noise_gram.transpose("client", "level", "other_level")
    np.testing.assert_allclose(gram, noise @ noise.swapaxes(1, 2), rtol=1e-9)
    ratio = signal @ weights / (experiment.noise_std * np.linalg.norm(weights @ noise, axis=1))
    np.testing.assert_allclose(result.ratio.isel(portfolio=1), ratio, rtol=1e-9)


def test_band_occupancy_is_the_farthest_row_over_its_own_offset() -> None:
    experiment = PLAIN.replace(
        init_std=0.3, noise_feature_sq=1.7, signal_offset=1e3, noise_offset=700.0, local_steps=2, replicates=1
    )
    hierarchy = three(experiment)
    last = run_hierarchy(hierarchy).band_occupancy.isel(seed=0, step=-1, portfolio=1)
    z = abs(plain_training(hierarchy, np.asarray(hierarchy.weights[1])))
    tasks = 1 + experiment.group_count
    of_signals, of_noise = z[:, :, :tasks].max(axis=-1) / 1e3, z[:, :, tasks:].max(axis=-1) / 700.0
    np.testing.assert_allclose(
        last.transpose("client", "level"), np.maximum(of_signals, of_noise), rtol=RELATIVE["float64"]
    )
    assert (of_signals > of_noise).any(), "either kind of row must be the farthest somewhere"
    assert (of_signals < of_noise).any(), "either kind of row must be the farthest somewhere"
    # With the other offsets exchanged, all that has changed is which kind is farther.
    swapped = three(experiment.replace(signal_offset=700.0, noise_offset=1e3))
    last = run_hierarchy(swapped).band_occupancy.isel(seed=0, step=-1, portfolio=1)
    expected = np.maximum(of_signals * 1e3 / 700, of_noise * 700 / 1e3)
    np.testing.assert_allclose(last.transpose("client", "level"), expected, rtol=RELATIVE["float64"])


def test_a_cluster_without_participants_keeps_its_prompt() -> None:
    """With one participant a round, one cluster's prompt moves and the other's does not."""
    experiment = PLAIN.replace(scheme="posthoc", participation=0.25, record=tuple(range(7)), replicates=1)
    signal = (
        run_hierarchy(three(experiment)).signal.isel(seed=0).sel(level="cluster").transpose("step", "client")
    )
    noise = (
        run_hierarchy(three(experiment)).noise_gram.isel(seed=0).sel(level="cluster", other_level="cluster")
    )
    moved = np.diff(noise.transpose("step", "client").values, axis=0) != 0
    assert signal.sizes["step"] == 7
    assert np.all(moved[:, 0] == moved[:, 3])
    assert np.all(moved[:, 1] == moved[:, 2])
    assert np.all(moved[:, 0] != moved[:, 1])


def test_clusters_start_from_one_prompt_and_apart() -> None:
    start = run_hierarchy(three(SMALL)).isel(step=0, portfolio=0).noise_gram
    cluster = start.sel(level="cluster", other_level="cluster").transpose("seed", "client").values
    assert_agree(cluster[:, [0, 1]], cluster[:, [3, 2]], RELATIVE["float64"])
    local = start.sel(level="local", other_level="local").values
    apart = abs(np.subtract.outer(cluster[:, :2].ravel(), np.append(cluster[:, :2], local)))
    assert (apart > 1e-6 * cluster.max()).sum() == apart.size - 4, "each is itself alone"


def test_clusters_start_as_clients_do() -> None:
    """Entries of the initial prompts of every level are N(0, init_std²), and levels are independent."""
    experiment = SMALL.replace(
        noise_dim=4000, noise_feature_sq=1.7, noise_offset=1e3, prompt_dim=0, rounds=1, record=(0,)
    )
    quarters = (0.25, 0.25, 0.25, 0.25)
    hierarchy = Hierarchy(experiment, (CLUSTERS, CLUSTERS), (quarters,))
    start = run_hierarchy(hierarchy).isel(step=0, portfolio=0).noise_gram
    gram = start.transpose("seed", "client", "level", "other_level").values
    squares = np.einsum("...ll->...l", gram)
    # h = 2z in the linear band: ‖H_ξ‖² = 4 e init_std² χ²_L. Five standard errors.
    expected = 4 * 1.7 * experiment.init_std**2 * 4000
    np.testing.assert_allclose(squares, expected, rtol=5 * (2 / 4000) ** 0.5)
    cosines = gram / np.sqrt(squares[..., :, None] * squares[..., None, :])
    assert (abs(cosines[..., ~np.eye(4, dtype=bool)]) < 5 / 4000**0.5).all()


def test_the_precision_that_jax_is_set_to_does_not_matter() -> None:
    single = three(SMALL.replace(precision="float32"))
    with double_by_default():
        double = run_hierarchy(single)
    xr.testing.assert_identical(double, run_hierarchy(single))


def test_labels_and_provenance() -> None:
    hierarchy = Hierarchy(PLAIN, (CLUSTERS, (0, 1, 2, 0)), ((0.25, 0.25, 0.25, 0.25),))
    result = run_hierarchy(hierarchy)
    assert result.level.values.tolist() == ["global", "cluster 1", "cluster 2", "local"]
    assert Hierarchy.from_json(result.attrs["hierarchy"]) == hierarchy
    assert Experiment.from_json(result.attrs["experiment"]) == PLAIN
    assert "jax" in json.loads(result.attrs["versions"])
    assert all("long_name" in values.attrs for values in result.values())
    np.testing.assert_array_equal(result["round"], PLAIN.record)
    np.testing.assert_array_equal(result.step, PLAIN.record)
    several = run_hierarchy(three(PLAIN.replace(local_steps=3, record=(0, 2))))
    np.testing.assert_array_equal(several.step, [0, 6])
    np.testing.assert_array_equal(several["round"], [0, 2])
    np.testing.assert_array_equal(several.group, PLAIN.groups)
    np.testing.assert_array_equal(several.samples, PLAIN.samples)
    np.testing.assert_array_equal(several.weight, three(PLAIN).weights)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"clusters": ((0, 1),)}, "clusters"),
        ({"clusters": ((0, 2, 2, 0),)}, "clusters"),
        ({"clusters": ((0, -1, 0, 1),)}, "clusters"),
        ({"weights": ()}, "weights"),
        ({"weights": ((0.5, 0.5),)}, "weights"),
        ({"weights": ((0.5, 0.4, 0.2),)}, "weights"),
        ({"weights": ((1.5, -0.5, 0.0),)}, "weights"),
        ({"experiment": PLAIN.replace(theta=(0.2,))}, "experiment.theta"),
        ({"experiment": PLAIN.replace(scheme="detached")}, "experiment.scheme"),
        ({"experiment": PLAIN.replace(engine="prompt")}, "experiment.engine"),
        ({"experiment": PLAIN.replace(engine="auto", optimizer="adam")}, "experiment.optimizer"),
        ({"experiment": PLAIN.replace(engine="auto", gram="wishart")}, "experiment.gram"),
        ({"experiment": PLAIN.replace(prior_feature_sq=1.0, prompt_dim=0)}, "experiment.prior_feature_sq"),
    ],
)
def test_what_is_not_allowed_is_named(change: dict, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dataclasses.replace(three(PLAIN), **change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["", "[]", '{"experiment": {}}', '{"experiment": {}, "clusters": 1, "weights": []}']
)
def test_text_that_is_no_hierarchy(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Hierarchy.from_json(text)
