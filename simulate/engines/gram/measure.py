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
from simulate.engines.gram.view import View, margins_of, select_rows
from simulate.engines.gram.world import SLOPE, GramWorld
from simulate.model.federated import TrainState
from simulate.model.program import Parameters, Program
from simulate.results.snapshot import NoiseMoments, Snapshot


def gram_snapshot(parameters: Parameters, world: GramWorld, view: View, state: TrainState) -> Snapshot:
    """The snapshot of one replicate at every θ; leaves have a leading axis of θ."""
    server, local = state.global_prompt, state.local_prompts
    shape = server.coefficients.shape
    pulled_global = (world.kernel @ server.coefficients.reshape(-1, shape[-1])).reshape(shape)
    pulled_local = view.own_kernel @ local.coefficients

    initial = world.initial_signals[:, :, None]
    # A local prompt's rows in view have moved, its other rows have their initial values.
    moving = jnp.any(view.selection > 0, axis=1)[:, :, None]
    local_rows = jnp.where(moving, jnp.einsum("kvs,kvt->kst", view.selection, local.signals), initial[1:])
    present = jnp.concatenate([server.signals[None], local_rows])
    offset = parameters.offset[: present.shape[1]][None, :, None]
    in_view = select_rows(view.selection, server.signals)
    margins = (
        margins_of(view, in_view, world.global_start_margins + pulled_global),
        margins_of(view, local.signals, world.local_start_margins + pulled_local),
    )
    snapshot = Snapshot(
        moved=present - initial,
        features=view.encoder._replace(offset=offset)(present),
        signal_occupancy=jnp.max(jnp.abs(present) / offset, axis=1),
        noise=_moments(parameters, world, state, pulled_global, pulled_local),
        margins=jnp.stack(margins),
    )
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), snapshot)


def _moments(
    parameters: Parameters,
    world: GramWorld,
    state: TrainState,
    pulled_global: Float[Array, "clients samples thetas"],
    pulled_local: Float[Array, "clients samples thetas"],
) -> NoiseMoments:
    """Moments of the noise rows; leaves (prompts, thetas), the inner product (clients, thetas).

    ``pulled`` is the kernel times the coefficients. With H_ξ = κ z_ξ and e κ² the kernel's unit,
    ‖H_ξ‖² = κ² ‖z(0)‖² + e κ² Σ_i a_i (2 start_i + pulled_i).
    """
    shared, own = state.global_prompt.coefficients, state.local_prompts.coefficients
    energy = parameters.squared_norms[-1]
    unit = energy * SLOPE**2
    start_global, start_local = world.global_start_margins, world.local_start_margins

    def both(of_global: Array, of_local: Array) -> Array:
        """Sums over the samples that move each prompt, (prompts, thetas): all samples, or one client's."""
        return jnp.concatenate([jnp.sum(of_global, axis=(0, 1))[None], jnp.sum(of_local, axis=1)])

    lengths = both(shared * pulled_global, own * pulled_local)
    at_start = both(shared * start_global, own * start_local)
    crossed = jnp.einsum("pkn,knt->pt", world.start_margins[1:], shared)
    inner = jnp.sum(own * (start_global + pulled_global), axis=1) + crossed
    extremes = _extremes(parameters, world, state)
    return NoiseMoments(
        # Rounding can leave a tiny negative square where nothing was learned.
        phi_norm=jnp.sqrt(energy * jnp.maximum(lengths, 0)),
        phi_max=extremes.phi_max,
        norm_sq=jnp.maximum(jnp.diagonal(world.start_inner)[:, None] + unit * (2 * at_start + lengths), 0),
        inner=world.start_inner[0, 1:, None] + unit * inner,
        band_occupancy=extremes.band_occupancy,
    )


class Extremes(NamedTuple):
    """Of the noise rows of all prompts, the global one first; each (prompts, thetas).

    Attributes:
        phi_max: max |φ_l|; NaN when there are no single rows.
        band_occupancy: max |z_l|/c_l; a bound when there are no single rows.
        path: a bound on max |z_l|/c_l over all steps up to now.
    """

    phi_max: Array
    band_occupancy: Array
    path: Array


