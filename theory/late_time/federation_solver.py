"""Solves the mean field of T32: what training has made of every population's samples, prompts and margins.

The unknowns are functions of time: for each population the moments of what a sample adds in a round, and its
response to its margin. Given these, the cavity equations of `federation_mean_field` give the law of a margin, and a
sample followed along its paths gives the unknowns again; the two are iterated to a fixed point. The Gaussian margin
has few principal components, so that a product rule replaces sampling.
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import NDArray

from theory.late_time.client_types import ClientTypes
from theory.late_time.sample_paths import Followed, Round, follow
from theory.late_time.streams import Streams
from theory.model.federation import Features

Matrix = NDArray[np.float64]

QUADRATURE = {1: (21, 3), 2: (21, 3, 3)}
"""Gauss-Hermite nodes along the largest principal components of a margin, for one or two streams."""
TOLERANCE = 1e-6
_ITERATIONS = 100
# how far the mean field without fluctuations is iterated before they are switched on
_ROUGH = 1e-3


class State(NamedTuple):
    """The unknowns; p counts populations, c types of samples and S nodes of all streams.

    Attributes:
        mean: E d, (p, c, S).
        second: E d dᵀ over a client's types, (p, S, S).
        response: −E ∂d/∂u over a client's types, (p, S, S).
        profile: for each node, share of the round's sum before each local step, (p, steps).
        guess: d along the paths of the last iteration, (p · c, S, paths).
    """

    mean: Matrix
    second: Matrix
    response: Matrix
    profile: list[Matrix]
    guess: Matrix


class Law(NamedTuple):
    """What the cavity makes of the unknowns.

    Attributes:
        memory: margin per unit of the sample's own d, (p, S, S).
        drift: the same for what the client adds within the round, (p, S, S).
        spread: covariance of a margin, (p, S, S).
        everyone: per noise coordinate, covariance of Σ x d over all samples, (S, S).
        both: its covariance with that of one client, (p, S, S).
        client: covariance of one client's, (p, S, S).
    """

    memory: Matrix
    drift: Matrix
    spread: Matrix
    everyone: Matrix
    both: Matrix
    client: Matrix


class Solution(NamedTuple):
    """Moments of the two prompts, trained with full weight, at the requested times.

    Attributes:
        pulls: Σ π σ τ on every feature in the global and in the local prompt, (populations, features, times).
        noise: expected ‖H‖² of the global prompt, inner product of both, and ‖H‖² of the local one,
            (populations, times).
        state: the unknowns.
    """

    pulls: tuple[Matrix, Matrix]
    noise: tuple[Matrix, Matrix, Matrix]
    state: State


def cavity(people: ClientTypes, at: Features, streams: Streams, state: State) -> Law:
    """Return the law of margins and prompts given what samples do (the equations of T32, as matrices over time)."""
    variance, unit = at.noise_std**2, 4 * at.noise_feature_sq
    own, shared = (unit / people.samples)[:, None, None], unit / people.total
    count = people.samples[:, None, None]
    eye = np.eye(streams.steps.size)
    bent = _midway(state)[:, :, None] * streams.drift
    by_own = own * (streams.by_own + bent)
    response, power = count * variance * state.response, count * variance * state.second
    alone = np.linalg.inv(eye + response @ by_own)
    opposed = alone @ response @ streams.by_global
    together = np.linalg.inv(eye + shared * np.tensordot(people.counts, opposed, 1) @ streams.to_global)
    driven = alone @ power @ _turned(alone)
    everyone = together @ np.tensordot(people.counts, driven, 1) @ together.T
    pull = shared * opposed @ streams.to_global
    both = together @ driven - everyone @ _turned(pull)
    cross = pull @ together @ driven
    client = driven - cross - _turned(cross) + pull @ everyone @ _turned(pull)
    by_all = shared * streams.by_global @ streams.to_global
    mixed = by_all @ both @ _turned(by_own)
    spread = by_all @ everyone @ by_all.T + mixed + _turned(mixed) + by_own @ client @ _turned(by_own)
    of_all = together @ alone
    of_own = alone - pull @ of_all
    scale = at.noise_dim * variance
    memory = scale * (by_all @ of_all + by_own @ of_own)
    return Law(memory, scale * own * (streams.drift @ of_own), scale * spread, everyone, both, client)


def _turned(matrices: Matrix) -> Matrix:
    return np.swapaxes(matrices, -1, -2)


def _midway(state: State) -> Matrix:
    """Share of a round's drift that a sample sees on average over its local steps, (p, S)."""
    return np.stack([part.mean(axis=-1) for part in state.profile], axis=1)


def solve(
    people: ClientTypes, at: Features, streams: Streams, rate: float, start: State | None = None
) -> Solution:
    """Iterate the equations to their fixed point; `rate` is η and `start` the state of a similar problem.

    Raises:
        ArithmeticError: the iteration does not settle.
    """
    normal, chance = _normal(QUADRATURE[streams.kinds])
    rough = start is None
    state = _nothing(people, streams) if start is None else start
    previous = _essence(state)
    for _ in range(_ITERATIONS):
        paths, weights = (np.zeros((1, 1)), np.ones(1)) if rough else (normal, chance)
        state = _next(people, at, streams, rate, state, paths, weights)
        now = _essence(state)
        moved = np.max(np.abs(now - previous)) / np.max(np.abs(now))
        previous = now
        if not rough and moved <= TOLERANCE:
            break
        rough = rough and bool(moved > _ROUGH)
    else:
        load = people.total / at.noise_dim
        raise ArithmeticError(
            f"the mean field did not settle at N/L = {load:.3g}; the last step moved {moved:.2g}"
        )
    return _read(people, at, streams, state)


