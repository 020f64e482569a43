"""What the Gram engine draws before training: inner products of the samples' noise vectors.

A prompt moves by multiples of the training samples, so in the linear band training involves the noise coordinates
only through the inner products of samples and initial prompts, their Gram matrix. It is computed from the drawn
features; or, for Gaussian noise, it is drawn itself (M. S. Bartlett, 1933, "On the theory of statistical
regression"), at a cost that does not depend on the number of coordinates.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from simulate.model.data import draw_client_data
from simulate.model.keys import derived_key
from simulate.model.program import Parameters, Program
from simulate.model.world import WorldKeys, draw_world

SLOPE = 2
"""κ = h' of every piecewise linear activation in its band: (1 + s) + (1 − s)."""
CHANCE = 1e-12
"""Chance, per replicate, that a drawn Gram matrix's bound on single noise coordinates does not hold."""


class GramWorld(NamedTuple):
    """One replicate. The axis ``prompts`` has the global prompt first and then the local ones; ``all_samples``
    has the samples of all clients, one client after another.

    With s_i the label that the loss is told, x_i the noise of a sample (0 where padded), e = ‖ξ_l‖², z(0) the
    initial noise rows of a prompt and a_i its coefficients, a prompt has z_ξ = z(0) + e κ Σ_i a_i s_i x_i.

    Attributes:
        kernel: e κ² s_i s_j ⟨x_i, x_j⟩: the change of sample i's margin per unit of a_j.
        start_margins: κ s_i ⟨x_i, z(0)⟩, the part of the margins that the initial prompts' noise rows contribute.
        start_inner: κ² ⟨z(0), z'(0)⟩ of two prompts.
        initial_signals: z_r(0) of the task-relevant rows.
        classes: true classes, 0 where padded.
        labels: s_i.
        sample_weights: 1/n_k, 0 where padded.
        noise: s_i x_i; None when the Gram matrix is drawn itself.
        start_noise: z(0); None when the Gram matrix is drawn itself.
        reach: max_l (Σ_i x_il²)^½ over the samples that move a prompt, or a bound on it.
        start_reach: max_l |z_l(0)|, or a bound on it.
        noise_overlap: max |⟨x_i, x_j⟩|/‖x_i‖² over samples i ≠ j, as `simulate.results.conditions.noise_overlap`.
    """

    kernel: Float[Array, "all_samples all_samples"]
    start_margins: Float[Array, "prompts clients samples"]
    start_inner: Float[Array, "prompts prompts"]
    initial_signals: Float[Array, "prompts signals"]
    classes: Float[Array, "clients samples"]
    labels: Float[Array, "clients samples"]
    sample_weights: Float[Array, "clients samples"]
    noise: Float[Array, "clients samples noise_dim"] | None
    start_noise: Float[Array, "prompts noise_dim"] | None
    reach: Float[Array, " prompts"]
    start_reach: Float[Array, " prompts"]
    noise_overlap: Float[Array, ""]

    @property
    def global_start_margins(self) -> Float[Array, "clients samples 1"]:
        """The initial global prompt's part of the margins, with an axis for θ."""
        return self.start_margins[0][:, :, None]

    @property
    def local_start_margins(self) -> Float[Array, "clients samples 1"]:
        """Every initial local prompt's part of its own client's margins, with an axis for θ."""
        return jnp.einsum("kkn->kn", self.start_margins[1:])[:, :, None]


def gram_world(program: Program, parameters: Parameters, keys: WorldKeys) -> GramWorld:
    """Draw one replicate, from the features of the other engines or by the law of their inner products."""
    if program.gram == "wishart":
        return _from_law(program, parameters, keys)
    return _from_features(program, parameters, keys)


def _from_features(program: Program, parameters: Parameters, keys: WorldKeys) -> GramWorld:
    world = draw_world(program, parameters, keys)
    data, signals = world.data, program.signals
    start = jnp.concatenate([world.initial_global[None, :], world.initial_local])
    noise, start_noise = data.features[:, :, signals:] * data.labels[:, :, None], start[:, signals:]
    flat = noise.reshape(-1, program.noise_dim)
    squares = jnp.sum(noise**2, axis=1)
    columns = jnp.concatenate([jnp.sum(squares, axis=0)[None, :], squares])
    rate = SLOPE * parameters.squared_norms[-1]
    gram = flat @ flat.T
    return GramWorld(
        kernel=SLOPE * rate * gram,
        start_margins=(SLOPE * (start_noise @ flat.T)).reshape(-1, *data.labels.shape),
        start_inner=SLOPE**2 * (start_noise @ start_noise.T),
        initial_signals=start[:, :signals],
        classes=data.classes,
        labels=data.labels,
        sample_weights=data.sample_weights,
        noise=noise,
        start_noise=start_noise,
        reach=jnp.sqrt(jnp.max(columns, axis=1)),
        start_reach=jnp.max(jnp.abs(start_noise), axis=1),
        noise_overlap=_overlap(gram),
    )


