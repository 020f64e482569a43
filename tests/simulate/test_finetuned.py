"""The finetuned scheme: read again as plain loops, the same in every engine, and refused where it means nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.special import expit, ndtr

from simulate import Experiment, run
from simulate.engines.choice import row_engine
from simulate.running.portfolio import train_portfolio
from simulate.running.prepared import prepare
from simulate.validation import ConfigurationError
from tests.simulate import test_literal_training as literal
from tests.simulate.test_engines import LINEAR_NOISE, SMALL, difference, gram_difference
from tests.tolerances import RELATIVE, assert_agree

TUNED: dict[str, Any] = {"scheme": "finetuned", "finetune_steps": 4, "record": ()}
UNEQUAL = literal.UNEQUAL.replace(rounds=5, theta=(0.3, 1.0), **TUNED)


class Loops(NamedTuple):
    """Pre-activations of all rows after every turn: of the server, (turns, rows), and (turns, clients, rows)."""

    server: np.ndarray
    local: np.ndarray
    world: Any


def participants(experiment: Experiment) -> np.ndarray:
    """Who took part in each round, seen from whose local prompt moved under another scheme; (rounds, clients)."""
    seen = run(
        experiment.replace(
            scheme="posthoc",
            finetune_steps=0,
            record=(),
            theta=(0.5,),
            init_std=0.0,
            engine="coefficient",
            optimizer="sgd",
            optimizer_options=(),
        )
    )
    lengths = seen.phi_norm.sel(prompt="local").isel(seed=0).transpose("step", "client")
    return np.diff(lengths.values, axis=0) != 0


Step = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]
"""(gradient, state that it changes) -> the change of z."""


def momentum(rate: float, share: float) -> Step:
    def step(gradient: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        state["velocity"] = gradient + share * state.get("velocity", 0 * gradient)
        return -rate * state["velocity"]

    return step


def loops(experiment: Experiment, step: Step) -> Loops:
    """One prompt for each client, in ReLU's linear band; the first replicate, client by client and step by step."""
    with jax.enable_x64(True):
        named = experiment.replace(engine="coefficient")
        world = jax.tree.map(
            lambda leaf: np.asarray(leaf[0]), prepare(named, engine=row_engine(named)).worlds
        )
    squares = np.repeat(
        [experiment.global_feature_sq, experiment.local_feature_sq, experiment.noise_feature_sq],
        [1, experiment.group_count, experiment.noise_dim],
    )
    counts, clients = np.asarray(experiment.samples), range(experiment.clients)

    def moved(client: int, start: np.ndarray, steps: int, state: dict[str, np.ndarray]) -> np.ndarray:
        labels, features = (
            part[client, : counts[client]] for part in (world.data.labels, world.data.features)
        )
        z = start.copy()
        for _ in range(steps):
            residuals = expit(-labels * (features @ (2 * z))) * labels
            z += step(-2 * squares * (residuals @ features) / counts[client], state)
        return z

    server = world.initial_global.copy()
    states: list[dict[str, np.ndarray]] = [{} for _ in clients]
    servers, locals_ = [server], [np.stack([server] * len(counts))]
    for present in participants(experiment):
        here = np.flatnonzero(present).tolist()
        trained = [moved(client, server, experiment.local_steps, states[client]) for client in here]
        server = np.average(trained, axis=0, weights=counts[here])
        servers.append(server)
        locals_.append(np.stack([server] * len(counts)))
    states = [{} for _ in clients]
    for _ in range(experiment.finetune_steps):
        servers.append(server)
        locals_.append(np.stack([moved(k, locals_[-1][k], 1, states[k]) for k in clients]))
    return Loops(np.stack(servers), np.stack(locals_), world)


