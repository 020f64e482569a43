"""Faults to plant in the Gram engine, in what it draws, and in its check that noise stays in the linear band."""

from typing import Any

import jax.numpy as jnp

from promptfolio.checks.mutant import Edited, Mutant, Replaced
from promptfolio.checks.mutants.federated import sums_clients

_ENGINE = "simulate.engines.gram.training"
_MEASURE = "simulate.engines.gram.measure"
_WORLD = "simulate.engines.gram.world"
_CLAIM = ("sample_space",)
_WITHIN = "tests/simulate/test_gram.py::test_bounds_cover_the_steps_within_a_round"


def _all_groups_alike(original: Any) -> Any:
    return lambda selection, views: jnp.einsum("kvs,jvt->st", selection, views) / views.shape[0]


def _one_slope(original: Any) -> Any:
    def from_features(*arguments: Any) -> Any:
        world = original(*arguments)
        return world._replace(kernel=world.kernel / 2)

    return from_features


def _no_start_margins(original: Any) -> Any:
    def from_features(*arguments: Any) -> Any:
        world = original(*arguments)
        return world._replace(start_margins=0 * world.start_margins)

    return from_features


def _unit_noise(original: Any) -> Any:
    def from_law(program: Any, parameters: Any, keys: Any) -> Any:
        return original(program, parameters._replace(noise_std=jnp.ones_like(parameters.noise_std)), keys)

    return from_law


def _three_bands(original: Any) -> Any:
    return 3.0