def _overlap(gram: Float[Array, "all_samples all_samples"]) -> Float[Array, ""]:
    """The largest inner product of two samples over the first one's squared length; padding has neither."""
    lengths = jnp.diagonal(gram)
    between = jnp.where(jnp.eye(lengths.size, dtype=bool), 0, jnp.abs(gram))
    return jnp.max(jnp.max(between, axis=1) / jnp.where(lengths > 0, lengths, 1))


def _from_law(program: Program, parameters: Parameters, keys: WorldKeys) -> GramWorld:
    """Draw inner products of noise and initial prompts, all Gaussian, and whatever does not depend on them."""
    # Labels alone are needed, so a single noise coordinate is drawn, and not used.
    data = draw_client_data(
        dataclasses.replace(program, noise_dim=1), parameters, keys.data, keys.label_noise
    )
    present = (data.sample_weights > 0).astype(data.labels.dtype)
    signs, prompts = (data.labels * present).ravel(), 1 + program.clients
    feature_norm = jnp.sqrt(parameters.squared_norms[-1])
    start_std = parameters.init_std * feature_norm
    scale = jnp.concatenate([signs * parameters.noise_std, jnp.broadcast_to(start_std, (prompts,))])
    inner = (
        scale[:, None] * _normal_gram(keys.gram, scale.size, program.noise_dim, scale.dtype) * scale[None, :]
    )
    start_signals = jax.random.normal(
        derived_key(keys.initialisation, 0, 0), (prompts, program.signals), jnp.float32
    ).astype(scale.dtype)
    samples, rate = signs.size, SLOPE * parameters.squared_norms[-1]

    # P(χ_n > √n + u) ≤ exp(−u²/2) and P(|normal| > u) ≤ exp(−u²/2), for every coordinate of every prompt.
    tail = math.sqrt(2 * math.log(2 * prompts * program.noise_dim / CHANCE))
    roots = [math.sqrt(samples)] + [math.sqrt(program.max_samples)] * program.clients
    return GramWorld(
        kernel=SLOPE * rate * inner[:samples, :samples],
        start_margins=(SLOPE * inner[samples:, :samples]).reshape(-1, *data.labels.shape),
        start_inner=SLOPE**2 * inner[samples:, samples:],
        initial_signals=start_signals
        * parameters.init_std
        * jnp.sqrt(parameters.squared_norms[: program.signals])[None, :],
        classes=data.classes,
        labels=data.labels,
        sample_weights=data.sample_weights,
        noise=None,
        start_noise=None,
        reach=parameters.noise_std * (jnp.asarray(roots, scale.dtype) + tail),
        start_reach=jnp.broadcast_to(start_std * tail, (prompts,)),
        noise_overlap=_overlap(inner[:samples, :samples]),
    )


def _normal_gram(
    key: Key[Array, ""], vectors: int, dim: int, dtype: jnp.dtype
) -> Float[Array, "vectors vectors"]:
    """Inner products of independent standard normal vectors, by Bartlett's decomposition.

    Rotating a Gaussian matrix into lower triangular form keeps its inner products. The triangle has independent
    standard normals below the diagonal and, as its i-th diagonal entry, the length of the component of vector i
    that is orthogonal to the vectors before it: χ with dim − i degrees of freedom.
    """
    columns = min(vectors, dim)
    normals = jax.random.normal(derived_key(key, 0, 0), (vectors, columns), jnp.float32)
    freedom = jnp.asarray(dim - jnp.arange(columns), jnp.float32)
    lengths = jnp.sqrt(jax.random.chisquare(derived_key(key, 1, 0), freedom, dtype=jnp.float32))
    # With more vectors than dimensions, the vectors beyond have no orthogonal component.
    triangle = (
        jnp.tril(normals.astype(dtype), -1)
        + jnp.eye(vectors, columns, dtype=dtype) * lengths.astype(dtype)[None, :]
    )
    return triangle @ triangle.T
