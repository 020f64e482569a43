"""T12, T13 and T14 against training with exactly orthogonal noise, closed forms, and each other."""

from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit

from theory.dynamics import client_margins, detached, predicted_ratio, round_recursion, symmetric_ratio
from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.mean_field import accumulated, margins
from theory.dynamics.residuals import Accumulated
from theory.dynamics.sample_types import SampleTypes, population
from theory.extensions.prediction import best_mixing
from theory.mixing import per_client
from theory.model.federation import EqualClients, Federation
from theory.model.schemes import effective_weights
from theory.proof.derivation import as_function

SCHEMES = ("joint", "posthoc", "detached")
UNEQUAL = Federation(
    global_feature_sq=2.0, local_feature_sq=3.0, noise_dim=60, sample_counts=[4, 8, 12], groups=[0, 1, 0]
)
EQUAL = Federation(
    global_feature_sq=3.0, local_feature_sq=7.0, noise_dim=400, sample_counts=[10] * 4, groups=[0, 0, 1, 1]
)
SYMMETRIC = EqualClients(
    global_feature_sq=3.0,
    local_feature_sq=7.0,
    noise_feature_sq=1.0,
    noise_std=1.0,
    noise_dim=400,
    clients=4,
    samples=10,
    group_size=2,
)
RATES: dict[str, Any] = dict(rate_global=4 * (3 + 7 / 2 + 400 / 40), rate_local=4 * (3 + 7 + 400 / 10))


# --- training itself, with noise vectors that are exactly orthogonal: there the mean field is exact ---


def _train(
    scheme, theta, rounds, eta, local_steps, model, counts_of_types, dim=60, feature=1.3, deviation=0.8
):
    """Full gradient training in coefficients; returns margins, ratios per type and τ per type of all clients."""
    rng = np.random.default_rng(3)
    shared, grouped = np.array(model["shared_signs"]), np.array(model["group_signs"])
    labels = np.array(model["groups"])
    clients, groups = labels.size, labels.max() + 1
    norms = np.concatenate(
        [
            np.atleast_1d(model["global_feature_sq"]),
            np.repeat(np.atleast_1d(model["local_feature_sq"]), groups),
            np.full(dim, feature),
        ]
    )

    def relevant(client, kind):
        own = np.zeros((grouped.shape[1], groups))
        own[:, labels[client]] = grouped[kind]
        return np.concatenate([shared[kind], own.ravel()])

    kinds = [np.repeat(np.arange(len(row)), row) for row in counts_of_types]
    counts = np.array([len(row) for row in kinds])
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0] * deviation * np.sqrt(dim)
    data, start = [], 0
    for client, row in enumerate(kinds):
        noise = basis[start : start + row.size] * rng.choice([-1.0, 1.0], size=(row.size, 1))
        data.append(np.concatenate([np.array([relevant(client, kind) for kind in row]), noise], axis=1))
        start += row.size
    weights = counts / counts.sum()
    train_global, train_local = {
        "joint": (1 - theta, theta),
        "posthoc": (1.0, 1.0),
        "detached": (1.0, theta),
    }[scheme]
    server, local = np.zeros(norms.size), np.zeros((clients, norms.size))
    totals = np.zeros((2, clients, len(shared)))
    for _ in range(rounds):
        sent = []
        for k in range(clients):
            mine = server.copy()
            for _ in range(local_steps):
                alone = 2 * data[k] @ mine, 2 * data[k] @ local[k]
                mixed = (1 - theta) * alone[0] + theta * alone[1]
                q_global = expit(-(mixed if scheme == "joint" else alone[0]))
                q_local = expit(-(alone[1] if scheme == "posthoc" else mixed))
                mine = mine + eta * train_global * 2 * norms * (q_global @ data[k]) / counts[k]
                local[k] = local[k] + eta * train_local * 2 * norms * (q_local @ data[k]) / counts[k]
                for kind in set(kinds[k].tolist()):
                    first = int(np.argmax(kinds[k] == kind))
                    totals[0, k, kind] += eta * q_global[first]
                    totals[1, k, kind] += eta * q_local[first]
            sent.append(mine)
        server = np.average(sent, axis=0, weights=weights)
    mixture = 2 * ((1 - theta) * server + theta * local)
    edge = norms.size - dim
    margin = np.full((clients, len(shared)), np.nan)
    ratio = np.empty((clients, len(shared)))
    for k in range(clients):
        for kind in range(len(shared)):
            ratio[k, kind] = relevant(k, kind) @ mixture[k, :edge]
            ratio[k, kind] /= deviation * np.linalg.norm(mixture[k, edge:])
            if kind in kinds[k]:
                margin[k, kind] = data[k][np.argmax(kinds[k] == kind)] @ mixture[k]
    return margin, ratio, totals


