"""What the Gram engine records, and its check that no noise row left the linear band in any step.

The check rests on coefficients a_i that only grow: samples carry their label's sign, gradients of the logistic loss
with respect to margins never change sign, and neither does momentum in [0, 1). So a bound that increases in the
coefficients and holds for the last ones has held for those of every step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.configuration import momentum_of
from simulate.engines.gram.view import View, sample_margins, select_rows
from simulate.engines.gram.world import SLOPE, GramWorld
from simulate.model.federated import TrainState
from simulate.model.program import Parameters, Program
from simulate.results.snapshot import NoiseMoments, Scaled, Snapshot


def gram_snapshot(parameters: Parameters, world: GramWorld, view: View, state: TrainState) -> Snapshot:
    """The snapshot of one replicate at every θ; leaves have a leading axis of θ.

    For schemes whose local prompts have starts of their own; `simulate.engines.gram.fine_tuning` has the other.
    """
    server, local = state.global_prompt, state.local_prompts
    moved = moved_prompts(world, view, state)

    initial = world.initial_signals[:, :, None]
    # A local prompt's rows in view have moved, its other rows have their initial values.
    moving = jnp.any(view.selection > 0, axis=1)[:, :, None]
    local_rows = jnp.where(moving, jnp.einsum("kvs,kvt->kst", view.selection, local.signals), initial[1:])
    present = jnp.concatenate([server.signals[None], local_rows])
    offset = parameters.offset[: present.shape[1]][None, :, None]
    snapshot = Snapshot(
        moved=present - initial,
        features=view.encoder._replace(offset=offset)(present),
        signal_extent=jnp.max(jnp.abs(present), axis=1),
        noise=_moments(parameters, world, state, moved),
        margins=prompt_margins(world, view, state, moved),
    )
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), snapshot)


class Moved(NamedTuple):
    """Coefficients of all prompts, the global one first, over the largest of each prompt.

    Attributes:
        scale: that largest coefficient, (prompts, thetas).
        shared, own: coefficients over it.
        pulled_global, pulled_local: the kernel times these.
    """

    scale: Float[Array, "prompts thetas"]
    shared: Float[Array, "clients samples thetas"]
    own: Float[Array, "clients samples thetas"]
    pulled_global: Float[Array, "clients samples thetas"]
    pulled_local: Float[Array, "clients samples thetas"]


def moved_prompts(world: GramWorld, view: View, state: TrainState) -> Moved:
    """What training did to all prompts."""
    scale = largest_coefficients(state)
    divisor = or_one(scale)
    shared = state.global_prompt.coefficients / divisor[:1, None]
    own = state.local_prompts.coefficients / divisor[1:, None]
    pulled_global = (world.kernel @ shared.reshape(-1, shared.shape[-1])).reshape(shared.shape)
    return Moved(scale, shared, own, pulled_global, view.own_kernel @ own)


def largest_coefficients(state: TrainState) -> Float[Array, "prompts thetas"]:
    """The largest |a_i| of every prompt, the global one first."""
    shared, own = jnp.abs(state.global_prompt.coefficients), jnp.abs(state.local_prompts.coefficients)
    return jnp.concatenate([jnp.max(shared, axis=(0, 1))[None], jnp.max(own, axis=1)])


def or_one(scale: Array) -> Array:
    """What to divide by: the scale, or 1 where all that it measures is 0."""
    return jnp.where(scale > 0, scale, 1)


def prompt_margins(world: GramWorld, view: View, state: TrainState, moved: Moved) -> Scaled:
    """Margins under each prompt alone, over the largest of what they are summed from."""
    signals = select_rows(view.selection, state.global_prompt.signals), state.local_prompts.signals
    features = jnp.stack([view.encoder(rows) for rows in signals])
    starts = jnp.stack([world.global_start_margins, world.local_start_margins])
    feature, start = (jnp.max(jnp.abs(part), axis=2) for part in (features, starts))
    parts = jnp.maximum(feature, start)
    scale = jnp.maximum(jnp.concatenate([jnp.max(parts[:1], axis=1), parts[1]]), moved.scale)
    divisor = or_one(scale)

    def of_prompt(feature: Array, start: Array, pulled: Array, share: Array, divisor: Array) -> Array:
        return sample_margins(view, feature / divisor, start / divisor + share * pulled)

    share = moved.scale / divisor
    values = (
        of_prompt(features[0], starts[0], moved.pulled_global, share[:1, None], divisor[:1, None]),
        of_prompt(features[1], starts[1], moved.pulled_local, share[1:, None], divisor[1:, None]),
    )
    return Scaled(scale, jnp.stack(values))


def _moments(parameters: Parameters, world: GramWorld, state: TrainState, moved: Moved) -> NoiseMoments:
    """Moments of the noise rows; leaves (prompts, thetas), the inner product (clients, thetas).

    With H_ξ = κ z_ξ and e κ² the kernel's unit, ‖H_ξ‖² = κ² ‖z(0)‖² + e κ² Σ_i a_i (2 start_i + pulled_i). Lengths
    are over the larger of κ ‖z(0)‖ and κ √e max |a_i|.
    """
    root = jnp.sqrt(parameters.squared_norms[-1])
    unit = SLOPE * root
    start_global, start_local = world.global_start_margins, world.local_start_margins
    start_norm = jnp.sqrt(jnp.diagonal(world.start_inner))[:, None]
    scale = jnp.maximum(start_norm, unit * moved.scale)
    divisor = or_one(scale)
    move, turn = unit * moved.scale / divisor, unit / divisor

    def both(of_global: Array, of_local: Array) -> Array:
        """Sums over the samples that move each prompt, (prompts, thetas): all samples, or one client's."""
        return jnp.concatenate([jnp.sum(of_global, axis=(0, 1))[None], jnp.sum(of_local, axis=1)])

    lengths = both(moved.shared * moved.pulled_global, moved.own * moved.pulled_local)
    at_start = both(moved.shared * start_global, moved.own * start_local)
    crossed = move[:1] * turn[1:] * jnp.einsum("pkn,knt->pt", world.start_margins[1:], moved.shared)
    of_start = turn[:1] * jnp.sum(moved.own * start_global, axis=1)
    inner = move[1:] * (of_start + move[:1] * jnp.sum(moved.own * moved.pulled_global, axis=1)) + crossed
    square = (start_norm / divisor) ** 2 + move * (2 * turn * at_start + move * lengths)
    extremes = extremes_of(parameters, world, state)
    return NoiseMoments(
        # Rounding can leave a tiny negative square where nothing was learned.
        phi_norm=Scaled(root * moved.scale, jnp.sqrt(jnp.maximum(lengths, 0))),
        phi_max=extremes.phi_max,
        norm=Scaled(scale, jnp.sqrt(jnp.maximum(square, 0))),
        inner=world.start_inner[0, 1:, None] / divisor[:1] / divisor[1:] + inner,
        extent=extremes.extent,
    )


