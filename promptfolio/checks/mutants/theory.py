"""Faults to plant in the formulas."""

from typing import Any

import numpy as np
import sympy

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_MOMENTS = "theory.mixing.margin_moments"
_IN_MARGINS = "tests/theory/test_theory_margin_mixing.py::"
_IN_MOMENTS = "tests/theory/test_theory_margin_moments.py::"


def _over_norms(original: Any) -> Any:
    return lambda weights, moved: original(weights, moved) / np.linalg.norm(weights, axis=1)


def _summed(original: Any) -> Any:
    return lambda features, *others: len(features) * original(features, *others)


def _of_the_square(original: Any) -> Any:
    return lambda odds: original(np.square(odds))


def _upper_rate_twice(original: Any) -> Any:
    def formula() -> Any:
        symbols, _, upper_rate = original()
        return symbols, upper_rate, upper_rate

    return formula


def _a_tenth_of_the_width(original: Any) -> Any:
    def upper(*arguments: Any) -> Any:
        from theory.dynamics.sandwich import lower

        below = lower(*arguments)
        return below + 0.1 * (original(*arguments) - below)

    return upper


def _everything_shared(original: Any) -> Any:
    return lambda people: original(people._replace(shares=np.ones_like(people.shares)))


def _weighted_in_training(original: Any) -> Any:
    def formula() -> Any:
        symbols, margin = original()
        theta, rate_global = symbols[:2]
        return symbols, margin.subs(rate_global, (1 - theta) * rate_global)

    return formula


def _half_the_overlap(original: Any) -> Any:
    return lambda overlap: original(sympy.Rational(overlap, 2))


def _overlapping(original: Any) -> Any:
    def formula() -> Any:
        from theory.mixing.leading_order import inserted

        terms = inserted(1)
        return original()[0], terms.to_local / terms.to_global

    return formula


def _nothing_pulls_back(original: Any) -> Any:
    def types_of(federation: Any) -> Any:
        types = original(federation)
        signs = (np.maximum(each, 0.0) for each in (types.shared_signs, types.group_signs))
        return types._replace(**dict(zip(("shared_signs", "group_signs"), signs, strict=True)))

    return types_of


def _share_squared(original: Any) -> Any:
    def formula() -> Any:
        symbols, (signal, covariance) = original()
        return symbols, (signal.subs(symbols[2], symbols[2] ** 2), covariance)

    return formula


def _unpooled(original: Any) -> Any:
    def formula() -> Any:
        symbols, feature = original()
        return symbols, feature.subs(symbols[2], symbols[3])

    return formula