MODELS: dict[str, Any] = {
    "plain": (
        dict(global_feature_sq=2.0, local_feature_sq=3.0, shared_signs=[[1]], group_signs=[[1]]),
        [[4], [8], [12]],
    ),
    "wrong labels": (
        dict(global_feature_sq=2.0, local_feature_sq=3.0, shared_signs=[[1], [-1]], group_signs=[[1], [-1]]),
        [[3, 1], [6, 2], [10, 2]],
    ),
    "constant coordinate": (
        dict(
            global_feature_sq=[2.0, 1.5],
            local_feature_sq=3.0,
            shared_signs=[[1, 1], [1, -1]],
            group_signs=[[1], [1]],
        ),
        [[3, 1], [2, 6], [6, 6]],
    ),
    "two group features, one missing": (
        dict(
            global_feature_sq=2.0,
            local_feature_sq=[3.0, 1.0],
            shared_signs=[[1], [1]],
            group_signs=[[1, 0], [1, -1]],
        ),
        [[4, 0], [2, 6], [6, 6]],
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("local_steps", [1, 4])
def test_exact_where_noise_is_orthogonal(name, scheme, local_steps):
    model, counts_of_types = MODELS[name]
    model = {**model, "groups": [0, 1, 0]}
    theta, rounds, eta, dim, feature, deviation = 0.35, 6, 0.01, 60, 1.3, 0.8
    margin, ratio, totals = _train(
        scheme, theta, rounds, eta, local_steps, model, counts_of_types, dim, feature, deviation
    )
    counts = np.array(counts_of_types)
    norms = [np.atleast_1d(model[name]) for name in ("global_feature_sq", "local_feature_sq")]
    types = SampleTypes(
        counts / counts.sum(axis=1, keepdims=True), model["shared_signs"], model["group_signs"], *norms
    )
    federation = Federation(
        global_feature_sq=norms[0][0],
        local_feature_sq=norms[1][0],
        noise_feature_sq=feature,
        noise_std=deviation,
        noise_dim=dim,
        sample_counts=counts.sum(axis=1),
        groups=model["groups"],
    )
    people = population(federation, types)
    tau = accumulated(people, scheme, [rounds], theta, eta, local_steps)
    present = counts > 0
    for part, expected in zip(tau, totals, strict=True):
        assert_allclose(np.asarray(part)[0, 0][present], expected[present], rtol=1e-10)
    seen = margins(people, scheme, theta, tau)
    assert_allclose(seen.mixture[0, 0][present], margin[present], rtol=1e-10, atol=1e-12)
    predicted = predicted_ratio.predicted_ratio(people, scheme, theta, tau)
    assert_allclose(predicted[0, 0], ratio, rtol=1e-10, atol=1e-12)


# --- the derived expressions ---


def test_margins_match_the_derived_statement():
    """The displayed sum of T12, evaluated term by term, against the kernel matrices."""
    statement = client_margins.derivation().statement[0]
    theta, tau = 0.3, [0.2, 0.5, 0.4]
    counts, groups = UNEQUAL.sample_counts, UNEQUAL.groups
    weights = counts / counts.sum()
    values = np.array(tau)[None, None, :]
    seen = margins(UNEQUAL, "joint", theta, Accumulated(values, values))
    names = {str(symbol): symbol for symbol in statement.free_symbols}
    for k in range(3):
        numbers = {
            "theta": theta,
            "a": UNEQUAL.global_feature_sq,
            "b": UNEQUAL.local_feature_sq,
            "nubar": UNEQUAL.noise_energy,
            "p_k": weights[k],
            "tau_k": tau[k],
            "n_k": counts[k],
            "delta_k": 0,
        }
        expression = statement.rhs.subs(names["K"], 3).doit()
        expression = expression.subs({names[name]: value for name, value in numbers.items()})
        for j in range(3):
            indexed = dict(p=weights[j], tau=tau[j], G=int(groups[j] == groups[k]))
            expression = expression.subs(
                {sympy.IndexedBase(name)[j + 1]: value for name, value in indexed.items()}
            )
        assert_allclose(seen.mixture[0, 0, k], float(expression), rtol=1e-13)


def test_rate_of_a_round_is_the_kernel_of_equal_clients():
    """Row sums of the kernels are κ_G and κ_L."""
    kernel = client_margins.kernel(population(EQUAL))
    assert_allclose(kernel.average.sum(axis=1), RATES["rate_global"], rtol=1e-14)
    assert_allclose(kernel.own.sum(axis=1), RATES["rate_local"], rtol=1e-14)
    assert_allclose(global_rate(SYMMETRIC), RATES["rate_global"], rtol=1e-14)
    assert_allclose(local_rate(SYMMETRIC), RATES["rate_local"], rtol=1e-14)


def test_stable_round_matches_the_derived_expression():
    symbols, expression = round_recursion.formula()
    derived = as_function(symbols, expression)
    equal = EqualClients(global_feature_sq=0, local_feature_sq=5, noise_dim=50, clients=8, samples=10)
    assert_allclose([global_rate(equal), local_rate(equal)], [5, 40], rtol=1e-14)
    for tau in (0.0, 0.02, 0.3):
        value = round_recursion.after_round(equal, tau, 0.003, 20)
        # c − W(e^c) cancels a few digits
        assert_allclose(value, derived(5.0, 40.0, 0.003, 20, tau + 0j).real, rtol=1e-12)
    # e^{κ_G τ} overflows, the increment does not
    far = round_recursion.after_round(equal, 200.0, 0.01, 20)
    assert far >= 200.0


# --- closed forms and special cases ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_equal_clients_follow_the_closed_forms(scheme):
    theta, rounds = np.array([0.0, 0.3, 0.8, 1.0]), [0, 50, 4000]
    eta = 0.01 / RATES["rate_local"]
    tau = accumulated(EQUAL, scheme, rounds, theta, eta)
    closed = symmetric_ratio.symmetric_tau(SYMMETRIC, scheme, theta, np.array(rounds)[:, None], eta)
    for part, expected in zip(tau, closed, strict=True):
        values = np.asarray(part)
        assert_allclose(values.std(axis=2), 0, atol=1e-15)
        # (T10): a discrete margin is above the continuous one by at most ηκ/2, and τ = M/κ
        assert_allclose(
            values[:, :, 0], np.broadcast_to(expected, values.shape[:2]), rtol=1e-12, atol=eta / 2
        )


def test_general_detached_is_the_two_scalar_recursion():
    theta, rounds, eta = np.array([0.2, 0.7]), [1, 5, 60], 0.2 / RATES["rate_local"]
    tau = accumulated(EQUAL, "detached", rounds, theta, eta)
    scalars = detached.accumulated(SYMMETRIC, theta, np.array(rounds)[:, None], eta)
    for part, expected in zip(tau, scalars, strict=True):
        assert_allclose(np.asarray(part)[..., 0], expected, rtol=1e-12)
        assert_allclose(np.asarray(part)[..., 3], expected, rtol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_general_ratio_of_equal_clients_is_the_symmetric_one(scheme):
    theta = np.linspace(0, 1, 5)
    expected = symmetric_ratio.predicted_ratio(
        SYMMETRIC, scheme, theta, Accumulated(np.float64(0.3), np.float64(0.2))
    )
    tau = Accumulated(np.full((5, 4), 0.3), np.full((5, 4), 0.2))
    value = predicted_ratio.predicted_ratio(EQUAL, scheme, theta, tau)
    assert_allclose(value, np.asarray(expected)[:, None].repeat(4, axis=1), rtol=1e-13)


def test_reference_values_of_the_detached_scheme():
    signal = 0.8 * np.sqrt(8000 / 10)
    federation = Federation(
        global_feature_sq=0.3 * signal, local_feature_sq=0.7 * signal, noise_dim=8000, sample_counts=[10] * 4
    )
    eta = 0.2 / (4 * (signal + 800))
    theta = np.array([0.2, 0.5, 0.8])
    tau = accumulated(federation, "detached", [5, 50, 500], theta, eta)
    ratio = predicted_ratio.predicted_ratio(federation, "detached", theta, tau)
    expected = [[0.797, 0.901, 0.847], [0.798, 0.899, 0.860], [0.799, 0.892, 0.877]]
    # section 6 quotes three digits
    assert_allclose(ratio.mean(axis=2), expected, atol=6e-4)


@pytest.mark.parametrize("local_steps", [1, 5, 20])
def test_round_recursion_is_the_limit_of_small_steps(local_steps):
    """The same time per round cut into ever smaller steps: the error falls in proportion to the step."""
    rounds, errors = [1, 3, 30], []
    for finer in (1, 2, 4):
        eta, steps = 0.1 / RATES["rate_local"] / finer, local_steps * finer
        tau = np.asarray(accumulated(EQUAL, "joint", rounds, 0.0, eta, steps).global_prompt)
        expected = round_recursion.accumulated(SYMMETRIC, rounds, eta, steps)
        errors.append(np.abs(tau[:, 0, 0] / expected - 1).max())
    assert errors[0] < 0.02
    assert_allclose(errors[0] / errors[1], 2, rtol=0.1)
    assert_allclose(errors[1] / errors[2], 2, rtol=0.1)


def test_one_step_per_round_is_nearly_the_closed_form():
    """E = 1: the recursion over rounds against T9 at the rate κ_G, both for small steps."""
    eta, rounds = 3e-3 / RATES["rate_local"], np.array([10, 300, 3000])
    tau = round_recursion.accumulated(SYMMETRIC, rounds, eta, 1)
    closed = symmetric_ratio.symmetric_tau(SYMMETRIC, "posthoc", 0.0, rounds, eta).global_prompt
    assert_allclose(tau, closed, rtol=1e-3)


def test_local_steps_slow_the_average_down():
    """Same number of gradient steps: drift saturates within a round, so τ falls with E."""
    eta = 0.3 / RATES["rate_local"]
    tau = [
        np.asarray(accumulated(EQUAL, "joint", [40 // steps], 0.0, eta, steps).global_prompt)[0, 0, 0]
        for steps in (1, 5, 20)
    ]
    assert tau[0] > tau[1] > tau[2]


# --- types of samples ---


def _trained(federation):
    return accumulated(federation, "joint", [3, 9], [0.2, 0.6], 0.01, local_steps=2)


def _typed(fractions, shared, grouped, shared_norms=(2.0,)):
    return _trained(population(UNEQUAL, SampleTypes(fractions, shared, grouped, shared_norms, [3.0])))


def test_plain_types_are_the_default():
    default = _trained(UNEQUAL)
    typed = _typed(np.ones((3, 1)), [[1]], [[1]])
    for part, expected in zip(typed, default, strict=True):
        assert part.shape == (2, 2, 3, 1)
        assert_allclose(part[..., 0], expected, rtol=1e-15)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_splitting_a_type_in_two_changes_nothing(first):
    halves = np.stack([first, 1 - np.array(first)], axis=1)
    whole = _typed(np.ones((3, 1)), [[1]], [[1]])
    split = _typed(halves, [[1], [1]], [[1], [1]])
    for part, expected in zip(split, whole, strict=True):
        assert_allclose(part, np.broadcast_to(expected, part.shape), rtol=1e-12)


def test_types_nobody_holds_do_not_matter():
    fractions = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
    without = _typed(fractions, [[1], [-1]], [[1], [-1]])
    more = np.insert(fractions, 1, 0.0, axis=1)
    padded = _typed(more, [[1], [0], [-1]], [[1], [1], [-1]])
    for part, expected in zip(padded, without, strict=True):
        assert_allclose(part[..., [0, 2]], expected, rtol=1e-13)


def test_a_feature_of_no_strength_does_not_matter():
    whole = _typed(np.ones((3, 1)), [[1]], [[1]])
    more = _typed(np.ones((3, 1)), [[1, -1]], [[1]], shared_norms=[2.0, 0.0])
    for part, expected in zip(more, whole, strict=True):
        assert_allclose(part, expected, rtol=1e-14)


def test_turning_every_sign_changes_nothing_that_is_trained():
    fractions = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
    straight = _typed(fractions, [[1], [-1]], [[1], [0]])
    turned = _typed(fractions, [[-1], [1]], [[-1], [0]])
    for part, expected in zip(turned, straight, strict=True):
        assert_allclose(part, expected, rtol=1e-14)


# --- properties ---


@given(order=st.permutations(range(3)), scheme=st.sampled_from(SCHEMES), theta=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_the_order_of_clients_does_not_matter(order, scheme, theta):
    straight = accumulated(UNEQUAL, scheme, [4], theta, 0.02, local_steps=2)
    order = list(order)
    moved = UNEQUAL.replace(sample_counts=UNEQUAL.sample_counts[order], groups=UNEQUAL.groups[order])
    permuted = accumulated(moved, scheme, [4], theta, 0.02, local_steps=2)
    for part, expected in zip(permuted, straight, strict=True):
        assert_allclose(part, np.asarray(expected)[..., order], rtol=1e-12)


@given(scheme=st.sampled_from(SCHEMES), theta=st.floats(0, 1), step=st.floats(1e-4, 0.05))
@settings(max_examples=20, deadline=None)
def test_residuals_add_up_ever_more_slowly(scheme, theta, step):
    tau = accumulated(UNEQUAL, scheme, np.arange(12), theta, step)
    for part in tau:
        gains = np.diff(np.asarray(part)[:, 0], axis=0)
        assert np.all(gains > 0)
        assert_allclose(gains[0], step / 2, rtol=1e-12)  # q = 1/2 at the start
        assert np.all(gains <= step / 2 * (1 + 1e-9))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_of_the_mixture_agree_with_the_effective_ones(scheme):
    """Margins of the mixture at equal τ, split into prompts, carry the effective weights."""
    theta, rounds = 0.3, [7]
    tau = accumulated(UNEQUAL, scheme, rounds, theta, 0.02)
    seen = margins(UNEQUAL, scheme, theta, tau)
    full = margins(UNEQUAL, "posthoc", theta, tau)  # prompts of full weight
    shared, local = effective_weights(theta, scheme)
    assert_allclose(seen.mixture, shared * full.global_prompt + local * full.local_prompt, rtol=1e-13)


# --- the best mixing of each client ---

REFERENCE = Federation(
    global_feature_sq=8.0,
    local_feature_sq=14.0,
    noise_dim=6000,
    sample_counts=[6, 10, 20, 40],
    groups=[0, 1, 0, 2],
)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_best_mixing_starts_at_the_closed_form(scheme):
    closed = {"joint": per_client.joint_mixing, "posthoc": per_client.posthoc_mixing}[scheme]
    found = best_mixing(REFERENCE, scheme, 1, 1e-9)
    assert_allclose(found, closed(REFERENCE), atol=2e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_best_mixing_of_equal_clients(scheme):
    eta = 0.001 / RATES["rate_local"]
    found = best_mixing(EQUAL, scheme, 300, eta)
    # the symmetric one takes time to be continuous in the joint and the post-hoc scheme
    assert_allclose(found, symmetric_ratio.best_mixing(SYMMETRIC, scheme, 300, eta), atol=2e-4)


# --- arguments ---


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (dict(rounds=[3, 2]), "rounds"),
        (dict(rounds=[0.5]), "rounds"),
        (dict(rounds=[]), "rounds"),
        (dict(theta=1.5), "theta"),
        (dict(theta=[[0.5]]), "theta"),
        (dict(learning_rate=0.0), "learning_rate"),
        (dict(local_steps=0), "local_steps"),
        (dict(local_steps=1.5), "local_steps"),
        (dict(scheme="both"), "scheme"),
    ],
)
def test_bad_input_names_the_field(changes, field):
    arguments = dict(federation=UNEQUAL, rounds=[1], theta=0.5, learning_rate=0.1, scheme="joint")
    with pytest.raises((ValueError, TypeError), match=field) as error:
        accumulated(**{**arguments, **changes})
    assert "allowed:" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (dict(noise_dim=-1.0), "noise_dim"),
        (dict(groups=[0, 1]), "sample_counts"),
        (dict(groups=[0, 1, -1]), "groups"),
        (dict(global_feature_sq=[1.0, 2.0]), "global_feature_sq"),
    ],
)
def test_bad_federations_name_the_field(changes, field):
    with pytest.raises(ValueError, match=field) as error:
        UNEQUAL.replace(**changes)
    assert "allowed:" in str(error.value)


@pytest.mark.parametrize(
    ("types", "field"),
    [
        (SampleTypes(np.full((3, 2), 0.4), [[1], [1]], [[1], [1]], [2], [3]), "fractions"),
        (SampleTypes(np.ones((2, 1)), [[1]], [[1]], [2], [3]), "fractions"),
        (SampleTypes(np.ones((3, 1)), [[0.5]], [[1]], [2], [3]), "shared_signs"),
        (SampleTypes(np.ones((3, 1)), [[1]], [[1], [1]], [2], [3]), "group_signs"),
        (SampleTypes(np.ones((3, 1)), [[1]], [[1]], [2, 1], [3]), "shared_norms"),
        (SampleTypes(np.ones((3, 1)), [[1]], [[1]], [2], [-3]), "group_norms"),
    ],
)
def test_bad_types_name_the_field(types, field):
    with pytest.raises(ValueError, match=f"`{field}`") as error:
        population(UNEQUAL, types)
    assert "allowed:" in str(error.value)


def test_shapes_of_tau_are_checked():
    tau = accumulated(UNEQUAL, "joint", [1], 0.5, 0.1)
    with pytest.raises(ValueError, match="`tau`"):
        margins(UNEQUAL, "joint", [0.5, 0.6], tau)
    with pytest.raises(ValueError, match=r"`tau\.local_prompt`"):
        predicted_ratio.predicted_ratio(UNEQUAL, "joint", 0.5, Accumulated(np.ones(3), np.ones(2)))
    with pytest.raises(ValueError, match="`rounds`"):
        round_recursion.accumulated(SYMMETRIC, [2, 1], 0.1, 1)
