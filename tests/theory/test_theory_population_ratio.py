"""T32 against gradient descent on drawn data, written out sample by sample, and against the limits it must have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import norm

from theory.dynamics.mean_field import accumulated
from theory.dynamics.predicted_ratio import predicted_ratio
from theory.dynamics.sample_types import population
from theory.late_time import federation_mean_field, federation_solver, population_ratio, solver
from theory.late_time.client_types import client_types
from theory.late_time.population_ratio import fine_tuning_moments
from theory.late_time.streams import Streams
from theory.model.federation import EqualClients, Federation
from theory.model.schemes import effective_weights

COUNTS = np.tile([6, 10, 20, 40], 2)
GROUPS = np.array([0, 1, 2, 3, 0, 1, 2, 3])
ROUNDS = [1, 5, 20, 100]
THETA = [0.0, 0.3, 0.6, 1.0]


def unequal(noise_dim, *, wrong=0.1, counts=COUNTS, groups=GROUPS):
    """Clients of four sizes, pairs of which share a group; a whole number of wrong labels each."""
    unit = 0.1 * (noise_dim / 20) ** 0.5
    return Federation(
        global_feature_sq=3 * unit,
        local_feature_sq=6 * unit,
        noise_dim=noise_dim,
        sample_counts=counts,
        groups=groups,
        label_noise=np.round(wrong * counts) / counts,
    )


def rate_of(federation):
    noise = federation.noise_energy / federation.sample_counts.min()
    return 4 * (federation.global_feature_sq + federation.local_feature_sq + noise)


class Drawn:
    """Training data of a federation, and gradient descent on it in the space of samples."""

    def __init__(self, federation, seed):
        self.federation, counts = federation, federation.sample_counts.astype(int)
        self.owner = np.repeat(np.arange(counts.size), counts)
        self.sign = np.concatenate(
            [
                np.where(np.arange(n) < round(e * n), -1.0, 1.0)
                for n, e in zip(counts, federation.label_noise, strict=True)
            ]
        )
        shape = (counts.sum(), int(federation.noise_dim))
        self.noise = federation.noise_std * np.random.default_rng(seed).normal(size=shape)
        self.mine = self.owner[:, None] == self.owner[None, :]
        self.ours = federation.same_group[self.owner][:, self.owner]
        signals = federation.global_feature_sq + federation.local_feature_sq * self.ours
        kernel = 4 * (
            signals * np.outer(self.sign, self.sign) + federation.noise_feature_sq * self.noise @ self.noise.T
        )
        self.average = kernel / counts.sum()
        self.own = kernel * self.mine / counts[self.owner][None, :]

    def train(self, scheme, theta, rounds, eta, local_steps=1, finetune_steps=0):
        """Sums of residuals in both prompts at the recorded rounds, each (rounds, thetas, samples)."""
        mix = np.asarray(theta)[:, None]
        shared, local = np.zeros((2, mix.size, self.owner.size))
        history = []
        for now in range(max(rounds) + 1):
            if now in rounds:
                tuned = np.zeros_like(local)
                for _ in range(finetune_steps):
                    tuned = tuned + eta * expit(-(shared @ self.average.T + tuned @ self.own.T))
                history.append((shared, tuned if finetune_steps else local))
            by_average, by_own = shared @ self.average.T, local @ self.own.T
            more, extra = np.zeros_like(shared), np.zeros_like(shared)
            for _ in range(local_steps):
                g, f = by_average + more @ self.own.T, by_own + extra @ self.own.T
                seen = {
                    "joint": ((1 - mix) ** 2 * g + mix**2 * f,) * 2,
                    "posthoc": (g, f),
                    "detached": (g, (1 - mix) * g + mix**2 * f),
                    "finetuned": (g, f),
                }[scheme]
                more, extra = more + eta * expit(-seen[0]), extra + eta * expit(-seen[1])
            shared, local = shared + more, local + extra
        return [np.stack(part) for part in zip(*history, strict=True)]

    def ratios(self, weights, shared, local):
        """Ratio of a fresh sample of every client, (rounds, thetas, clients)."""
        at, out = self.federation, []
        for k, count in enumerate(at.sample_counts):
            mine, ours = self.owner == k, at.same_group[k][self.owner]
            whole = (
                weights[0][:, None] * shared / self.owner.size + weights[1][:, None] * local * mine / count
            )
            grouped = whole * ours
            signal = 4 * (whole * at.global_feature_sq + grouped * at.local_feature_sq) @ self.sign
            out.append(signal / np.linalg.norm(4 * at.noise_feature_sq * whole @ self.noise, axis=-1))
        return np.stack(out, axis=-1) / at.noise_std


def weights_of(scheme, theta):
    if scheme == "finetuned":
        return np.ones(len(theta)), np.asarray(theta)
    return tuple(np.asarray(weight) for weight in effective_weights(theta, scheme))


def against_drawn(federation, scheme, eta, *, local_steps, seeds, finetune_steps=None, rounds=ROUNDS):
    """Accuracy of every population, predicted minus measured, and the measurement's standard error."""
    people = client_types(federation)
    measured = []
    for seed in range(seeds):
        drawn = Drawn(federation, seed)
        trained = drawn.train(scheme, THETA, rounds, eta, local_steps, finetune_steps or 0)
        accuracy = norm.cdf(drawn.ratios(weights_of(scheme, THETA), *trained))
        measured.append(
            np.stack([accuracy[..., people.of_client == p].mean(-1) for p in range(people.counts.size)], -1)
        )
    predicted = population_ratio.population_ratio(
        federation,
        scheme,
        THETA,
        rounds,
        learning_rate=eta,
        local_steps=local_steps,
        finetune_steps=finetune_steps,
    )
    first = np.unique(people.of_client, return_index=True)[1]
    error = norm.cdf(predicted[..., first]) - np.mean(measured, axis=0)
    return error, np.std(measured, axis=0, ddof=1) / seeds**0.5


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached", "finetuned"])
@pytest.mark.parametrize(("load", "seeds"), [(0.02, 2), (0.5, 6), (2.0, 8)])
def test_accuracy_of_unequal_clients_with_wrong_labels(load, seeds, scheme):
    """Within 0.01, and what the number of draws leaves open."""
    # few noise coordinates are far from the limit in which the cavity holds
    counts = COUNTS if load < 1 else 2 * COUNTS
    federation = unequal(round(counts.sum() / load), counts=counts)
    eta = 0.5 / float(rate_of(federation))
    error, spread = against_drawn(
        federation,
        scheme,
        eta,
        local_steps=3,
        seeds=seeds,
        finetune_steps=12 if scheme == "finetuned" else None,
    )
    assert np.all(np.abs(error) < 0.01 + 3 * spread)
    assert np.max(np.abs(error.mean(axis=-1))) < 0.01


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
@pytest.mark.parametrize("local_steps", [1, 4])
def test_no_load_gives_the_mean_field_of_few_samples(scheme, local_steps):
    federation = unequal(10**8).replace(global_feature_sq=3e5, local_feature_sq=6e5)
    eta, theta, rounds = 0.5 / float(rate_of(federation)), [0.0, 0.4, 1.0], [1, 3, 10, 60]
    people = population(federation)
    tau = accumulated(people, scheme, rounds, theta, eta, local_steps)
    expected = predicted_ratio(people, scheme, np.array(theta), tau)[..., 0]
    found = population_ratio.population_ratio(
        federation, scheme, theta, rounds, learning_rate=eta, local_steps=local_steps
    )
    assert_allclose(found, expected, rtol=2e-3 if local_steps > 1 else 5e-4)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_equal_clients_and_small_steps_give_the_continuous_mean_field(scheme):
    equal = EqualClients(global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=400, clients=10, samples=20)
    eta, theta, rounds = 0.05 / 88, [0.0, 0.35, 1.0], [20, 400, 4000]
    found = population_ratio.population_ratio(equal.federation(), scheme, theta, rounds, learning_rate=eta)
    expected = solver.predicted_ratio(equal, scheme, theta, rounds, eta)
    assert_allclose(found[:, :, 0], expected, rtol=1e-3)
    assert_allclose(found, np.broadcast_to(found[:, :, :1], found.shape), rtol=1e-12)


