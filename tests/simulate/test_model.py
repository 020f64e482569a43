"""Data (T1), encoder (T2), loss (T3) and the federated algorithm, each against an independent reading."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, ndtr

from simulate import Experiment, run
from simulate.experiment import Activation, Gram
from simulate.model.encoder import Encoder, activation_function
from simulate.model.program import split
from simulate.model.world import World
from simulate.running.prepared import prepare_rows
from tests.tolerances import RELATIVE, assert_agree

UNEQUAL = Experiment(
    clients=4,
    samples=(2, 5, 3, 4),
    groups=(0, 1, 0, 2),
    noise_dim=30,
    rounds=5,
    learning_rate=1e-2,
    init_std=0.1,
    noise_std=0.7,
)


def world_of(experiment: Experiment) -> World:
    """The first replicate's world, as NumPy arrays."""
    with jax.enable_x64(experiment.precision == "float64"):
        return jax.tree.map(lambda leaf: np.asarray(leaf[0]), prepare_rows(experiment).worlds)


@pytest.mark.parametrize("gram", ["features", "wishart"])
def test_every_row_has_its_own_norm_and_offset(gram: Gram) -> None:
    experiment = Experiment(
        clients=3,
        samples=(2, 5, 1),
        groups=(0, 1, 0),
        class_prior=(0.2, 0.5, 0.9),
        global_feature_sq=0.2,
        local_feature_sq=0.3,
        prior_feature_sq=0.5,
        noise_feature_sq=0.7,
        noise_dim=4,
        signal_offset=11.0,
        noise_offset=13.0,
        gram=gram,
    )
    with jax.enable_x64(True):
        program, parameters = split(experiment, "gram")
    noise = 4 if gram == "features" else 1
    assert (program.rows, program.signals, program.max_samples) == (8, 4, 5)
    expected = {
        "squared_norms": [0.2, 0.3, 0.3, 0.5] + noise * [0.7],
        "offset": 4 * [11.0] + noise * [13.0],
        "sample_counts": [2, 5, 1],
        "own_group": [[1, 0], [0, 1], [1, 0]],
        "class_prior": [0.2, 0.5, 0.9],
        "label_threshold": [0.8416212335729143, 0.0, -1.2815515655446004],  # of a standard normal
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(parameters, name), np.asarray(values), rtol=1e-6, err_msg=name)


def test_features_follow_the_data_model() -> None:
    data = world_of(UNEQUAL).data
    for client, (count, group) in enumerate(zip(UNEQUAL.samples, UNEQUAL.groups, strict=True)):
        labels, features = data.labels[client, :count], data.features[client, :count]
        assert set(np.unique(labels)) <= {-1.0, 1.0}
        np.testing.assert_array_equal(features[:, 0], labels)
        expected = np.zeros((count, 3))
        expected[:, group] = labels
        np.testing.assert_array_equal(features[:, 1:4], expected)
        np.testing.assert_array_equal(data.features[client, count:], 0)
        np.testing.assert_allclose(data.sample_weights[client].sum(), 1)


def test_noise_has_the_requested_distribution() -> None:
    noise = world_of(Experiment(clients=2, samples=(50,), noise_dim=4000, noise_std=0.7)).data.features[
        ..., 3:
    ]
    # 400 000 draws: five standard errors of a mean, a variance and a fourth moment.
    size = noise.size
    assert abs(noise.mean()) < 5 * 0.7 / size**0.5
    assert abs(noise.var() / 0.49 - 1) < 5 * (2 / size) ** 0.5
    assert abs((noise**4).mean() / (3 * 0.49**2) - 1) < 5 * (96 / 9 / size) ** 0.5


