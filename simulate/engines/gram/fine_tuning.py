"""What the Gram engine records under the finetuned scheme: a local prompt is the server's and what was added to it.

Noise rows add up in the linear band: with a_G the server's coefficients and a_F those that a client has added on
its own samples, the client's prompt has a_G + a_F, from the server's start. Its lengths and margins follow from the
two parts' and from the kernel between them, without all samples' coefficients for every client.
"""

import jax
import jax.numpy as jnp

from simulate.engines.gram.measure import Moved, extremes_of, moved_prompts, or_one, prompt_margins
from simulate.engines.gram.training import GramPrompt
from simulate.engines.gram.view import View, select_rows
from simulate.engines.gram.world import SLOPE, GramWorld
from simulate.model.federated import TrainState
from simulate.model.program import Parameters
from simulate.results.snapshot import NoiseMoments, Scaled, Snapshot


def finetuned_snapshot(parameters: Parameters, world: GramWorld, view: View, state: TrainState) -> Snapshot:
    """The snapshot of one replicate at every θ, as `simulate.engines.gram.measure.gram_snapshot`."""
    server, added = state.global_prompt, state.local_prompts
    moved = moved_prompts(world, view, state)
    rows = server.signals[None] + jnp.einsum("kvs,kvt->kst", view.selection, added.signals)
    present = jnp.concatenate([server.signals[None], rows])
    offset = parameters.offset[: present.shape[1]][None, :, None]
    in_view = GramPrompt(select_rows(view.selection, server.signals) + added.signals, added.coefficients)
    snapshot = Snapshot(
        moved=present - world.initial_signals[0][None, :, None],
        features=view.encoder._replace(offset=offset)(present),
        signal_extent=jnp.max(jnp.abs(present), axis=1),
        noise=_moments(parameters, world, state, moved),
        margins=prompt_margins(
            _from_the_server(world), view, state._replace(local_prompts=in_view), _sums(moved)
        ),
    )
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), snapshot)


def _from_the_server(world: GramWorld) -> GramWorld:
    """The world, with local prompts that start where the server's does."""
    starts = jnp.broadcast_to(world.start_margins[:1], world.start_margins.shape)
    return world._replace(start_margins=starts)


def _sums(moved: Moved) -> Moved:
    """What training did to whole prompts: `Moved.pulled_local` of the sum of both parts, over the larger scale."""
    scale = jnp.maximum(moved.scale, moved.scale[:1])
    of_server, of_client = _shares(moved)
    pulled = of_server[:, None] * moved.pulled_global + of_client[:, None] * moved.pulled_local
    return moved._replace(scale=scale, pulled_local=pulled)


def _shares(moved: Moved) -> tuple[jax.Array, jax.Array]:
    """Scales of the server's part and of the client's own over the larger of the two, each (clients, thetas)."""
    divisor = or_one(jnp.maximum(moved.scale[1:], moved.scale[:1]))
    return moved.scale[:1] / divisor, moved.scale[1:] / divisor


def _moments(parameters: Parameters, world: GramWorld, state: TrainState, moved: Moved) -> NoiseMoments:
    """Moments of the noise rows of whole prompts, as there; the start z(0) is the server's for all of them."""
    start = world.global_start_margins
    of_server, of_client = _shares(moved)
    scale = jnp.maximum(moved.scale, moved.scale[:1])

    # products a·K·a and a·start of the coefficients over their scales
    shared_shared = jnp.sum(moved.shared * moved.pulled_global, axis=(0, 1))[None]
    own_shared = jnp.sum(moved.own * moved.pulled_global, axis=1)
    own_own = jnp.sum(moved.own * moved.pulled_local, axis=1)
    shared_start = jnp.sum(moved.shared * start, axis=(0, 1))[None]
    both_shared = of_server * shared_shared + of_client * own_shared
    both_both = of_server * (both_shared + of_client * own_shared) + of_client**2 * own_own
    both_start = of_server * shared_start + of_client * jnp.sum(moved.own * start, axis=1)
    lengths = jnp.concatenate([shared_shared, both_both])
    at_start = jnp.concatenate([shared_start, both_start])

    root = jnp.sqrt(parameters.squared_norms[-1])
    unit, start_norm = SLOPE * root, jnp.sqrt(world.start_inner[0, 0])
    norm_scale = jnp.maximum(start_norm, unit * scale)
    divisor = or_one(norm_scale)
    move, turn, begin = unit * scale / divisor, unit / divisor, start_norm / divisor
    square = begin**2 + move * (2 * turn * at_start + move * lengths)
    inner = begin[:1] * begin[1:] + move[:1] * turn[1:] * shared_start + move[1:] * turn[:1] * both_start
    extremes = extremes_of(parameters, world, state, added=True)
    return NoiseMoments(
        # Rounding can leave a tiny negative square where nothing was learned.
        phi_norm=Scaled(root * scale, jnp.sqrt(jnp.maximum(lengths, 0))),
        phi_max=extremes.phi_max,
        norm=Scaled(norm_scale, jnp.sqrt(jnp.maximum(square, 0))),
        inner=inner + move[:1] * move[1:] * both_shared,
        extent=extremes.extent,
    )