def test_one_wrong_label_more_is_seen():
    """The prediction moves with the labels by far more than its error."""
    clean = unequal(round(COUNTS.sum() / 0.5), wrong=0.0)
    wrong = unequal(round(COUNTS.sum() / 0.5))
    eta = 0.5 / float(rate_of(clean))
    ratios = [
        population_ratio.population_ratio(one, "joint", [0.4], [20], learning_rate=eta)
        for one in (clean, wrong)
    ]
    assert np.all(norm.cdf(ratios[0]) - norm.cdf(ratios[1]) > 0.02)


@pytest.mark.parametrize(
    ("noise_dim", "a", "t", "mixture", "gain"),
    [(2000, 1.0, 20, 0.694, 0.0002), (400, 0.5, 50, 0.729, 0.0012), (150, 0.5, 50, 0.879, 0.0041)],
)
def test_gain_of_fine_tuning_over_mixing(noise_dim, a, t, mixture, gain):
    """K=10, n=20, χ=1, ηκ_L=1: best over s ≤ 200, against the best over θ of prompts trained as long."""
    federation = Federation(
        global_feature_sq=a, local_feature_sq=3 * a, noise_dim=noise_dim, sample_counts=np.full(10, 20)
    )
    eta = 1 / float(rate_of(federation))
    tuned = fine_tuning_moments(federation, [1.0], t, np.arange(0, 201), learning_rate=eta).by_type().max()
    grid = np.linspace(0, 1, 51)
    best = population_ratio.population_ratio(federation, "posthoc", grid, [t], learning_rate=eta).max()
    assert_allclose(norm.cdf(best), mixture, atol=0.004)
    assert_allclose(norm.cdf(tuned) - norm.cdf(best), gain, atol=max(2e-4, 0.2 * gain))