MUTANTS: tuple[Mutant, ...] = (
    Replaced(
        "dependent_coefficients",
        "theory.model.decomposition",
        "coefficients are scaled by norms instead of squared norms",
        ("decomposition",),
        "coefficients",
        _over_norms,
    ),
    Replaced(
        "increment_unweighted",
        "theory.model.update_rule",
        "the coefficient update sums over samples",
        ("update_rule",),
        "_mean_pull",
        _summed,
    ),
    Edited(
        "start_forgotten",
        "theory.dynamics.saturation",
        "the closed form lacks e^{M_0}",
        ("sandwich",),
        "weight = np.exp(exponent)",
        "weight = np.ones_like(exponent)",
    ),
    Edited(
        "mixture_covariance_halved",
        "theory.mixing.tangency",
        "the mixture's variance counts the covariance once",
        ("tangency", "advantage"),
        "variance = w_global**2 * a + 2 * w_global * w_local * c + w_local**2 * b",
        "variance = w_global**2 * a + w_global * w_local * c + w_local**2 * b",
    ),
    Replaced(
        "root_dropped",
        "theory.mixing.joint_law",
        "√ dropped in the joint law",
        ("joint_law", "per_client"),
        "joint_mixing",
        _of_the_square,
    ),
    Edited(
        "sample_kernel_unweighted",
        "theory.dynamics.margin_kernel",
        "the margin kernel counts the global prompt's weight once instead of twice",
        ("sample_sandwich", "derivations"),
        "(1 - at.theta) ** 2 / total",
        "(1 - at.theta) / total",
    ),
    Replaced(
        "spread_ignored",
        "theory.dynamics.sample_sandwich",
        "the sample-wise lower rate takes the spread of margins with the wrong sign",
        ("sample_sandwich",),
        "formula",
        _upper_rate_twice,
    ),
    Replaced(
        "sandwich_too_narrow",
        "theory.dynamics.sandwich",
        "the upper bound of the sandwich is too low",
        ("sandwich",),
        "upper",
        _a_tenth_of_the_width,
    ),
    Edited(
        "drift_not_averaged",
        "theory.dynamics.mean_field",
        "the mean field lacks the drift inside a round",
        ("mean_field",),
        "before_global + drift_global @ own.T",
        "before_global",
    ),
    Replaced(
        "mean_field_unweighted",
        "theory.dynamics.client_margins",
        "the mean field ignores who shares a feature",
        ("mean_field",),
        "kernel",
        _everything_shared,
    ),
    Edited(
        "shared_samples_dropped",
        "theory.dynamics.predicted_ratio",
        "the prediction lacks the covariance of a client's samples, which enter both prompts",
        ("client_ratio",),
        "in_both = share / counts",
        "in_both = 0 * share / counts",
    ),
    Edited(
        "round_rate_wrong",
        "theory.dynamics.round_recursion",
        "inside a round the margin grows at the average's rate",
        ("round_recursion",),
        "saturation.accumulated(k_local * time, k_local, k_global * before)",
        "saturation.accumulated(k_global * time, k_global, k_global * before)",
    ),
    Replaced(
        "detached_weight_wrong",
        "theory.dynamics.detached",
        "the detached mean field trains the global prompt with weight 1−θ",
        ("detached",),
        "formula",
        _weighted_in_training,
    ),
    Replaced(
        "overlap_of_data_wrong",
        "theory.mixing.leading_order",
        "average and local prompt are taken to share half of the client's samples",
        ("leading_order", "derivations"),
        "inserted",
        _half_the_overlap,
    ),
    Replaced(
        "overlap_not_removed",
        "theory.mixing.independent_assets",
        "independent assets are given the covariance of overlapping ones",
        ("independent_assets",),
        "formula",
        _overlapping,
    ),
    Edited(
        "noise_energy_unsquared",
        "theory.model.aggregation",
        "averaged noise is weighted with p_k instead of p_k²",
        ("derivations",),
        "weight**2 / count)",
        "weight / count)",
    ),
    Replaced(
        "flipped_samples_neutral",
        "theory.dynamics.sample_types",
        "wrongly labelled samples are taken to have no effect instead of the opposite one",
        ("label_noise",),
        "types_of",
        _nothing_pulls_back,
    ),
    Replaced(
        "bias_one_sided",
        "theory.dynamics.sample_types",
        "negative samples are taken not to move the bias",
        ("class_priors",),
        "types_of",
        _nothing_pulls_back,
    ),
    Replaced(
        "cluster_share_squared",
        "theory.mixing.nested_assets",
        "the cluster prompt's signal takes its group's share twice",
        ("many_assets",),
        "formula",
        _share_squared,
    ),
    Replaced(
        "late_kernel_unpooled",
        "theory.late_time.limit",
        "the maximum margin weighs pooled samples like a client's own",
        ("late_time",),
        "formula",
        _unpooled,
    ),
    Edited(
        "memory_dropped",
        "theory.late_time.solver",
        "the memory of overlapping samples enters the late-time mean field with the wrong sign",
        ("late_time",),
        "np.linalg.solve(unit + at.samples",
        "np.linalg.solve(unit - at.samples",
    ),
    Edited(
        "response_ignored",
        "theory.late_time.federation_solver",
        "samples do not oppose the noise that they have in common",
        ("any_federation",),
        "response, power = count * variance * state.response",
        "response, power = 0 * count * variance * state.response",
    ),
    Edited(
        "saturation_ignored",
        "theory.mixing.training_time",
        "both prompts saturate at the global prompt's rate",
        ("training_time",),
        "tau_local = np.asarray(accumulated(eta * k_local * t, k_local))",
        "tau_local = np.asarray(accumulated(eta * k_global * t, k_global))",
    ),
    # --- margins of real features ---
    Edited(
        "class_moments_skip_the_client",
        _MOMENTS,
        "a class's moments are shrunk towards everyone's instead of its client's",
        (f"{_IN_MOMENTS}test_a_class_is_shrunk_towards_its_own_client",),
        "within = shrink(scatter, freedom, np.repeat(pooled, cells_of_client, axis=1), prior)",
        "within = shrink(scatter, freedom, everyone, prior)",
    ),
    Edited(
        "mean_taken_as_known",
        _MOMENTS,
        "a fresh margin's variance leaves out that of the estimated mean",
        (f"{_IN_MARGINS}test_covariance_is_shrunk_to_the_clients_and_then_to_all_clients",),
        "fresh = covariance * (1 + 1 / samples)",
        "fresh = covariance * (1 + 0 / samples)",
    ),
    Edited(
        "margins_have_n_degrees",
        _MOMENTS,
        "a scatter of n samples is divided by n",
        (f"{_IN_MARGINS}test_covariance_is_shrunk_to_the_clients_and_then_to_all_clients",),
        "freedom = (counts - 1)[:, None] * is_rival",
        "freedom = counts[:, None] * is_rival",
    ),
)