@pytest.mark.parametrize("engine", ["coefficient", "gram", "prompt"])
@pytest.mark.parametrize(
    ("options", "share"), [((), 0.0), ((("momentum", 0.8),), 0.8)], ids=["plain", "momentum"]
)
def test_training_and_fine_tuning_equal_plain_loops(
    engine: str, options: tuple[tuple[str, float], ...], share: float
) -> None:
    """Unequal clients of whom half take part, three local steps, wrong labels, a start that is not zero."""
    experiment = UNEQUAL.replace(engine=engine, optimizer_options=options)
    expected = loops(experiment, momentum(experiment.learning_rate, share))
    result = run(experiment).isel(seed=0)
    tasks, own = 1 + experiment.group_count, np.asarray(experiment.groups)
    start = expected.world.initial_global
    moves = np.stack([np.broadcast_to(expected.server[:, None], expected.local.shape), expected.local], -1)
    found = {
        "beta": (moves - start[:, None])[:, :, 0],
        "gamma_own": (moves - start[:, None])[:, np.arange(4), 1 + own],
        "phi_norm": np.linalg.norm((moves - start[:, None])[:, :, tasks:], axis=2),
        "phi_max": np.abs((moves - start[:, None])[:, :, tasks:]).max(axis=2),
        "noise_norm_sq": 4 * (moves[:, :, tasks:] ** 2).sum(axis=2),
        "signal": 2 * (moves[:, :, 0] + moves[:, np.arange(4), 1 + own]),
        "band_occupancy": np.abs(moves).max(axis=2) / 1e3,
    }
    assert result.sizes["step"] == experiment.rounds + experiment.finetune_steps + 1
    for name, values in found.items():
        assert_agree(result[name].transpose("step", "client", "prompt"), values, RELATIVE["float64"], name)
    noise = 2 * moves[:, :, tasks:]
    assert_agree(result.noise_inner, np.prod(noise, axis=3).sum(axis=2), RELATIVE["float64"], "noise_inner")
    for place, theta in enumerate(experiment.theta):
        mixed = (1 - theta) * moves[..., 0] + theta * moves[..., 1]
        signal = mixed[:, :, 0] + mixed[:, np.arange(4), 1 + own]
        ratio = signal / (experiment.noise_std * np.linalg.norm(mixed[:, :, tasks:], axis=2))
        mixture = result.isel(theta=place).sel(predictor="mixture")
        assert_agree(mixture.ratio, ratio, RELATIVE["float64"], "ratio")
        assert_agree(mixture.accuracy, ndtr(ratio), RELATIVE["float64"], "accuracy")
        data, counts = expected.world.data, experiment.samples
        margins = 2 * np.einsum("kn,knr,tkr->tkn", data.labels, data.features, mixed)
        losses = [np.logaddexp(0, -margins[:, k, : counts[k]]).mean(axis=1) for k in range(4)]
        assert_agree(mixture.training_loss, np.stack(losses, axis=1), RELATIVE["float64"], "training_loss")


def test_the_global_prompt_is_that_of_post_hoc_training_and_stays() -> None:
    alone = run(SMALL.replace(scheme="posthoc"))
    tuned = run(SMALL.replace(**TUNED))
    for name in ("beta", "gamma_own", "phi_norm", "signal", "noise_norm_sq"):
        of_server = tuned[name].sel(prompt="global")
        while_rounds = of_server.isel(step=slice(0, SMALL.rounds + 1))
        assert_agree(while_rounds, alone[name].sel(prompt="global"), RELATIVE["float64"], name)
        assert (of_server.isel(step=slice(SMALL.rounds, None)) == of_server.isel(step=-1)).all(), name
        assert (tuned[name].sel(prompt="local") == of_server).isel(step=slice(0, SMALL.rounds + 1)).all(), (
            name
        )
        assert (tuned[name].sel(prompt="local") != of_server).isel(step=-1).all(), name


def test_turns_are_rounds_and_then_single_steps() -> None:
    result = run(SMALL.replace(**TUNED | {"record": (0, 5, 6, 7, 10)}))
    assert result.step.values.tolist() == [0, 10, 12, 13, 16]
    assert result["round"].values.tolist() == [0, 5, 6, 6, 6]
    assert result.finetune_step.values.tolist() == [0, 0, 0, 1, 4]
    assert "finetune_step" not in run(SMALL).coords
    every = run(SMALL.replace(**TUNED))
    xr.testing.assert_allclose(
        result.accuracy.drop_vars("step"),
        every.accuracy.isel(step=[0, 5, 6, 7, 10]).drop_vars("step"),
        rtol=1e-12,
    )


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_engines_agree(precision: Any) -> None:
    tuned = SMALL.replace(**TUNED, precision=precision)
    assert run(tuned).band_occupancy.max() > 1.1, "the run must leave the linear band to test anything"
    both = [run(tuned.replace(engine=engine)) for engine in ("prompt", "coefficient")]
    assert difference(*both) < RELATIVE[precision]
    linear = LINEAR_NOISE.replace(**TUNED, precision=precision)
    assert gram_difference(linear) < RELATIVE[precision]
    noisy = {"label_noise": 0.3, "class_prior": (0.9, 0.5, 0.2), "prior_feature_sq": 2.0, "prompt_dim": 0}
    assert gram_difference(linear.replace(**noisy, activation="leaky_relu")) < RELATIVE[precision]