def test_initial_prompts_have_the_requested_distribution() -> None:
    experiment = Experiment(
        clients=60,
        samples=(1,),
        groups=(0,) * 60,
        noise_dim=30,
        noise_feature_sq=1.7,
        prompt_dim=150,
        init_std=0.2,
        engine="prompt",
    )
    literal, rows = world_of(experiment), world_of(experiment.replace(engine="coefficient"))
    prompts = np.concatenate([literal.initial_global[None], literal.initial_local])
    assert literal.weights is not None
    norms = np.linalg.norm(literal.weights, axis=1)
    np.testing.assert_allclose(norms**2, [3.4, 7.9] + [1.7] * 30, rtol=1e-6)
    # Every entry is N(0, init_std²), along the rows and off them, for each prompt anew. Five standard errors.
    along = prompts @ (literal.weights / norms[:, None]).T
    square, inside = (prompts**2).sum(axis=1), (along**2).sum(axis=1)
    for part, entries in ((square, 150), (inside, 32), (square - inside, 118)):
        assert abs(part.mean() / (0.04 * entries) - 1) < 5 * (2 / entries / 61) ** 0.5
    cosines = prompts @ prompts.T / np.sqrt(np.outer(square, square))
    assert abs(cosines[~np.eye(61, dtype=bool)]).max() < 6 / 150**0.5
    # The coefficient engine has the same prompts by their z.
    z = np.concatenate([rows.initial_global[None], rows.initial_local])
    assert_agree(z, along * norms, 1e-6)


def test_a_clients_samples_do_not_depend_on_the_others() -> None:
    few = world_of(UNEQUAL).data.features[1, :5]
    more = world_of(UNEQUAL.replace(samples=(9, 5, 9, 9))).data.features[1, :5]
    assert_agree(few, more, RELATIVE[UNEQUAL.precision])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "softplus", "tanh", "relu_power"])
def test_encoder_is_the_difference_of_two_activations(activation: Activation) -> None:
    parameter = 2.0 if activation == "relu_power" else 0.3
    z = jnp.linspace(-3, 3, 13, dtype=jnp.float32)
    offset = jnp.full_like(z, 1.25)
    encoder = Encoder(activation, jnp.float32(parameter), offset)
    sigma = activation_function(activation)
    np.testing.assert_allclose(
        encoder(z), sigma(z + offset, parameter) - sigma(-z + offset, parameter), atol=3e-6
    )
    step = jnp.float32(1e-2)
    finite_difference = (encoder(z + step) - encoder(z - step)) / (2 * step)
    np.testing.assert_allclose(encoder.slope(z), finite_difference, atol=3e-3)


def test_relu_encoder_has_slope_two_then_one() -> None:
    encoder = Encoder("relu", jnp.float32(0), jnp.full(4, 1.0, jnp.float32))
    z = jnp.asarray([-2.0, -0.5, 0.5, 2.0], jnp.float32)
    np.testing.assert_allclose(encoder(z), [-3.0, -1.0, 1.0, 3.0])
    np.testing.assert_allclose(encoder.slope(z), [1.0, 2.0, 2.0, 1.0])


def test_float32_encoder_keeps_small_signals_beside_a_large_offset() -> None:
    z = jnp.asarray([1e-5], jnp.float32)
    encoder = Encoder("relu", jnp.float32(0), jnp.asarray([1e3], jnp.float32))
    np.testing.assert_allclose(encoder(z), [2e-5], rtol=1e-6)


