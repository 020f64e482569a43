"""Ratio and moments of every client's mixture at any load N/L, for any federation and training scheme (T32).

`theory.late_time.federation_mean_field` states the result and what it assumes; this module is what readers call.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from theory.dynamics.residuals import increasing_rounds
from theory.late_time.client_types import ClientTypes, client_types
from theory.late_time.federation_solver import Solution, solve
from theory.late_time.round_grid import RoundGrid, round_grid
from theory.late_time.streams import Streams, one_after_the_other, one_stream, two_streams
from theory.model.accuracy import ratio
from theory.model.federation import Federation
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.validation import ArrayLike, between, positive, unit_interval

Matrix = NDArray[np.float64]
Scheme: TypeAlias = TrainingScheme | Literal["finetuned"]
"""Training schemes, with fine-tuning: local steps from the trained global prompt, without communication (T31)."""

SCHEMES = ("joint", "posthoc", "detached", "finetuned")
MIXINGS = 9
"""Mixings at which joint and detached training are solved; more are interpolated between these Chebyshev nodes."""


class PopulationMoments(NamedTuple):
    """Moments of the two prompts, as trained with full weight, for populations of clients that are alike.

    Attributes:
        people: the populations; `people.of_client` is that of every client.
        weights: w_G and w_L, of the two prompts in the mixture, each of shape (thetas,).
        pulls: Σ_c π_c σ_c τ_c on every feature, averaged over all clients in the global prompt and over a client's
            own samples in the local one; each (rounds, thetas, populations, features), features being the shared
            ones, then the groups'. In units of learning rate times steps.
        noise: expected ‖H_ξ‖² of the global prompt, inner product of both, and that of the local prompt; each
            (rounds, thetas, populations).
        noise_std: σ_p.
    """

    people: ClientTypes
    weights: tuple[Matrix, Matrix]
    pulls: tuple[Matrix, Matrix]
    noise: tuple[Matrix, Matrix, Matrix]
    noise_std: float

    def signal(self) -> Matrix:
        """Signal of the mixture for a fresh sample of every type, (rounds, thetas, populations, types)."""
        shared, local = (
            weight[:, None, None] * pull for weight, pull in zip(self.weights, self.pulls, strict=True)
        )
        return np.asarray(4 * (shared + local) @ (self.people.signs * self.people.norms).T)

    def energy(self) -> Matrix:
        """Expected ‖H_ξ‖² of the mixture, (rounds, thetas, populations)."""
        shared, local = (weight[:, None] for weight in self.weights)
        first, cross, last = self.noise
        return np.asarray(shared**2 * first + 2 * shared * local * cross + local**2 * last)

    def by_type(self) -> Matrix:
        """Ratio of a fresh sample of every type, (rounds, thetas, populations, types); 0 for untrained prompts."""
        norm = np.sqrt(np.maximum(self.energy(), 0))[..., None]
        return np.asarray(ratio(self.signal(), norm, self.noise_std))


def population_ratio(
    federation: Federation,
    scheme: Scheme,
    theta: ArrayLike,
    rounds: Sequence[int] | NDArray[Any],
    *,
    learning_rate: float,
    local_steps: int = 1,
    finetune_steps: int | None = None,
) -> Matrix:
    """Return the ratio of every client's mixture on fresh samples with correct labels (T32).

    Let `federation` describe the clients, θ be `theta`, of shape (thetas,), `rounds` increasing whole numbers, η
    `learning_rate` and E `local_steps`. Fine-tuning takes `finetune_steps` steps of every client after each of the
    recorded rounds, and θ mixes the global prompt with the fine-tuned one. Where a constant coordinate gives the
    classes different ratios, this is their mean; `population_moments` has both.

    The cost grows with the number of kinds of clients, not with K.

    Returns:
        Array of shape (rounds, thetas, clients).

    Raises:
        ValueError: an argument outside its range; fine-tuning without `finetune_steps`, or these under another
            scheme.
        ArithmeticError: the equations are not solved by the iteration.

    >>> federation = Federation(
    ...     global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=400, sample_counts=[10, 30] * 5)
    >>> population_ratio(federation, "joint", [0.3], [1, 500], learning_rate=0.002)[:, 0, :2].round(2).tolist()
    [[0.47, 0.61], [0.5, 0.67]]
    """
    moments = population_moments(
        federation,
        scheme,
        theta,
        rounds,
        learning_rate=learning_rate,
        local_steps=local_steps,
        finetune_steps=finetune_steps,
    )
    # the first types are those of fresh samples; with a constant coordinate one for each class
    classes = 2 if federation.prior_feature_sq > 0 else 1
    return np.asarray(moments.by_type()[..., :classes].mean(axis=-1)[..., moments.people.of_client])


def population_moments(
    federation: Federation,
    scheme: Scheme,
    theta: ArrayLike,
    rounds: Sequence[int] | NDArray[Any],
    *,
    learning_rate: float,
    local_steps: int = 1,
    finetune_steps: int | None = None,
) -> PopulationMoments:
    """Return signals and noise of both prompts, for every kind of client (T32).

    The arguments are those of `population_ratio`.

    Raises:
        ValueError, ArithmeticError: as `population_ratio`.

    >>> federation = Federation(
    ...     global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=400, sample_counts=np.tile([10, 30], 500_000))
    >>> moments = population_moments(federation, "posthoc", [0.3], [5], learning_rate=0.002)
    >>> moments.people.counts.tolist(), moments.noise[1].shape
    ([500000.0, 500000.0], (1, 1, 2))
    """
    mixing, recorded, eta, steps = _checked(scheme, theta, rounds, learning_rate, local_steps)
    if (scheme == "finetuned") != (finetune_steps is not None):
        raise ValueError(
            f"`finetune_steps` is {finetune_steps} under scheme {scheme!r}; allowed: a number of steps under"
            " 'finetuned', None otherwise"
        )
    if finetune_steps is not None:
        each = [
            fine_tuning_moments(
                federation,
                mixing,
                int(count),
                [finetune_steps],
                learning_rate=learning_rate,
                local_steps=local_steps,
            )
            for count in recorded
        ]
        return each[0]._replace(
            pulls=_stacked([one.pulls for one in each]), noise=_stacked([one.noise for one in each])
        )
    people = client_types(federation)
    grid = round_grid(recorded, _scaled_rate(federation, eta, steps))
    solved = _along_mixing(people, federation, scheme, mixing, grid, eta, steps)
    return _moments(people, federation, scheme, mixing, solved)


def fine_tuning_moments(
    federation: Federation,
    theta: ArrayLike,
    rounds: int,
    finetune_steps: Sequence[int] | NDArray[Any],
    *,
    learning_rate: float,
    local_steps: int = 1,
) -> PopulationMoments:
    """Return the moments along fine-tuning, after t rounds of the global prompt (T31, T32).

    Let t be `rounds` and s `finetune_steps`, increasing; the first axis of the moments is s. The other arguments
    are those of `population_ratio`. The local prompt of the moments is what fine-tuning added to the global one.

    Raises:
        ValueError, ArithmeticError: as `population_ratio`.

    >>> federation = Federation(
    ...     global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=150, sample_counts=np.full(10, 20))
    >>> moments = fine_tuning_moments(federation, [1.0], 20, [0, 5, 50], learning_rate=0.005)
    >>> moments.by_type()[:, 0, 0, 0].round(2).tolist()
    [0.79, 0.95, 0.89]
    """
    mixing, recorded, eta, steps = _checked("finetuned", theta, [rounds], learning_rate, local_steps)
    times = increasing_rounds(finetune_steps)
    people = client_types(federation)
    before = round_grid(recorded, _scaled_rate(federation, eta, steps))
    streams = one_after_the_other(before, round_grid(times, _scaled_rate(federation, eta, 1)), steps)
    return _moments(
        people, federation, "finetuned", mixing, _repeated(solve(people, federation, streams, eta))
    )


_Moments: TypeAlias = list[Matrix]
"""Two pulls and three moments of noise; the axis of θ comes first."""


def _checked(
    scheme: str,
    theta: ArrayLike,
    rounds: Sequence[int] | NDArray[Any],
    learning_rate: float,
    local_steps: int,
) -> tuple[Matrix, Matrix, float, int]:
    if scheme not in SCHEMES:
        raise ValueError(f"`scheme` is {scheme!r}; allowed: {', '.join(map(repr, SCHEMES))}")
    mixing = np.atleast_1d(unit_interval("theta", theta))
    if mixing.ndim != 1 or mixing.size == 0:
        raise ValueError(f"`theta` has shape {mixing.shape}; allowed: a number or (thetas,)")
    steps = int(between("local_steps", local_steps, 1))
    if steps != local_steps:
        raise ValueError(f"`local_steps` is {local_steps}; allowed: whole numbers")
    return mixing, increasing_rounds(rounds), float(positive("learning_rate", learning_rate)), steps


def _scaled_rate(federation: Federation, eta: float, steps: int) -> float:
    """ηκ E of the client that learns fastest by itself."""
    noise = float(federation.noise_energy) / float(federation.sample_counts.min())
    return (
        4 * (float(federation.global_feature_sq) + float(federation.local_feature_sq) + noise) * eta * steps
    )


def _along_mixing(
    people: ClientTypes,
    federation: Federation,
    scheme: Scheme,
    mixing: Matrix,
    grid: RoundGrid,
    eta: float,
    steps: int,
) -> _Moments:
    """Moments at every θ: solved at each, or interpolated between Chebyshev nodes where there are many."""
    if scheme == "posthoc":
        return _repeated(solve(people, federation, two_streams((0.0, 1.0), grid, steps), eta))
    nodes, read = _mixings(people, federation, mixing)
    state, found = None, []
    for theta in nodes:
        solution = solve(people, federation, _streams(scheme, float(theta), grid, steps), eta, state)
        state = solution.state
        found.append([*solution.pulls, *solution.noise])
    moments = [np.stack(parts) for parts in zip(*found, strict=True)]
    return moments if read is None else _interpolated(moments, read)


def _interpolated(moments: _Moments, read: Matrix) -> _Moments:
    """Moments between mixings; lengths by their logarithms, the rest relative to lengths, which varies less."""
    shared, local, first, cross, last = moments
    a, b = (np.where(part > 0, np.sqrt(np.abs(part)), 1.0) for part in (first, last))
    relative = (shared / a[:, :, None], local / b[:, :, None], first / a**2, cross / (a * b), last / b**2)
    parts = [np.tensordot(read, part, 1) for part in relative]
    a, b = (np.exp(np.tensordot(read, np.log(norm), 1)) for norm in (a, b))
    scales = (a[:, :, None], b[:, :, None], a**2, a * b, b**2)
    return [part * scale for part, scale in zip(parts, scales, strict=True)]


def _mixings(people: ClientTypes, federation: Federation, mixing: Matrix) -> tuple[Matrix, Matrix | None]:
    """Mixings at which to solve, and the matrix that interpolates from them to those asked for.

    The rate of a margin is about (1−θ)² κ_G + θ² κ_L, which vanishes at a complex θ near 0 where K is large. Along
    the angle ψ with tan ψ = θ/(1−θ) √(κ_L/κ_G) its inverse is entire, and a polynomial converges fast.
    """
    if mixing.size <= MIXINGS:
        return mixing, None
    signal, noise = float(federation.global_feature_sq), float(federation.noise_energy)
    samples = people.total / people.counts.sum()
    own = signal + float(federation.local_feature_sq) + noise / samples
    stretch = np.sqrt(
        own / (signal + float(federation.local_feature_sq) / people.counts.sum() + noise / people.total)
    )
    angle = np.arctan2(stretch * mixing, 1 - mixing)
    low, high = float(angle.min()), float(angle.max())
    unit = -np.cos(np.pi * np.arange(MIXINGS) / (MIXINGS - 1))
    places = low + (high - low) * (unit + 1) / 2
    nodes = np.sin(places) / (np.sin(places) + stretch * np.cos(places))
    to_series = np.linalg.inv(chebyshev.chebvander(unit, MIXINGS - 1))
    read = chebyshev.chebvander(2 * (angle - low) / (high - low) - 1, MIXINGS - 1) @ to_series
    return np.clip(nodes, 0.0, 1.0), read


def _streams(scheme: Scheme, theta: float, grid: RoundGrid, steps: int) -> Streams:
    if scheme == "joint":
        shared, local = effective_weights(theta, "joint")
        return one_stream((float(shared), float(local)), grid, steps)
    # the local prompt sees the global one, trained with full weight, through the mixture
    return two_streams((1 - theta, theta**2), grid, steps)


def _repeated(solution: Solution) -> _Moments:
    """Moments that do not depend on θ."""
    return [part[None] for part in (*solution.pulls, *solution.noise)]


def _moments(
    people: ClientTypes, federation: Federation, scheme: Scheme, mixing: Matrix, solved: _Moments
) -> PopulationMoments:
    if scheme == "finetuned":
        # a fine-tuned prompt is the global one and what its own steps add
        weights = np.ones_like(mixing), mixing
    else:
        shared, local = effective_weights(mixing, scheme)
        weights = np.asarray(shared), np.asarray(local)
    full = [np.broadcast_to(part, (mixing.size, *part.shape[1:])) for part in solved]
    pulls = [part.transpose(3, 0, 1, 2) for part in full[:2]]
    first, cross, last = (part.transpose(2, 0, 1) for part in full[2:])
    return PopulationMoments(
        people, weights, (pulls[0], pulls[1]), (first, cross, last), float(federation.noise_std)
    )


def _stacked(parts: list[tuple[Matrix, ...]]) -> Any:
    return tuple(np.concatenate(one) for one in zip(*parts, strict=True))
