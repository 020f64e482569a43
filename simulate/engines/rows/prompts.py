"""The literal model: prompts p ∈ R^d, frozen W ∈ R^{m×d}, gradients by automatic differentiation."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.engines.rows.model import RowModel
from simulate.model.encoder import Encoder
from simulate.model.federated import autodiff
from simulate.model.loss import logistic_loss
from simulate.model.program import Parameters, Program
from simulate.model.schemes import Batch, portfolio_objective


def prompt_model(program: Program, parameters: Parameters, weights: Float[Array, "rows dim"]) -> RowModel:
    """The synthetic model with prompts of R^d.

    One vector holds the class offsets of all rows, the small ones only to the rounding of the largest: float32
    keeps three digits of 0.4 next to 1000. The other engines keep every row's own offset.

    Args:
        weights: W, orthogonal rows with the parameters' norms; a row of norm zero (a = 0 or b = 0)
            is a feature switched off.
    """
    class_embedding = class_name_embedding(weights, parameters.offset)
    encoder = Encoder(program.activation, parameters.activation_parameter, weights @ class_embedding)

    def encode(prompt: Float[Array, " dim"], _: Batch) -> Float[Array, " rows"]:
        return encoder(weights @ prompt)

    objective = portfolio_objective(program.scheme, encode, logistic_loss)
    return RowModel(autodiff(objective), pre_activations=lambda prompt: weights @ prompt)


def class_name_embedding(
    weights: Float[Array, "rows dim"], offset: Float[Array, " rows"]
) -> Float[Array, " dim"]:
    """p_class with ⟨w_r, p_class⟩ = c_r for every row that is not zero (T2)."""
    squared_norms = jnp.sum(weights**2, axis=1)
    switched_off = squared_norms == 0
    return jnp.where(switched_off, 0, offset / jnp.where(switched_off, 1, squared_norms)) @ weights