MUTANTS: tuple[Mutant, ...] = (
    # --- training ---
    Replaced(
        "gram_clients_summed",
        _ENGINE,
        "in the space of samples, clients' moves are summed instead of averaged",
        _CLAIM,
        "participants_of_round",
        sums_clients,
    ),
    Edited(
        "gram_weights_swapped",
        _ENGINE,
        "in the space of samples, θ and 1−θ are swapped in joint training",
        _CLAIM,
        "return gradient(shared.signals, 1 - theta, together), gradient(own.signals, theta, together)",
        "return gradient(shared.signals, theta, together), gradient(own.signals, 1 - theta, together)",
    ),
    Edited(
        "gram_own_moves_forgotten",
        _ENGINE,
        "in the space of samples, a client's own change of the global prompt's noise is left out within a round",
        _CLAIM,
        "shared = shared._replace(coefficients=server_margins + moved)",
        "shared = shared._replace(coefficients=server_margins + 0 * moved)",
    ),
    Edited(
        "gram_signal_slope_fixed",
        _ENGINE,
        "in the space of samples, signal rows keep the band's slope beyond it",
        _CLAIM,
        "-view.norms * view.encoder.slope(signals) * (weight * pull)",
        "-2 * view.norms * (weight * pull)",
    ),
    Edited(
        "gram_absent_clients_train",
        _ENGINE,
        "in the space of samples, absent clients keep what they trained",
        _CLAIM,
        "lambda after, before: jnp.where(participating[:, None, None], after, before),",
        "lambda after, before: after,",
    ),
    Replaced(
        "gram_groups_merged",
        "simulate.engines.gram.view",
        "in the space of samples, clients of all groups move every group's feature alike",
        _CLAIM,
        "sum_over_clients",
        _all_groups_alike,
    ),
    # --- the world ---
    Replaced(
        "gram_kernel_slope_missing",
        _WORLD,
        "the kernel has one factor h′ instead of two",
        _CLAIM,
        "_from_features",
        _one_slope,
    ),
    Replaced(
        "gram_start_forgotten",
        _WORLD,
        "initial prompts' noise does not count in the margins",
        _CLAIM,
        "_from_features",
        _no_start_margins,
    ),
    Edited(
        "gram_degrees_of_freedom",
        _WORLD,
        "all lengths of a drawn Gram matrix have the full number of degrees of freedom",
        _CLAIM,
        "freedom = jnp.asarray(dim - jnp.arange(columns), jnp.float32)",
        "freedom = jnp.asarray(dim - 0 * jnp.arange(columns), jnp.float32)",
    ),
    Replaced(
        "gram_noise_not_scaled",
        _WORLD,
        "a drawn Gram matrix is that of noise with unit variance",
        _CLAIM,
        "_from_law",
        _unit_noise,
    ),
    # --- what is recorded, and the band ---
    Edited(
        "gram_start_counted_once",
        _MEASURE,
        "‖H_ξ‖² counts the product of initial and learned noise once",
        _CLAIM,
        "move * (2 * turn * at_start + move * lengths)",
        "move * (turn * at_start + move * lengths)",
    ),
    Edited(
        "gram_covariance_halved",
        _MEASURE,
        "⟨H_G,ξ , H_L,ξ⟩ lacks the initial global prompt",
        _CLAIM,
        "of_start = turn[:1] * jnp.sum(moved.own * start_global, axis=1)",
        "of_start = 0 * turn[:1]",
    ),
    Replaced(
        "band_left_unnoticed",
        "simulate.engines.gram.run",
        "runs that leave the linear band by a factor of up to three are kept",
        _CLAIM,
        "PROVED",
        _three_bands,
    ),
    Edited(
        "fallback_results_dropped",
        "simulate.running.runner",
        "results that failed the Gram engine's check are kept",
        _CLAIM,
        "        before[left] = after\n",
        "",
    ),
    Edited(
        "band_ignores_momentum",
        _MEASURE,
        "the bound on steps within a round ignores momentum",
        (_WITHIN,),
        "(1 - momentum_of(program.optimizer_options))",
        "(1 - 0 * momentum_of(program.optimizer_options))",
    ),
    Edited(
        "steps_within_a_round_unbounded",
        _MEASURE,
        "the closer bound looks at the ends of rounds only",
        (_WITHIN,),
        "steps = (program.local_steps - 1) / ",
        "steps = 0 * (program.local_steps - 1) / ",
    ),
    Edited(
        "gram_norms_with_squared_feature",
        _MEASURE,
        "lengths of noise vectors have e in place of its root",
        ("tests/simulate/test_engines.py::test_gram_engine_agrees_with_signals_beyond_the_linear_band",),
        "unit = SLOPE * root\n",
        "unit = SLOPE * root * root\n",
    ),
    Edited(
        "quick_bound_without_feature",
        _MEASURE,
        "the quick bound on the band lacks e",
        ("tests/simulate/test_gram.py::test_the_bound_within_a_round_is_what_momentum_adds_up_to",),
        "rate = SLOPE * parameters.squared_norms[-1] * world.reach[:, None]",
        "rate = SLOPE * world.reach[:, None]",
    ),
    Edited(
        "close_bound_without_feature",
        _MEASURE,
        "the closer bound on the band lacks e where it allows for steps within a round",
        ("tests/simulate/test_gram.py::test_the_bound_within_a_round_is_what_momentum_adds_up_to",),
        "extra = SLOPE * parameters.squared_norms[-1] * world.reach",
        "extra = SLOPE * world.reach",
    ),
    Edited(
        "drawn_starts_unscaled",
        _WORLD,
        "initial prompts of a drawn Gram matrix have e in place of its root",
        ("tests/simulate/test_gram.py::test_drawn_inner_products_have_the_law_of_those_of_features",),
        "feature_norm = jnp.sqrt(parameters.squared_norms[-1])",
        "feature_norm = parameters.squared_norms[-1]",
    ),
    Edited(
        "drawn_bound_too_short",
        _WORLD,
        "bounds on coordinates that are not drawn are those of a far larger chance",
        (
            "tests/simulate/test_gram.py::"
            "test_bounds_on_coordinates_that_are_not_drawn_hold_with_the_stated_chance",
        ),
        "tail = math.sqrt(2 * math.log(",
        "tail = math.sqrt(math.log(",
    ),
    Edited(
        "proved_for_one_prompt",
        "simulate.engines.gram.run",
        "a replicate is proved to stay in the linear band as soon as one of its prompts does",
        ("tests/simulate/test_gram.py::test_the_band_is_kept_by_all_prompts_at_all_theta_or_not_at_all",),
        "return jnp.max(bound(program, parameters, *pair), axis=0)",
        "return jnp.min(bound(program, parameters, *pair), axis=0)",
    ),
)