def test_many_mixings_are_interpolated(monkeypatch):
    federation = unequal(round(COUNTS.sum() / 2))
    arguments = (np.linspace(0, 1, 10), [0, 1, 20])
    eta = 0.5 / float(rate_of(federation))
    for scheme in ("joint", "detached"):
        found = population_ratio.population_ratio(federation, scheme, *arguments, learning_rate=eta)
        with monkeypatch.context() as patch:
            patch.setattr(population_ratio, "MIXINGS", 99)
            exact = population_ratio.population_ratio(federation, scheme, *arguments, learning_rate=eta)
        assert np.all(found[0] == 0)
        assert_allclose(norm.cdf(found), norm.cdf(exact), atol=2e-4)


def test_clients_that_are_alike_cost_nothing():
    """A million clients of two kinds, in groups of their own, as in the limit of many clients of either."""
    sizes = []
    for clients in (1000, 1_000_000):
        federation = Federation(
            global_feature_sq=0.5,
            local_feature_sq=1.5,
            noise_dim=20.0 * clients,
            sample_counts=np.tile([5, 15], clients // 2),
            groups=np.arange(clients) // 4,
        )
        people = client_types(federation)
        assert people.counts.tolist() == [clients / 2] * 2
        assert people.together.tolist() == [[2, 2], [2, 2]]
        eta = 0.2 / float(rate_of(federation))
        sizes.append(population_ratio.population_ratio(federation, "joint", [0.0], [5], learning_rate=eta))
    assert sizes[1].shape == (1, 1, 1_000_000)
    assert np.all(np.isfinite(sizes[1]))


def test_populations_of_unequal_groups():
    """Clients alike but for the company they keep are told apart; each group's sums are those of its members."""
    federation = unequal(760, counts=np.array([6, 6, 6, 9, 9]), groups=np.array([0, 0, 1, 1, 2]), wrong=0.0)
    people = client_types(federation)
    assert people.counts.tolist().count(2.0) == 1
    assert people.counts.size == 4
    counted = people.together[people.of_client] @ np.diag(people.samples)
    inside = federation.same_group @ federation.sample_counts
    assert_allclose(counted.sum(axis=1), inside)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "both"}, "`scheme`"),
        ({"theta": [1.5]}, "`theta`"),
        ({"rounds": [3, 2]}, "`rounds`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"local_steps": 1.5}, "`local_steps`"),
        ({"finetune_steps": 3}, "`finetune_steps`"),
        ({"scheme": "finetuned"}, "`finetune_steps`"),
    ],
)
def test_arguments_that_are_refused(change, message):
    arguments = {"scheme": "joint", "theta": [0.5], "rounds": [1], "learning_rate": 1e-3, **change}
    with pytest.raises((ValueError, TypeError), match=message):
        population_ratio.population_ratio(unequal(100), **arguments)


def test_the_law_of_a_margin_is_the_derived_one():
    """One node in time, where matrices are numbers: the solver's equations against the SymPy expressions."""
    federation = unequal(300, counts=np.array([6, 6, 9]), groups=np.arange(3), wrong=0.0)
    people = client_types(federation.replace(noise_std=1.5, noise_feature_sq=0.7))
    w_global, w_local, one = 0.6, 0.3, np.ones((1, 1))
    streams = Streams(1, np.array([1]), one, w_global * one, w_local * one, 0 * one, (one, one))
    r, moment = np.array([0.02, 0.05]), np.array([1.3, 0.8])
    state = federation_solver.State(
        moment[:, None, None],
        moment[:, None, None],
        r[:, None, None],
        [np.zeros((2, 1))],
        np.zeros((2, 1, 1)),
    )
    at = federation.replace(noise_std=1.5, noise_feature_sq=0.7)
    law = federation_solver.cavity(people, at, streams, state)
    damped = 1 / (1 + 1.5**2 * 4 * 0.7 * w_local * r)
    power = np.sum(people.counts * people.samples * 1.5**2 * damped**2 * moment)
    opposition = np.sum(people.counts * people.samples * 1.5**2 * damped * r * w_global)
    memory, spread = federation_mean_field.margin_law(
        (w_global, w_local), (0.7, 1.5, 300), (people.samples, 21), r, opposition, (moment, power)
    )
    assert_allclose(law.memory[:, 0, 0], memory, rtol=1e-12)
    assert_allclose(law.spread[:, 0, 0], spread, rtol=1e-12)
