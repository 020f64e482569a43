"""The two-layer text encoder h(z) = σ(z + c) − σ(−z + c) of (T2), for any activation σ."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.experiment import Activation

Scalar = Float[Array, ""]


class Encoder(NamedTuple):
    """One activation with its class offsets, as a function of the rows' pre-activations.

    Attributes:
        activation: name of σ.
        parameter: slope or power, for the activations that have one; scalar.
        offset: c_r, positive, one per row; shape (rows,), or any that broadcasts with the pre-activations.
    """

    activation: Activation
    parameter: Scalar
    offset: Float[Array, "..."]

    def __call__(self, z: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
        """Text feature h_r(z_r) of (T2); odd in z when c is shared by both signs, as it is here."""
        return _encode(self.activation)(z, self.offset, self.parameter)

    def slope(self, z: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
        """h'_r(z_r), row by row."""

        def encode(z: Float[Array, "*rows"]) -> Float[Array, "*rows"]:
            return self(z)

        return jax.jvp(encode, (z,), (jnp.ones_like(z),))[1]


Rowwise = Callable[[Float[Array, "*rows"], Float[Array, "..."], Scalar], Float[Array, "*rows"]]


def _encode(activation: Activation) -> Rowwise:
    if activation == "relu":
        return lambda z, offset, _: _piecewise_linear(z, offset, jnp.zeros((), z.dtype))
    if activation == "leaky_relu":
        return _piecewise_linear
    sigma = activation_function(activation)
    return lambda z, offset, parameter: sigma(z + offset, parameter) - sigma(-z + offset, parameter)


def _piecewise_linear(
    z: Float[Array, "*rows"], offset: Float[Array, "..."], slope: Scalar
) -> Float[Array, "*rows"]:
    """σ(z+c) − σ(−z+c) for σ(x) = max(x, slope·x), without its cancellation.

    Subtracting the two activations loses every digit of z below rounding in c (all of them, in float32, at
    z = 1e-5 and c = 1e3). The same function in one piece keeps them: (1+s) z + (1−s) clip(z, −c, c).
    """
    return (1 + slope) * z + (1 - slope) * jnp.clip(z, -offset, offset)


def activation_function(activation: Activation) -> Callable[[Array, Scalar | float], Array]:
    """σ itself, as (x, parameter) -> σ(x); the parameter is ignored where σ has none.

    Example:
        >>> float(activation_function("leaky_relu")(jnp.float32(-2.0), 0.5))
        -1.0
    """
    return {
        "relu": lambda x, _: jax.nn.relu(x),
        "leaky_relu": lambda x, slope: jnp.where(x > 0, x, slope * x),
        "softplus": lambda x, _: jax.nn.softplus(x),
        "tanh": lambda x, _: jnp.tanh(x),
        # The inner `where` keeps the power's gradient finite at and below zero.
        "relu_power": lambda x, power: jnp.where(x > 0, jnp.where(x > 0, x, 1) ** power, 0),
    }[activation]