def test_the_bound_on_the_band_covers_what_fine_tuning_adds() -> None:
    """A noise offset that rounds leave alone, and fine-tuning does not: the Gram engine gives such runs away."""
    changes = TUNED | {
        "finetune_steps": 200,
        "rounds": 1,
        "record": (1, 201),
        "signal_offset": 1e6,
        "init_std": 0.0,
    }
    tuned = LINEAR_NOISE.replace(**changes)  # signals do not count
    reached = run(tuned).band_occupancy.max(("seed", "client", "prompt")).values * tuned.noise_offset
    assert reached[1] > 1.4 * reached[0]
    between = tuned.replace(noise_offset=float(1.2 * reached[0]), engine="gram")
    assert run(between).fallback.all()
    assert not run(between.replace(noise_offset=float(1.1 * reached[1]))).fallback.any()


def test_drawn_inner_products_follow_the_same_statistics() -> None:
    experiment = Experiment(
        clients=5,
        samples=(8,),
        noise_dim=300,
        rounds=5,
        learning_rate=5e-3,
        replicates=40,
        engine="gram",
        theta=(1.0,),
        **TUNED | {"record": (5, 9)},
    )
    accuracy = [
        run(experiment.replace(gram=gram)).accuracy.sel(predictor="mixture").mean("client").isel(theta=0)
        for gram in ("features", "wishart")
    ]
    gap = accuracy[0].mean("seed") - accuracy[1].mean("seed")
    error = np.sqrt(sum(each.var("seed", ddof=1) / 40 for each in accuracy))
    assert (abs(gap) < 4.5 * error).all()


def test_an_optimizer_starts_anew_with_fine_tuning() -> None:
    """The first step of sign descent's momentum-like Adam has the size of the rate, whatever came before it."""
    rate = 1e-3
    tuned = SMALL.replace(
        **TUNED | {"finetune_steps": 1},
        optimizer="adam",
        learning_rate=rate,
        signal_offset=1e3,
        noise_offset=1e3,
    )
    with jax.numpy_dtype_promotion("standard"):  # Optax divides floats by integers
        portfolio = train_portfolio(tuned)
    step = abs(portfolio.local_prompts - portfolio.global_prompt[:, :, None])
    np.testing.assert_allclose(step[step > rate / 2], rate, rtol=1e-3)
    assert (step > rate / 2).mean() > 0.9


def test_a_portfolio_is_what_a_run_ends_with() -> None:
    tuned = UNEQUAL.replace(engine="coefficient")
    portfolio, result = train_portfolio(tuned), run(tuned)
    of_noise = portfolio.feature_local[..., 1 + tuned.group_count :]
    last = result.noise_norm_sq.isel(step=-1).sel(prompt="local")
    assert_agree(last, (of_noise[:, 0] ** 2).sum(axis=-1), RELATIVE["float64"], "noise_norm_sq")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scheme": "finetuned"}, "finetune_steps"),
        ({"scheme": "finetuned", "finetune_steps": -1}, "finetune_steps"),
        ({"scheme": "finetuned", "finetune_steps": 2.0}, "finetune_steps"),
        ({"scheme": "finetuned", "finetune_steps": 2**31 - 1}, "finetune_steps"),
        ({"scheme": "joint", "finetune_steps": 3}, "finetune_steps"),
        ({"scheme": "finetuned", "finetune_steps": 3, "rounds": 5, "record": (9,)}, "record"),
        ({"scheme": "finetuned", "finetune_steps": 2**31 - 200}, "record"),
        ({"scheme": "finetuned", "finetune_steps": 3, "engine": "gram", "optimizer": "adam"}, "engine"),
    ],
)
def test_what_means_nothing_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Experiment(**changes)
    assert error.value.field == field


def test_experiments_of_earlier_versions_have_no_fine_tuning() -> None:
    text = Experiment().to_json().replace('"finetune_steps": 0, ', "")
    assert "finetune" not in text
    assert Experiment.from_json(text) == Experiment()
