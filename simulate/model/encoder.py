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
    """h for an activation, in forms without the cancellation of σ(z+c) − σ(−z+c).

    Subtracting the two activations loses every digit of z below rounding in σ(c): all of them, in float32, at
    z = 1e-5 and c = 1e3.
    """
    forms: dict[Activation, Rowwise] = {
        "relu": lambda z, offset, _: _piecewise_linear(z, offset, jnp.zeros((), z.dtype)),
        "leaky_relu": _piecewise_linear,
        "softplus": _softplus,
        "tanh": _tanh,
        "relu_power": _relu_power,
    }
    return forms[activation]


def _piecewise_linear(
    z: Float[Array, "*rows"], offset: Float[Array, "..."], slope: Scalar
) -> Float[Array, "*rows"]:
    """(1+s) z + (1−s) clip(z, −c, c) for σ(x) = max(x, s·x)."""
    return (1 + slope) * z + (1 - slope) * jnp.clip(z, -offset, offset)


def _softplus(z: Float[Array, "*rows"], offset: Float[Array, "..."], _: Scalar) -> Float[Array, "*rows"]:
    """z + 2 artanh(tanh(c/2) tanh(z/2)) near 0, else 2z + log(1+exp(−z−c)) − log(1+exp(z−c))."""
    near = jnp.abs(z) < 1
    inner = jnp.where(near, z, 0)
    small = inner + 2 * jnp.arctanh(jnp.tanh(offset / 2) * jnp.tanh(inner / 2))
    return jnp.where(near, small, 2 * z + jax.nn.softplus(-z - offset) - jax.nn.softplus(z - offset))


def _tanh(z: Float[Array, "*rows"], offset: Float[Array, "..."], _: Scalar) -> Float[Array, "*rows"]:
    """4 exp(−2c) sinh(2z) / ((1+exp(−2c−2z)) (1+exp(−2c+2z))), with exp(2|z|) taken into it where |z| >= 1."""
    near, size = jnp.abs(z) < 1, jnp.abs(z)
    inner, outer = jnp.where(near, z, 0), jnp.where(near, 1, size)
    logistic = jax.nn.sigmoid
    small = 4 * jnp.exp(-2 * offset) * jnp.sinh(2 * inner)
    small *= logistic(2 * (offset + inner)) * logistic(2 * (offset - inner))
    large = -2 * jnp.expm1(-4 * outer) * logistic(2 * (outer + offset)) * logistic(2 * (outer - offset))
    return jnp.where(near, small, jnp.sign(z) * large)


def _relu_power(
    z: Float[Array, "*rows"], offset: Float[Array, "..."], power: Scalar
) -> Float[Array, "*rows"]:
    """c^q ((1+z/c)^q − (1−z/c)^q) for |z| < c, else ±(|z|+c)^q."""
    sigma = activation_function("relu_power")
    share = z / offset
    inside = jnp.abs(share) < 1
    inner = jnp.where(inside, share, 0)
    raised, lowered = (jnp.expm1(power * jnp.log1p(side)) for side in (inner, -inner))
    outside = sigma(z + offset, power) - sigma(-z + offset, power)
    return jnp.where(inside, offset**power * (raised - lowered), outside)


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
        # The inner `where` keeps the power's gradient finite at and below zero. What is not a number stays so.
        "relu_power": lambda x, power: jnp.where(x <= 0, 0, jnp.where(x <= 0, 1, x) ** power),
    }[activation]
