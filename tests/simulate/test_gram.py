"""The Gram engine's own promises: its check of the band, its way to draw inner products, and when it is chosen."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi, norm

from simulate import ConfigurationError, Experiment, run
from simulate.engines.choice import choose_engine
from simulate.engines.gram.measure import path_bound, quick_path_bound
from simulate.engines.gram.run import advance_gram, stayed_in_band
from simulate.engines.gram.world import CHANCE
from simulate.running.portfolio import train_portfolio
from simulate.running.prepared import Prepared, prepare
from tests.tolerances import RELATIVE, assert_agree

BASE = Experiment(
    clients=3,
    samples=(4, 6, 5),
    groups=(0, 1, 0),
    noise_dim=60,
    noise_std=0.7,
    noise_feature_sq=2.5,
    init_std=0.1,
    theta=(0.2, 0.8),
    rounds=8,
    local_steps=3,
    participation=0.6,
    learning_rate=2e-2,
    noise_offset=30.0,
    engine="gram",
    replicates=2,
)
DRAWN = BASE.replace(gram="wishart")


def trained(experiment: Experiment) -> tuple[Prepared, np.ndarray, np.ndarray]:
    """A run, with both bounds on its band occupancy over all its steps, (seeds, prompts, thetas)."""
    with jax.enable_x64(True):
        prepared = prepare(experiment)
        states, _ = advance_gram(*prepared.constants, prepared.states, jnp.asarray([experiment.rounds]))
        program, parameters = prepared.program, prepared.parameters

        def over_seeds(bound: Callable[..., jax.Array]) -> np.ndarray:
            pairs = (prepared.worlds, states)
            return np.asarray(jax.lax.map(lambda pair: bound(program, parameters, *pair), pairs))

        return prepared, over_seeds(quick_path_bound), over_seeds(path_bound)


@pytest.mark.parametrize("options", [(), (("momentum", 0.8),)])
def test_bounds_hold_at_every_round(options: tuple[tuple[str, float], ...]) -> None:
    experiment = BASE.replace(optimizer_options=options, learning_rate=5e-3, signal_offset=1e6)
    # Signals have so wide a band that the occupancy is the noise rows'.
    largest = run(experiment.replace(engine="coefficient")).band_occupancy.max("step")
    _, quick, close = trained(experiment)
    expected = np.concatenate(
        [largest.sel(prompt="global").values[:, :, :1], largest.sel(prompt="local").values], axis=2
    ).swapaxes(1, 2)
    assert (expected <= close * (1 + 1e-12)).all()
    assert (expected <= quick).all()
    assert (quick < 20 * expected).all(), "a bound this loose says nothing"


@pytest.mark.parametrize(
    ("options", "learning_rate"),
    # With momentum, a rate so small that residuals stay near 1/2 and steps reach 1/(1−m) times the first.
    [
        ((), 2e-2),
        ((("momentum", 0.99),), 1e-7),  # so much that the bound's other slack does not hide it
        ((("momentum", 0.9), ("nesterov", 1)), 1e-6),
    ],
)
def test_bounds_cover_the_steps_within_a_round(
    options: tuple[tuple[str, float], ...], learning_rate: float
) -> None:
    # A client takes its own copy of the global prompt far, before averaging over many brings it back.
    many = BASE.replace(
        clients=20,
        samples=(1,),
        groups=(),
        class_prior=(0.5,),
        prompt_dim=0,
        init_std=0.0,
        local_steps=50,
        participation=1.0,
        rounds=1,
        record=(1,),
        theta=(0.0,),
        signal_offset=1e6,
        optimizer_options=options,
        learning_rate=learning_rate,
    )
    one = many.replace(clients=1, samples=(1,), groups=(), class_prior=(0.5,), prompt_dim=0, local_steps=49)
    copy = run(one.replace(engine="coefficient")).band_occupancy.sel(prompt="global").values.ravel()
    _, quick, close = trained(many)
    assert (copy <= quick[:, 0, 0]).all()
    assert (copy <= close[:, 0, 0]).all()
    server = run(many).band_occupancy.sel(prompt="global", client=0).values.ravel()
    assert (server < 0.5 * copy).all(), "averaging must hide the copy to test anything"


@pytest.mark.parametrize("bound_of", [quick_path_bound, path_bound])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_bound_within_a_round_is_what_momentum_adds_up_to(
    momentum: float, bound_of: Callable[..., jax.Array]
) -> None:
    # Without coefficients and initial noise either bound is that of a client's own steps within a round.
    experiment = BASE.replace(
        init_std=0.0, local_steps=6, learning_rate=1e-9, optimizer_options=(("momentum", momentum),)
    )
    with jax.enable_x64(True):
        prepared = prepare(experiment)
        pairs = (prepared.worlds, prepared.states)
        bound = np.asarray(
            jax.lax.map(lambda pair: bound_of(prepared.program, prepared.parameters, *pair), pairs)
        )
    # The rate is so small that residuals stay 1/2. The velocity is carried over from round to round.
    velocity, carried = 0.0, 0.0
    for _ in range(100):
        carried = 0.0
        for _ in range(experiment.local_steps - 1):
            velocity = momentum * velocity + 0.5
            carried += velocity
        velocity = momentum * velocity + 0.5
    # Of the client with fewest samples: its coefficients grow by η/n for each of n samples.
    coefficients = experiment.learning_rate * carried / np.sqrt(min(experiment.samples))
    reach = 2 * experiment.noise_feature_sq * np.asarray(prepared.worlds.reach)[:, 0]
    literal = reach * coefficients / experiment.noise_offset
    # Residuals are at most 1, twice what they are here.
    np.testing.assert_allclose(
        bound[:, 0], np.broadcast_to(2 * literal[:, None], bound[:, 0].shape), rtol=1e-6
    )


def test_a_run_that_leaves_the_band_falls_back() -> None:
    narrow = BASE.replace(noise_offset=0.3)
    result, expected = run(narrow), run(narrow.replace(engine="coefficient"))
    assert result.fallback.all()
    assert not expected.fallback.any()
    for name in set(expected) - {"fallback"}:
        assert_agree(result[name], expected[name], RELATIVE["float64"], name)
    with pytest.raises(ConfigurationError, match="noise_offset"):
        run(DRAWN.replace(noise_offset=0.3))


@pytest.mark.parametrize(
    ("bounds", "proved"),  # of two prompts at two θ
    [
        ([[0.5, 0.5], [0.5, 0.998]], True),
        ([[0.5, 0.5], [0.5, 1.01]], False),
        ([[1.01, 0.5], [0.5, 0.5]], False),
        ([[0.5, 0.5], [0.5, 0.9995]], False),  # rounding needs room
        ([[0.5, 0.5], [0.5, np.nan]], False),
    ],
)
def test_the_band_is_kept_by_all_prompts_at_all_theta_or_not_at_all(
    bounds: list[list[float]], proved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("quick_path_bound", "path_bound"):
        monkeypatch.setattr(f"simulate.engines.gram.run.{name}", lambda *_: jnp.asarray(bounds))
    with jax.enable_x64(True):
        prepared = prepare(BASE)
        np.testing.assert_array_equal(stayed_in_band(prepared, prepared.states), [proved, proved])


def test_the_closer_bound_saves_runs() -> None:
    _, quick, close = trained(BASE)
    between = BASE.replace(noise_offset=30.0 * float(np.sqrt(quick.max() * close.max())))
    assert close.max() < quick.max()
    assert not run(between).fallback.any()


def test_drawn_inner_products_have_the_law_of_those_of_features() -> None:
    experiment = BASE.replace(samples=(2, 3, 2), noise_dim=9, replicates=3000, precision="float64")
    with jax.enable_x64(True):
        both = [prepare(experiment.replace(gram=gram)).worlds for gram in ("features", "wishart")]
        for name in ("kernel", "start_margins", "start_inner", "initial_signals"):
            features, drawn = (np.asarray(getattr(world, name)).reshape(3000, -1) for world in both)
            for power in (1, 2):
                error = np.sqrt((features**power).var(0) / 3000 + (drawn**power).var(0) / 3000)
                gap = abs((features**power).mean(0) - (drawn**power).mean(0))
                assert (gap <= 5 * error).all(), (name, power)
        # Three vectors depend on one another too: what a Gram matrix of too few dimensions would get wrong.
        features, drawn = (np.linalg.det(np.asarray(world.kernel)[:, :2, :2]) for world in both)
        gap = abs(features.mean() - drawn.mean())
        assert gap < 5 * np.sqrt(features.var() / 3000 + drawn.var() / 3000)


def test_bounds_on_coordinates_that_are_not_drawn_hold_with_the_stated_chance() -> None:
    experiment = DRAWN.replace(
        clients=30, samples=(20,), groups=(), class_prior=(0.5,), noise_dim=3000, prompt_dim=0, replicates=1
    )
    with jax.enable_x64(True):
        world = jax.tree.map(np.asarray, prepare(experiment).worlds)
    # A coordinate of a prompt's samples has a χ-distributed length, that of a start is normal.
    counts = np.array([600] + [20] * 30)
    lengths = chi.sf(world.reach[0] / experiment.noise_std, counts)
    start_std = experiment.init_std * np.sqrt(experiment.noise_feature_sq)
    starts = 2 * norm.sf(world.start_reach[0] / start_std)
    assert 3000 * (lengths.sum() + starts.sum()) < CHANCE
    assert 3000 * starts.sum() > CHANCE / 100, "a bound this loose says nothing"
    exact = experiment.noise_std * chi.isf(CHANCE / (31 * 3000), counts)
    assert (world.reach[0] < 1.4 * exact).all(), "a bound this loose says nothing"


def test_drawn_inner_products_have_the_rank_of_their_vectors() -> None:
    experiment = DRAWN.replace(samples=(5,), noise_dim=7, replicates=1)
    with jax.enable_x64(True):
        kernel = np.asarray(prepare(experiment).worlds.kernel[0])
    assert np.linalg.matrix_rank(kernel) == 7


def test_results_from_drawn_inner_products_have_the_law_of_those_from_features() -> None:
    experiment = BASE.replace(replicates=1500, theta=(0.5,), record=(8,), noise_dim=25, learning_rate=0.05)
    features, drawn = run(experiment), run(experiment.replace(gram="wishart"))
    assert drawn.attrs["engine_used"] == "gram"
    for name in ("ratio", "accuracy", "phi_norm", "noise_norm_sq", "noise_inner", "training_loss"):
        for power in (1, 2):
            first, second = features[name] ** power, drawn[name] ** power
            gap = abs(first.mean("seed") - second.mean("seed"))
            error = np.sqrt((first.var("seed") + second.var("seed")) / 1500)
            assert (gap <= 5 * error).all(), (name, power)


def test_drawn_inner_products_need_no_coordinates() -> None:
    result = run(DRAWN.replace(noise_dim=10**7, init_std=0.0, record=(8,), prompt_dim=0, learning_rate=1e-8))
    assert result.phi_max.isnull().all()
    assert result.attrs["band_occupancy_is"] == "upper bound"
    assert (result.band_occupancy < 1).all()
    assert (result.noise_overlap < 0.01).all()
    assert (result.noise_norm_sq > 0).all()


def test_a_bound_stands_for_the_occupancy_of_drawn_inner_products() -> None:
    exact, bound = run(BASE.replace(signal_offset=1e6)), run(DRAWN.replace(signal_offset=1e6))
    assert exact.attrs["band_occupancy_is"] == "exact"
    assert bound.band_occupancy.min() > exact.band_occupancy.max()


def test_prompts_come_from_the_full_draws() -> None:
    gram, coefficient = train_portfolio(BASE), train_portfolio(BASE.replace(engine="coefficient"))
    np.testing.assert_array_equal(gram.local_prompts, coefficient.local_prompts)
    with pytest.raises(ConfigurationError, match="gram"):
        train_portfolio(DRAWN)


LARGE = Experiment(
    clients=10, samples=(20,), rounds=500, record=(500,), replicates=8, theta=tuple(i / 20 for i in range(21))
)


@pytest.mark.parametrize(
    ("changes", "engine"),
    [
        ({}, "gram"),
        ({"scheme": "posthoc", "replicates": 200}, "gram"),
        ({"record": ()}, "coefficient"),  # noise rows at every round cost what the engine saves
        ({"samples": (200,), "theta": (0.1, 0.5)}, "coefficient"),  # as many samples as rows
        ({"rounds": 5, "record": (5,)}, "coefficient"),  # compiling takes longer
        ({"activation": "softplus"}, "coefficient"),
        ({"optimizer_options": (("momentum", 0.9),)}, "gram"),
        ({"optimizer_options": (("momentum", -0.5),)}, "coefficient"),
        ({"optimizer": "adam"}, "prompt"),
        ({"gram": "wishart", "rounds": 5, "record": (5,)}, "gram"),
    ],
)
def test_auto_chooses_the_cheapest_valid_engine(changes: dict[str, object], engine: str) -> None:
    assert choose_engine(LARGE.replace(engine="auto", prompt_dim=0, **changes)).name == engine


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "tanh"},
        {"optimizer": "adam"},
        {"optimizer_options": (("momentum", 1.0),)},
        {"gram": "wishart", "engine": "coefficient"},
        {"gram": "wishart", "engine": "auto", "activation": "tanh"},
    ],
)
def test_what_the_engine_cannot_do_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="engine"):
        BASE.replace(**changes)
