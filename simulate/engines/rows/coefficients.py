"""The coefficient-space form of training (T5): each prompt is its vector of pre-activations z.

Exactly equivalent to the literal model for orthogonal encoder rows and optimizers linear in the gradient, and
needs neither W nor automatic differentiation.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.engines.rows.model import RowModel
from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.loss import label_margins
from simulate.model.program import Parameters, Program
from simulate.model.schemes import Scalar, mix

Rows = Float[Array, " rows"]


def coefficient_model(program: Program, parameters: Parameters) -> RowModel:
    """The synthetic model with the prompt's z_r = ⟨w_r, p⟩ as its coordinates.

    With W Wᵀ = diag(‖w_r‖²), a step −η ∇_p ℓ on the prompt moves z_r by −η ‖w_r‖² ∂ℓ/∂z_r. That product is
    the gradient here: any optimizer linear in the gradient then does to z what it does to the prompt.
    """
    encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset)
    norms = parameters.squared_norms

    def gradient(z_global: Rows, z_local: Rows, theta: Scalar, batch: ClientData) -> tuple[Rows, Rows]:
        feature_global, feature_local = encoder(z_global), encoder(z_local)
        mixture = mix(theta, feature_global, feature_local)
        if program.scheme == "joint":
            pull = _pull(mixture, batch)
            pull_global, pull_local = (1 - theta) * pull, theta * pull
        elif program.scheme == "posthoc":
            pull_global, pull_local = _pull(feature_global, batch), _pull(feature_local, batch)
        elif program.scheme == "finetuned":
            pull_global, pull_local = jnp.zeros_like(z_global), _pull(feature_local, batch)
        else:
            pull_global, pull_local = _pull(feature_global, batch), theta * _pull(mixture, batch)
        return -norms * encoder.slope(z_global) * pull_global, -norms * encoder.slope(z_local) * pull_local

    return RowModel(gradient, pre_activations=lambda z: z)


def _pull(feature: Rows, batch: ClientData) -> Rows:
    """(1/n_k) Σ_i q_i y_i g_i with q_i = 1/(1+exp(y_i f(g_i))): what (T5) multiplies by η ω ‖w_r‖² h'_r."""
    residuals = batch.sample_weights * jax.nn.sigmoid(-label_margins(feature, batch))
    return (residuals * batch.labels) @ batch.features