def quick_path_bound(
    program: Program, parameters: Parameters, world: GramWorld, state: TrainState
) -> Float[Array, "prompts thetas"]:
    """A bound on max |z_l|/c_l over all steps up to now: |Σ_i a_i x_il| ≤ (Σ_i a_i²)^½ (Σ_i x_il²)^½."""
    return _reach(parameters, world, state, _within_round(program, parameters, world))


def _reach(
    parameters: Parameters, world: GramWorld, state: TrainState, further: Float[Array, " prompts"]
) -> Float[Array, "prompts thetas"]:
    """That bound with ``further`` added to the norm of each prompt's present coefficients."""
    shared, own = state.global_prompt.coefficients, state.local_prompts.coefficients
    squares = jnp.concatenate([jnp.sum(shared**2, axis=(0, 1))[None], jnp.sum(own**2, axis=1)])
    rate = SLOPE * parameters.squared_norms[-1] * world.reach[:, None]
    farthest = world.start_reach[:, None] + rate * (jnp.sqrt(squares) + further[:, None])
    return farthest / parameters.offset[-1]


def path_bound(
    program: Program, parameters: Parameters, world: GramWorld, state: TrainState
) -> Float[Array, "prompts thetas"]:
    """A closer bound, row by row: samples that raise a row cannot lower it, nor the other way round."""
    extra = SLOPE * parameters.squared_norms[-1] * world.reach * _within_round(program, parameters, world)
    return _extremes(parameters, world, state, path=True).path + (extra / parameters.offset[-1])[:, None]


def _within_round(program: Program, parameters: Parameters, world: GramWorld) -> Float[Array, " prompts"]:
    """How far, at most, a client takes the global prompt's coefficients before its last local step.

    A step is at most the rate times a sample's weight, and momentum adds up to 1/(1−m) of them. Local prompts
    keep what they do.
    """
    steps = (program.local_steps - 1) / (1 - momentum_of(program.optimizer_options))
    largest = jnp.sqrt(jnp.max(jnp.sum(world.sample_weights**2, axis=1)))
    farthest = parameters.learning_rate * steps * largest
    return jnp.concatenate([farthest[None], jnp.zeros_like(world.reach[1:])])


def _extremes(parameters: Parameters, world: GramWorld, state: TrainState, path: bool = False) -> Extremes:
    """The extremes over all noise rows, or bounds if only inner products were drawn.

    Without ``path``, the field `path` is that of the present state alone.
    """
    shared, own = state.global_prompt.coefficients, state.local_prompts.coefficients
    rate, offset = SLOPE * parameters.squared_norms[-1], parameters.offset[-1]
    if world.noise is None or world.start_noise is None:
        bound = _reach(parameters, world, state, jnp.zeros_like(world.reach))
        return Extremes(jnp.full_like(bound, jnp.nan), bound, bound)

    def prompt(noise: Array, start: Array, coefficients: Array) -> Extremes:
        phi = rate * (noise.T @ coefficients)
        largest = jnp.max(jnp.abs(start[:, None] + phi), axis=0) / offset
        farthest = largest
        if path:
            # Raised by R and lowered by S in all, φ = R − S has been as far as max(z(0) + R, −z(0) + S).
            total = rate * (jnp.abs(noise).T @ coefficients)
            farthest = jnp.max(jnp.abs(start[:, None] + phi / 2) + total / 2, axis=0) / offset
        return Extremes(jnp.max(jnp.abs(phi), axis=0), largest, farthest)

    flat = world.noise.reshape(-1, world.noise.shape[-1]), shared.reshape(-1, shared.shape[-1])
    of_global = prompt(flat[0], world.start_noise[0], flat[1])
    of_local = jax.lax.map(lambda one: prompt(*one), (world.noise, world.start_noise[1:], own))
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), of_global, of_local)