def reference_training(experiment: Experiment, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Section 1 of the model, read again as plain NumPy loops over clients and steps."""
    world = world_of(experiment)
    norms = np.repeat(
        (experiment.global_feature_sq, experiment.local_feature_sq, experiment.noise_feature_sq),
        (1, experiment.group_count, experiment.noise_dim),
    )
    offset = np.repeat(
        (experiment.signal_offset, experiment.noise_offset),
        (1 + experiment.group_count, experiment.noise_dim),
    )
    weights = np.array(experiment.samples) / sum(experiment.samples)

    def encode(z: np.ndarray) -> np.ndarray:
        return np.maximum(z + offset, 0) - np.maximum(-z + offset, 0)

    def slope(z: np.ndarray) -> np.ndarray:
        return (z + offset > 0).astype(float) + (-z + offset > 0)

    z_global, z_local = np.array(world.initial_global), np.array(world.initial_local)
    for _ in range(experiment.rounds):
        uploads = []
        for k, count in enumerate(experiment.samples):
            labels, features = world.data.labels[k, :count], world.data.features[k, :count]
            z = z_global.copy()
            for _ in range(experiment.local_steps):

                def pull(mixture: np.ndarray, labels=labels, features=features, count=count) -> np.ndarray:
                    margins = labels * (features @ mixture)
                    return (expit(-margins) * labels) @ features / count

                h_global, h_local = encode(z), encode(z_local[k])
                mixed = (1 - theta) * h_global + theta * h_local
                global_pull, local_pull = {
                    "joint": ((1 - theta) * pull(mixed), theta * pull(mixed)),
                    "posthoc": (pull(h_global), pull(h_local)),
                    "detached": (pull(h_global), theta * pull(mixed)),
                }[experiment.scheme]
                step_global = experiment.learning_rate * norms * slope(z) * global_pull
                step_local = experiment.learning_rate * norms * slope(z_local[k]) * local_pull
                z, z_local[k] = z + step_global, z_local[k] + step_local
            uploads.append(z)
        z_global = sum(w * z for w, z in zip(weights, uploads, strict=True))
    return z_global - world.initial_global, z_local - world.initial_local


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_training_equals_a_plain_loop(scheme: str) -> None:
    experiment = UNEQUAL.replace(
        scheme=scheme, theta=(0.3,), local_steps=3, signal_offset=0.3, noise_offset=0.4, record=(5,)
    )
    moved_global, moved_local = reference_training(experiment, 0.3)
    result = run(experiment).isel(seed=0, step=-1)
    result = result.isel(theta=0) if "theta" in result.beta.dims else result
    own = 1 + np.array(experiment.groups)
    expected = {
        "beta": np.stack([np.full(4, moved_global[0]), moved_local[:, 0]], axis=1),
        "gamma_own": np.stack([moved_global[own], moved_local[np.arange(4), own]], axis=1),
        "phi_norm": np.stack(
            [np.full(4, np.linalg.norm(moved_global[4:])), np.linalg.norm(moved_local[:, 4:], axis=1)], axis=1
        ),
        "phi_max": np.stack(
            [np.full(4, abs(moved_global[4:]).max()), abs(moved_local[:, 4:]).max(axis=1)], axis=1
        ),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(result[name], values, rtol=RELATIVE["float64"], atol=1e-14, err_msg=name)


def test_joint_training_at_the_ends_is_each_prompt_alone() -> None:
    ends = run(UNEQUAL.replace(theta=(0.0, 1.0)))
    posthoc = run(UNEQUAL.replace(theta=(0.0, 1.0), scheme="posthoc"))
    for theta, prompt in ((0.0, "global"), (1.0, "local")):
        alone = ends.sel(theta=theta, prompt=prompt)
        for name in ("beta", "gamma_own", "phi_norm"):
            assert_agree(alone[name], posthoc[name].sel(prompt=prompt), RELATIVE["float64"], name)
        np.testing.assert_allclose(
            ends.accuracy.sel(theta=theta, predictor="mixture"),
            posthoc.accuracy.sel(theta=theta, predictor=prompt),
            rtol=RELATIVE["float64"],
        )


def test_ratio_loss_and_accuracy_are_consistent() -> None:
    result = run(UNEQUAL.replace(theta=(0.0, 0.4, 1.0), scheme="posthoc"))
    np.testing.assert_allclose(result.accuracy, ndtr(result.ratio), rtol=1e-12)
    parts = result.sel(step=5)
    theta, moments = parts.theta, parts
    signal = (1 - theta) * moments.signal.sel(prompt="global") + theta * moments.signal.sel(prompt="local")
    square = (
        (1 - theta) ** 2 * moments.noise_norm_sq.sel(prompt="global")
        + 2 * theta * (1 - theta) * moments.noise_inner
        + theta**2 * moments.noise_norm_sq.sel(prompt="local")
    )
    expected = signal / (UNEQUAL.noise_std * np.sqrt(square))
    np.testing.assert_allclose(
        parts.ratio.sel(predictor="mixture").transpose(*expected.dims), expected, rtol=1e-9
    )
    assert (result.training_loss.isel(step=-1) < result.training_loss.isel(step=0)).all()


def test_absent_clients_keep_their_prompts() -> None:
    result = run(UNEQUAL.replace(participation=0.5, init_std=0.0))
    moved = result.phi_norm.isel(seed=0, theta=0).sel(prompt="local").diff("step") != 0
    np.testing.assert_array_equal(moved.sum("client"), 2)
    assert len(np.unique(moved.values, axis=0)) > 1, "another draw of clients in another round"