class Extremes(NamedTuple):
    """Of the noise rows of all prompts, the global one first; each (prompts, thetas).

    Attributes:
        phi_max: max |φ_l|; NaN when there are no single rows.
        extent: max |z_l|; a bound when there are no single rows.
        path: a bound on max |z_l| over all steps up to now.
    """

    phi_max: Array
    extent: Array
    path: Array


def quick_path_bound(
    program: Program, parameters: Parameters, world: GramWorld, state: TrainState
) -> Float[Array, "prompts thetas"]:
    """A bound on max |z_l|/c_l over all steps up to now: |Σ_i a_i x_il| ≤ (Σ_i a_i²)^½ (Σ_i x_il²)^½."""
    further = _within_round(program, parameters, world)
    added = program.scheme == "finetuned"
    return _reach(parameters, world, state, further, added) / parameters.offset[-1]


def _reach(
    parameters: Parameters,
    world: GramWorld,
    state: TrainState,
    further: Float[Array, " prompts"],
    added: bool,
) -> Float[Array, "prompts thetas"]:
    """That bound on max |z_l|, with ``further`` added to the norm of each prompt's present coefficients.

    With ``added``, local prompts are what was added to the server's, and the bound is on the sum.
    """
    largest = largest_coefficients(state)
    divisor = or_one(largest)
    shared = state.global_prompt.coefficients / divisor[:1, None]
    own = state.local_prompts.coefficients / divisor[1:, None]
    squares = jnp.concatenate([jnp.sum(shared**2, axis=(0, 1))[None], jnp.sum(own**2, axis=1)])
    rate = SLOPE * parameters.squared_norms[-1] * world.reach[:, None]
    moves = rate * (largest * jnp.sqrt(squares) + further[:, None])
    if added:
        return world.start_reach[0] + jnp.concatenate([moves[:1], moves[:1] + moves[1:]])
    return world.start_reach[:, None] + moves


