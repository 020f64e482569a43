"""Solves the dynamical mean-field equations of T29: ratio and θ* at any time, or as t → ∞, at N comparable to L.

The unknowns are functions of time, the covariance of a sample's margin and the response to it. They are smooth
along the mean-field margin T9, so Chebyshev nodes on it carry the whole history; the Gaussian margin m(·) has few
principal components, so a product rule replaces sampling. Both are iterated to a fixed point.
`theory.late_time.dynamical_mean_field` has the equations and their derivation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev, hermite_e
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics.margin_rate import joint_rate, rate_parts
from theory.dynamics.saturation import margin
from theory.late_time.dynamical_mean_field import shortfall_moments, shrunk_mode
from theory.late_time.first_order import response
from theory.model.federation import EqualClients
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.best import best_place
from theory.numerics.validation import ArrayLike, between, positive, unit_interval
from theory.proof.derivation import as_function
from theory.proof.symbols import letters

NODES = 16
"""Chebyshev nodes in time, along the mean-field margin; 24 of them move R by less than 1e-4 up to N = L."""
QUADRATURE = {1: (21, 3), 2: (21, 3, 3)}
"""Gauss-Hermite nodes along the largest principal components of m(·), for one or two prompts.

Late in training α has a kink as a function of m, so the first needs many; R is good to 1e-3 up to ηκt = 1e6.
"""
TOLERANCE = 1e-9
_ITERATIONS, _NEWTON = 500, 50
# share of a step of the static iteration that is taken, inverted
_DAMPING = 10

Matrix = NDArray[np.float64]


def predicted_ratio(
    equal: EqualClients, scheme: TrainingScheme, theta: ArrayLike, step: ArrayLike, learning_rate: float
) -> Matrix:
    """Return the ratio R(t, θ) of a client's mixture (T29, mean field).

    Let `equal` describe the clients by scalars, θ be `theta`, shape (thetas,), t `step`, shape (steps,), positive,
    infinite for the maximum margin, and η `learning_rate`.

    Returns:
        Array of shape (steps, thetas).

    Raises:
        ValueError: an array in `equal`; θ outside [0, 1]; a step or learning rate that is not positive; a scheme
            other than joint and posthoc.
        ArithmeticError: the iteration does not settle, as for N close to 2L or above.

    >>> equal = EqualClients(global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=400, clients=10, samples=20)
    >>> predicted_ratio(equal, "joint", [0.0, 0.35], [1, 500, float("inf")], 0.0023).round(2).tolist()
    [[0.46, 0.56], [0.55, 0.59], [0.63, 0.61]]
    """
    for name, field in vars(equal).items():
        if np.ndim(field):
            raise ValueError(f"`{name}` is {field}; allowed: one number")
    mixing = np.atleast_1d(unit_interval("theta", theta))
    times = np.atleast_1d(between("step", step, 0, open_low=True, finite=False))
    eta = float(positive("learning_rate", learning_rate))
    if scheme not in ("joint", "posthoc"):
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc'")
    together = scheme == "posthoc"  # two prompts trained once, whatever θ
    trained = [(0.0, 1.0)] if together else [(float(value),) for value in mixing]
    moments = [_moments([_prompt(equal, value) for value in pair], times, eta, equal) for pair in trained]
    ratio = np.empty((times.size, mixing.size))
    for index, value in enumerate(mixing):
        signal, noise = moments[0 if together else index]
        # a jointly trained prompt of this family is the mixture itself
        weights = np.array(effective_weights(value, "posthoc")) if together else np.ones(1)
        ratio[:, index] = (signal @ weights) / np.sqrt(np.einsum("i,tij,j->t", weights, noise, weights))
    return ratio


def best_mixing(equal: EqualClients, scheme: TrainingScheme, step: ArrayLike, learning_rate: float) -> Matrix:
    """Return the θ with the largest ratio at every time, shape (steps,), to about 1e-3 (T29, mean field).

    The arguments are those of `predicted_ratio`.

    Raises:
        ValueError, ArithmeticError: as `predicted_ratio`.

    >>> equal = EqualClients(global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=400, clients=10, samples=20)
    >>> best_mixing(equal, "joint", [1, 500], 0.0023).round(2).tolist()
    [0.35, 0.31]
    """
    grid = np.linspace(0, 1, 26)
    curves = predicted_ratio(equal, scheme, grid, step, learning_rate)
    return np.asarray(best_place(grid, curves.T).place)


# --- solution of the equations ---


class _Prompt(NamedTuple):
    """Predictor whose training is followed: its two modes c, signal per α, and rate κ."""

    modes: Matrix
    signal: float
    rate: float


_Moments = tuple[Matrix, Matrix]
"""Signals, shape (steps, prompts), and covariance of margins, shape (steps, prompts, prompts)."""


def _prompt(at: EqualClients, theta: float) -> _Prompt:
    symbols = letters().e, letters().n, letters().theta
    modes = np.array(as_function(symbols, response()[:2])(at.noise_feature_sq, at.samples, theta))
    return _Prompt(modes, float(rate_parts(at, theta).signal), float(joint_rate(at, theta)))


def _mean(at: EqualClients, modes: Any) -> Any:
    """⟨·⟩: the common mode once, the other K − 1 times."""
    return (modes[0] + (at.clients - 1) * modes[1]) / at.clients


def _moments(prompts: Sequence[_Prompt], times: Matrix, eta: float, at: EqualClients) -> _Moments:
    """Signals and covariance at every time, the infinite ones by the maximum margin."""
    ends = np.isinf(times)
    signal = np.empty((times.size, len(prompts)))
    noise = np.empty((times.size, len(prompts), len(prompts)))
    if not ends.all():
        signal[~ends], noise[~ends] = _history(prompts, times[~ends], eta, at)
    if ends.any():
        signal[ends], noise[ends] = _limit(prompts, at)
    return signal, noise


def _history(prompts: Sequence[_Prompt], times: Matrix, eta: float, at: EqualClients) -> _Moments:
    """Iterate covariance and response of the whole history to their fixed point."""
    count, variance = len(prompts), at.noise_dim * at.samples * at.noise_std**4
    grids = [_time_grid(eta * prompt.rate, prompt.rate, times) for prompt in prompts]
    normal, chance = _normal(QUADRATURE[count])
    unit = np.eye(NODES)
    modes = [[c * unit for c in prompt.modes] for prompt in prompts]
    alphas = [grid.integral.sum(axis=1)[None, :] for grid in grids]
    weights, previous = np.ones(1), np.zeros(())
    for _ in range(_ITERATIONS):
        means = [prompt.signal * (weights @ alpha) for prompt, alpha in zip(prompts, alphas, strict=True)]
        covariance = np.block(
            [
                [
                    variance
                    * _mean(
                        at,
                        [
                            g @ (alphas[i].T @ (weights[:, None] * alphas[j])) @ h.T
                            for g, h in zip(modes[i], modes[j], strict=True)
                        ],
                    )
                    for j in range(count)
                ]
                for i in range(count)
            ]
        )
        size, axes = np.linalg.eigh((covariance + covariance.T) / 2)
        kept = normal.shape[1]
        spread = axes[:, -kept:][:, ::-1] * np.sqrt(np.maximum(size[-kept:][::-1], 0))
        fields = np.concatenate(means) + normal @ spread.T
        weights, alphas_next = chance, []
        for i, (prompt, grid) in enumerate(zip(prompts, grids, strict=True)):
            memory = at.noise_dim * at.noise_std**2 * _mean(at, modes[i])
            start = alphas[i] if alphas[i].shape[0] == chance.size else None
            alpha, slope = _sample(fields[:, i * NODES : (i + 1) * NODES], memory, grid, start)
            reply = np.einsum("s,sij->ij", chance, slope)
            modes[i] = [
                np.linalg.solve(unit + at.samples * at.noise_std**2 * c * reply, c * unit)
                for c in prompt.modes
            ]
            alphas_next.append(alpha)
        alphas = alphas_next
        now = np.concatenate([covariance[-1], *means])
        if previous.shape == now.shape and np.max(np.abs(now - previous)) <= TOLERANCE * np.max(np.abs(now)):
            break
        previous = now
    else:
        raise ArithmeticError(f"the mean field did not settle at N/L = {_load(at):.3g}")
    signal = np.stack([grid.read @ mean for grid, mean in zip(grids, means, strict=True)], axis=1)
    blocks = covariance.reshape(count, NODES, count, NODES)
    reads = np.stack([grid.read for grid in grids])
    return signal, np.einsum("itp,ipjq,jtq->tij", reads, blocks, reads)


class _TimeGrid(NamedTuple):
    """Time along the mean-field margin x from 0 to its last value.

    Attributes:
        integral: matrix of ∫₀ dτ, τ the mean field's, so that α = integral @ (q/q of the mean field).
        residual: q of the mean field at the nodes.
        read: matrix that interpolates to the requested times, shape (steps, nodes).
    """

    integral: Matrix
    residual: Matrix
    read: Matrix


def _time_grid(scaled_step: float, rate: float, times: Matrix) -> _TimeGrid:
    wanted = np.asarray(margin(scaled_step * times))
    nodes, last = -np.cos(np.pi * np.arange(NODES) / (NODES - 1)), float(wanted.max())
    to_series = np.linalg.inv(chebyshev.chebvander(nodes, NODES - 1))
    integrals = [chebyshev.chebval(nodes, chebyshev.chebint(unit, lbnd=-1)) for unit in np.eye(NODES)]
    read = chebyshev.chebvander(2 * wanted / last - 1, NODES - 1) @ to_series
    integral = np.stack(integrals, axis=1) @ to_series * (last / 2 / rate)
    return _TimeGrid(integral, expit(-(nodes + 1) * last / 2), read)


def _normal(counts: Sequence[int]) -> tuple[Matrix, Matrix]:
    """Nodes, shape (points, components), and weights of a Gauss-Hermite product rule."""
    rules = [hermite_e.hermegauss(count) for count in counts]
    nodes = np.stack(
        [axis.ravel() for axis in np.meshgrid(*(rule[0] for rule in rules), indexing="ij")], axis=1
    )
    weights = np.ones(1)
    for _, weight in rules:
        weights = np.outer(weights, weight / weight.sum()).ravel()
    return nodes, weights


def _sample(fields: Matrix, memory: Matrix, grid: _TimeGrid, start: Matrix | None) -> tuple[Matrix, Matrix]:
    """Solve dα = q(m + Γα) dt for every path m by Newton's method; return α and its response −∂α/∂m."""

    def missing(alpha: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        residual = expit(-(fields + alpha @ memory.T))
        wrong = alpha - (residual / grid.residual) @ grid.integral.T
        return residual, wrong, np.abs(wrong).max(axis=1)

    alpha = np.zeros_like(fields) if start is None else start
    residual, wrong, size = missing(alpha)
    unit = np.eye(NODES)
    for _ in range(_NEWTON):
        pull = grid.integral * (residual * (1 - residual) / grid.residual)[:, None, :]
        slope = unit + pull @ memory
        move, length = np.linalg.solve(slope, wrong[..., None])[..., 0], np.ones(size.shape)
        settled = np.max(np.abs(move), axis=1) <= 1e-12 * np.max(np.abs(alpha), axis=1)
        if settled.all():
            break
        for _ in range(_NEWTON):
            residual, wrong, trial = missing(alpha - length[:, None] * move)
            longer = (trial > size) & ~settled
            if not longer.any():
                break
            # far from the solution the residual has no slope, and a full step overshoots
            length = np.where(longer, length / 2, length)
        alpha, size = alpha - length[:, None] * move, trial
    return alpha, np.asarray(np.linalg.solve(slope, pull), dtype=np.float64)


def _limit(prompts: Sequence[_Prompt], at: EqualClients) -> _Moments:
    """Iterate the maximum-margin equations, in which α = (1 − m)₊/Γ, to their fixed point."""
    count, variance = len(prompts), at.noise_dim * at.samples * at.noise_std**4
    load = at.noise_dim * at.noise_std**2
    given = np.stack([prompt.modes for prompt in prompts], axis=1)
    size = load * _mean(at, given)
    signal, noise = np.zeros(count), np.eye(count) * 1e-3
    nodes, chance = _normal((61,))
    for _ in range(_DAMPING * _ITERATIONS):
        own = np.diag(noise)
        below, first, second = shortfall_moments(signal, own)
        modes = np.asarray(shrunk_mode(given, at.samples, at.noise_std, below / size))
        products = np.diag(second)
        if count == 2:
            # the second margin given the first is normal again
            slope = noise[0, 1] / own[0]
            deviation = np.sqrt(own[0]) * nodes[:, 0]
            _, rest, _ = shortfall_moments(signal[1] + slope * deviation, own[1] - slope * noise[0, 1])
            products[0, 1] = products[1, 0] = chance @ (np.maximum(1 - signal[0] - deviation, 0) * rest)
        alike = products / np.outer(size, size)
        next_signal = np.array([prompt.signal for prompt in prompts]) * first / size
        next_noise = variance * alike * _mean(at, [np.outer(mode, mode) for mode in modes])
        next_size = load * _mean(at, modes)
        moved = max(np.max(np.abs(next_size / size - 1)), np.max(np.abs(next_noise - noise)))
        if moved <= TOLERANCE:
            return signal[None, :], noise[None, :, :]
        # without damping the iteration does not converge at a large load
        signal, noise, size = (
            old + (new - old) / _DAMPING
            for old, new in ((signal, next_signal), (noise, next_noise), (size, next_size))
        )
    raise ArithmeticError(f"the maximum-margin equations did not settle at N/L = {_load(at):.3g}")


def _load(at: EqualClients) -> float:
    return at.clients * at.samples / at.noise_dim
