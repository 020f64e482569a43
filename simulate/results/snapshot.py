"""Snapshots: the few numbers of a portfolio's state that a record is computed from.

They are taken on the device. All that is reported (signal-to-noise ratio, accuracy, losses, mixtures) is computed
from them in NumPy (`simulate.results.measure`), since compiling it would take most of the time of a short run.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.loss import label_margins
from simulate.model.program import Parameters, Program

Values = Any
"""JAX arrays on the device, NumPy arrays on the host."""


class NoiseMoments(NamedTuple):
    """Moments of the noise rows. The axis prompts has the global prompt first, then the local ones.

    Attributes:
        phi_norm: ‖φ‖; shape (prompts,).
        phi_max: max |φ_l|; shape (prompts,).
        norm_sq: ‖H_ξ‖²; shape (prompts,).
        inner: ⟨H_G,ξ , H_L,ξ⟩ with every client's local prompt; shape (clients,).
        band_occupancy: max |z_l| / c_l; shape (prompts,).
    """

    phi_norm: Values
    phi_max: Values
    norm_sq: Values
    inner: Values
    band_occupancy: Values


class Snapshot(NamedTuple):
    """One replicate at one time; the runner's snapshots have leading axes (seeds, trainings, records).

    Attributes:
        moved: z_r − z_r(0) of the task-relevant rows, the constant one included; shape (prompts, signals).
        features: h(z_r) of these rows; shape (prompts, signals).
        signal_occupancy: max |z_r| / c_r of these rows; shape (prompts,).
        noise: moments of the other rows.
        margins: y f(g) of every client's samples under the global and under its local prompt alone, y the label
            that the loss is told; shape (2, clients, samples), padded.
    """

    moved: Values
    features: Values
    signal_occupancy: Values
    noise: NoiseMoments
    margins: Values


def take_snapshot(
    program: Program,
    parameters: Parameters,
    data: ClientData,
    *,
    initial: Float[Array, "prompts rows"],
    present: Float[Array, "prompts rows"],
) -> Snapshot:
    """The snapshot of a portfolio given by its pre-activations; the global prompt is the first."""
    signals = program.signals
    encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset[None, :])
    features, moved = encoder(present), present - initial
    occupancy = jnp.abs(present) / parameters.offset[None, :]
    noise, noise_moved = features[:, signals:], moved[:, signals:]
    of_global, of_local = jax.vmap(label_margins, (None, 0)), jax.vmap(label_margins)
    return Snapshot(
        moved=moved[:, :signals],
        features=features[:, :signals],
        signal_occupancy=jnp.max(occupancy[:, :signals], axis=1),
        noise=NoiseMoments(
            phi_norm=jnp.linalg.norm(noise_moved, axis=1),
            phi_max=jnp.max(jnp.abs(noise_moved), axis=1),
            norm_sq=jnp.sum(noise**2, axis=1),
            inner=noise[1:] @ noise[0],
            band_occupancy=jnp.max(occupancy[:, signals:], axis=1),
        ),
        margins=jnp.stack([of_global(features[0], data), of_local(features[1:], data)]),
    )
