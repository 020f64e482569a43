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


class Scaled(NamedTuple):
    """Numbers as products, ``scale`` times ``value``.

    A length is computed from entries divided by their largest: the square of a float32 entry above 1.8e19 is
    infinite, and that of one below 1e-19 is 0.
    """

    scale: Values
    value: Values


class NoiseMoments(NamedTuple):
    """Moments of the noise rows. The axis prompts has the global prompt first, then the local ones.

    Attributes:
        phi_norm: ‖φ‖; shape (prompts,).
        phi_max: max |φ_l|; shape (prompts,).
        norm: ‖H_ξ‖; shape (prompts,).
        inner: ⟨H_G,ξ , H_L,ξ⟩ with every client's local prompt, over the scales of both norms; shape (clients,).
        extent: max |z_l|; shape (prompts,).
    """

    phi_norm: Scaled
    phi_max: Values
    norm: Scaled
    inner: Values
    extent: Values


class Snapshot(NamedTuple):
    """One replicate at one time; the runner's snapshots have leading axes (seeds, trainings, records).

    Attributes:
        moved: z_r − z_r(0) of the task-relevant rows, the constant one included; shape (prompts, signals).
        features: h(z_r) of these rows; shape (prompts, signals).
        signal_extent: max |z_r| of these rows; shape (prompts,).
        noise: moments of the other rows.
        margins: y f(g) of every client's samples under the global and under its local prompt alone, y the label
            that the loss is told; values of shape (2, clients, samples), padded, and a scale for each prompt, of
            shape (prompts,).
    """

    moved: Values
    features: Values
    signal_extent: Values
    noise: NoiseMoments
    margins: Scaled


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
    phi_max, phi = over_largest(moved[:, signals:])
    noise_scale, noise = over_largest(features[:, signals:])
    # Margins need a scale of all rows: noise may be as small beside the signal as it may be large.
    scale, shares = over_largest(features)
    extents = jnp.abs(present)
    of_global, of_local = jax.vmap(label_margins, (None, 0)), jax.vmap(label_margins)
    return Snapshot(
        moved=moved[:, :signals],
        features=features[:, :signals],
        signal_extent=jnp.max(extents[:, :signals], axis=1),
        noise=NoiseMoments(
            phi_norm=Scaled(phi_max, jnp.linalg.norm(phi, axis=1)),
            phi_max=phi_max,
            norm=Scaled(noise_scale, jnp.linalg.norm(noise, axis=1)),
            inner=noise[1:] @ noise[0],
            extent=jnp.max(extents[:, signals:], axis=1),
        ),
        margins=Scaled(scale, jnp.stack([of_global(shares[0], data), of_local(shares[1:], data)])),
    )


def over_largest(
    rows: Float[Array, "prompts rows"],
) -> tuple[Float[Array, " prompts"], Float[Array, "prompts rows"]]:
    """The largest absolute entry of each prompt, and the entries divided by it; zeros stay zeros.

    Example:
        >>> largest, shares = over_largest(jnp.asarray([[3e30, -6e30], [0.0, 0.0]]))
        >>> largest.tolist() == [float(jnp.float32(6e30)), 0.0], shares.tolist()
        (True, [[0.5, -1.0], [0.0, 0.0]])
    """
    largest = jnp.max(jnp.abs(rows), axis=1)
    return largest, rows / jnp.where(largest > 0, largest, 1)[:, None]