def _essence(state: State) -> Matrix:
    """What has to settle: means and root mean squares of the sums at every node."""
    return np.concatenate([state.mean.ravel(), np.sqrt(np.einsum("pss->ps", state.second)).ravel()])


def _nothing(people: ClientTypes, streams: Streams) -> State:
    populations, types = people.fractions.shape
    size = streams.steps.size
    return State(
        np.zeros((populations, types, size)),
        np.zeros((populations, size, size)),
        np.zeros((populations, size, size)),
        [np.broadcast_to(np.arange(steps) / steps, (populations, steps)) for steps in streams.steps],
        np.zeros((populations * types, size, 1)),
    )


def _next(
    people: ClientTypes,
    at: Features,
    streams: Streams,
    rate: float,
    state: State,
    paths: Matrix,
    chance: Matrix,
) -> State:
    """One iteration: the law of margins, then samples along its paths."""
    populations, types = people.fractions.shape
    size, points = streams.steps.size, chance.size
    law = cavity(people, at, streams, state)
    itself = at.noise_dim * at.noise_std**2 * 4 * at.noise_feature_sq / people.samples
    inner = itself[:, None] * np.diagonal(streams.drift)
    midway = _midway(state)
    # a sample's own noise moves with it within the round, and the mean of the others' drift is an offset
    others = law.drift - inner[:, :, None] * np.eye(size)
    drifted = np.einsum("pst,pct->pcs", others, state.mean)
    memory = law.memory - midway[:, :, None] * inner[:, :, None] * np.eye(size)
    at_start, within = _signals(people, streams, state.mean)
    middle = at_start - midway[:, None] * drifted
    offsets = within + drifted
    sizes, axes = np.linalg.eigh(law.spread)
    kept = paths.shape[0]
    directions = axes[:, :, : -kept - 1 : -1] * np.sqrt(np.maximum(sizes[:, None, : -kept - 1 : -1], 0))
    fields = middle[..., None] + (directions @ paths)[:, None]
    rounds = [
        Round(
            rate,
            (state.profile[s][:, None] * offsets[:, :, s, None]).reshape(populations * types, -1),
            np.repeat(inner[:, s], types),
        )
        for s in range(size)
    ]
    guess = (
        state.guess if state.guess.shape[2] == points else np.repeat(state.guess[:, :, :1], points, axis=2)
    )
    found: Followed = follow(
        fields.reshape(-1, size, points), np.repeat(memory, types, axis=0), chance, rounds, guess
    )
    by_type = found.added.reshape(populations, types, size, points)
    share = people.fractions
    scaled = np.sqrt(share[:, :, None, None] * chance) * by_type
    flat = scaled.transpose(0, 2, 1, 3).reshape(populations, size, types * points)
    response = found.response.reshape(populations, types, size, size)
    return State(
        by_type @ chance,
        flat @ _turned(flat),
        np.einsum("pc,pcst->pst", share, response),
        [np.einsum("pc,pce->pe", share, part.reshape(populations, types, -1)) for part in found.profile],
        found.added,
    )


def _signals(people: ClientTypes, streams: Streams, mean: Matrix) -> tuple[Matrix, Matrix]:
    """What features add to margins at the start of a round, and within it, each (p, c, S)."""
    average, own = people.pulls(mean)
    before = average @ (streams.by_global @ streams.to_global).T + own @ streams.by_own.T
    within = own @ streams.drift.T
    return people.seen(before), people.seen(within)


def _normal(counts: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    """Nodes, shape (components, points), and weights of a Gauss-Hermite product rule."""
    rules = [hermite_e.hermegauss(count) for count in counts]
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*(rule[0] for rule in rules), indexing="ij")])
    weights = np.ones(1)
    for _, weight in rules:
        weights = np.outer(weights, weight / weight.sum()).ravel()
    return nodes, weights


def _read(people: ClientTypes, at: Features, streams: Streams, state: State) -> Solution:
    """Moments at the requested times."""
    law = cavity(people, at, streams, state)
    average, own = people.pulls(state.mean)
    of_global, of_local = streams.reads
    shared, alone = 1 / people.total, (1 / people.samples)[:, None]
    everyone = np.einsum("ts,su,tu->t", of_global, law.everyone, of_global)
    products = (
        shared**2 * np.broadcast_to(everyone, (people.samples.size, everyone.size)),
        shared * alone * np.einsum("ts,psu,tu->pt", of_global, law.both, of_local),
        alone**2 * np.einsum("ts,psu,tu->pt", of_local, law.client, of_local),
    )
    scale = at.noise_dim * (4 * at.noise_feature_sq) ** 2
    first, second, third = (scale * product for product in products)
    return Solution((average @ of_global.T, own @ of_local.T), (first, second, third), state)
