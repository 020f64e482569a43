"""Which rows of the encoder a client's samples involve: its view, of two or three task-relevant rows.

An image feature of client k has entries only at the shared feature's row, at its own group's row, at the constant's
row if there is one, and at the noise rows.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.engines.gram.world import GramWorld
from simulate.model.encoder import Encoder
from simulate.model.program import Parameters, Program


class View(NamedTuple):
    """The rows and samples that enter each client's loss. The axis ``views`` counts the rows in a client's view.

    Attributes:
        selection: 1 where a task-relevant row is the client's v-th in view, else 0.
        encoder: text encoder of the rows in view.
        norms: ‖w_r‖² of the rows in view.
        sign: label times true class, ±1, 0 where padded: the factor of the signal features in a margin.
        labels: labels that the loss is told, ±1.
        sample_weights: 1/n_k, 0 where padded.
        own_kernel: the block of the kernel of each client's own samples.
        theta: θ of every training.
    """

    selection: Float[Array, "clients views signals"]
    encoder: Encoder
    norms: Float[Array, "clients views 1"]
    sign: Float[Array, "clients samples 1"]
    labels: Float[Array, "clients samples 1"]
    sample_weights: Float[Array, "clients samples 1"]
    own_kernel: Float[Array, "clients samples samples"]
    theta: Float[Array, "1 1 thetas"]


def view_of(
    program: Program, parameters: Parameters, world: GramWorld, theta: Float[Array, " thetas"]
) -> View:
    """The view of one replicate, with its samples, at all θ."""
    selection = rows_in_view(parameters.own_group, program.constant_rows)
    offset, norms = (
        select_rows(selection, values[: program.signals, None])
        for values in (parameters.offset, parameters.squared_norms)
    )
    clients, samples = world.labels.shape
    blocks = world.kernel.reshape(clients, samples, clients, samples)
    return View(
        selection=selection,
        encoder=Encoder(program.activation, parameters.activation_parameter, offset),
        norms=norms,
        sign=(world.labels * world.classes)[:, :, None],
        labels=world.labels[:, :, None],
        sample_weights=world.sample_weights[:, :, None],
        own_kernel=jnp.stack([blocks[client, :, client] for client in range(clients)]),
        theta=theta[None, None, :],
    )


def rows_in_view(
    own_group: Float[Array, "clients groups"], constant_rows: int
) -> Float[Array, "clients views signals"]:
    """`View.selection`: rows of the shared feature, the client's own group, and the constant if there is one."""
    clients, groups = own_group.shape
    every = jnp.eye(1 + groups + constant_rows, dtype=own_group.dtype)
    shared, constant = (
        jnp.broadcast_to(rows, (clients, *rows.shape)) for rows in (every[:1], every[1 + groups :])
    )
    own = jnp.pad(own_group, ((0, 0), (1, constant_rows)))
    return jnp.concatenate([shared, own[:, None], constant], axis=1)


def select_rows(
    selection: Float[Array, "clients views signals"], rows: Float[Array, "signals _"]
) -> Float[Array, "clients views _"]:
    """Select the rows in every client's view from one prompt's task-relevant rows."""
    return jnp.einsum("kvs,st->kvt", selection, rows)


def sum_over_clients(
    selection: Float[Array, "clients views signals"], views: Float[Array, "clients views _"]
) -> Float[Array, "signals _"]:
    """Sum the clients' values of rows in view into task-relevant rows: the transpose of `select_rows`."""
    return jnp.einsum("kvs,kvt->st", selection, views)


def margins_of(
    view: View,
    signals: Float[Array, "clients views thetas"],
    noise_margins: Float[Array, "clients samples thetas"],
) -> Float[Array, "clients samples thetas"]:
    """Margins y_i f(g_i) of one prompt alone on all samples.

    Args:
        view: the rows in view.
        signals: z of the rows in view.
        noise_margins: the part of the margins that the noise rows contribute.
    """
    return sample_margins(view, view.encoder(signals), noise_margins)


def sample_margins(
    view: View,
    feature: Float[Array, "clients views thetas"],
    noise_margins: Float[Array, "clients samples thetas"],
) -> Float[Array, "clients samples thetas"]:
    """`margins_of` from the text features of the rows in view; margins are linear in these and the noise's part."""
    margins = view.sign * (feature[:, :1] + feature[:, 1:2]) + noise_margins
    return margins + view.labels * feature[:, 2:] if feature.shape[1] > 2 else margins