def path_bound(
    program: Program, parameters: Parameters, world: GramWorld, state: TrainState
) -> Float[Array, "prompts thetas"]:
    """A closer bound, row by row: samples that raise a row cannot lower it, nor the other way round."""
    extra = SLOPE * parameters.squared_norms[-1] * world.reach * _within_round(program, parameters, world)
    added = program.scheme == "finetuned"
    farthest = extremes_of(parameters, world, state, path=True, added=added).path
    return (farthest + extra[:, None]) / parameters.offset[-1]


def _within_round(program: Program, parameters: Parameters, world: GramWorld) -> Float[Array, " prompts"]:
    """How far, at most, a client takes the global prompt's coefficients before its last local step.

    A step is at most the rate times a sample's weight, and momentum adds up to 1/(1−m) of them. Local prompts
    keep what they do.
    """
    steps = (program.local_steps - 1) / (1 - momentum_of(program.optimizer_options))
    largest = jnp.sqrt(jnp.max(jnp.sum(world.sample_weights**2, axis=1)))
    farthest = parameters.learning_rate * steps * largest
    return jnp.concatenate([farthest[None], jnp.zeros_like(world.reach[1:])])


def extremes_of(
    parameters: Parameters, world: GramWorld, state: TrainState, path: bool = False, added: bool = False
) -> Extremes:
    """The extremes over all noise rows, or bounds if only inner products were drawn.

    Without ``path``, the field `path` is that of the present state alone. With ``added``, local prompts are what
    was added to the server's, and the extremes are those of the sum.
    """
    shared, own = state.global_prompt.coefficients, state.local_prompts.coefficients
    rate = SLOPE * parameters.squared_norms[-1]
    if world.noise is None or world.start_noise is None:
        bound = _reach(parameters, world, state, jnp.zeros_like(world.reach), added)
        return Extremes(jnp.full_like(bound, jnp.nan), bound, bound)

    def moves(noise: Array, coefficients: Array) -> tuple[Array, Array]:
        """φ of all rows, and how far they were raised and lowered in all."""
        phi = rate * (noise.T @ coefficients)
        return phi, rate * (jnp.abs(noise).T @ coefficients) if path else jnp.zeros_like(phi)

    def prompt(start: Array, phi: Array, total: Array) -> Extremes:
        largest = jnp.max(jnp.abs(start[:, None] + phi), axis=0)
        farthest = largest
        if path:
            # Raised by R and lowered by S in all, φ = R − S has been as far as max(z(0) + R, −z(0) + S).
            farthest = jnp.max(jnp.abs(start[:, None] + phi / 2) + total / 2, axis=0)
        return Extremes(jnp.max(jnp.abs(phi), axis=0), largest, farthest)

    flat = world.noise.reshape(-1, world.noise.shape[-1]), shared.reshape(-1, shared.shape[-1])
    by_server, server_start = moves(*flat), world.start_noise[0]
    of_global = prompt(server_start, *by_server)

    def local(client: tuple[Array, Array, Array]) -> Extremes:
        noise, start, coefficients = client
        by_itself = moves(noise, coefficients)
        if added:
            return prompt(server_start, *jax.tree.map(jnp.add, by_server, by_itself))
        return prompt(start, *by_itself)

    of_local = jax.lax.map(local, (world.noise, world.start_noise[1:], own))
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), of_global, of_local)
