"""Faults to plant in the Gram engine and in what it draws, and in how clients work one after another."""

from promptfolio.checks.mutation import Mutant

_ENGINE = "simulate.engines.gram.training"
_MEASURE = "simulate.engines.gram.measure"
_WORLD = "simulate.engines.gram.world"
_CLAIM = ("sample_space",)

MUTANTS: tuple[Mutant, ...] = (
    # --- training ---
    Mutant(
        "gram_clients_summed",
        _ENGINE,
        "share = jax.tree.map(lambda leaf: weights[:, None, None] * leaf, displacement)",
        "share = displacement",
        "in the space of samples, clients' moves are summed instead of averaged",
        _CLAIM,
    ),
    Mutant(
        "gram_weights_swapped",
        _ENGINE,
        "return gradient(here.signals, 1 - theta, together), gradient(home.signals, theta, together)",
        "return gradient(here.signals, theta, together), gradient(home.signals, 1 - theta, together)",
        "in the space of samples, θ and 1−θ are swapped in joint training",
        _CLAIM,
    ),
    Mutant(
        "gram_own_moves_forgotten",
        _ENGINE,
        "here = here._replace(coefficients=server_margins + moved)",
        "here = here._replace(coefficients=server_margins + 0 * moved)",
        "in the space of samples, a client forgets what it did to the global prompt's noise within a round",
        _CLAIM,
    ),
    Mutant(
        "gram_signal_slope_fixed",
        _ENGINE,
        "-view.norms * view.encoder.slope(signals) * (weight * pull)",
        "-2 * view.norms * (weight * pull)",
        "in the space of samples, signal rows keep the band's slope beyond it",
        _CLAIM,
    ),
    Mutant(
        "gram_absent_clients_train",
        _ENGINE,
        "lambda after, before: jnp.where(participating[:, None, None], after, before),",
        "lambda after, before: after,",
        "in the space of samples, absent clients keep what they trained",
        _CLAIM,
    ),
    Mutant(
        "gram_groups_merged",
        "simulate.engines.gram.view",
        'return jnp.einsum("kvs,kvt->st", sees, views)',
        'return jnp.einsum("kvs,jvt->st", sees, views) / views.shape[0]',
        "in the space of samples, clients of all groups move every group's feature alike",
        _CLAIM,
    ),
    # --- the world ---
    Mutant(
        "gram_kernel_slope_missing",
        _WORLD,
        "kernel=SLOPE * rate * gram,",
        "kernel=rate * gram,",
        "the kernel has one factor h′ instead of two",
        _CLAIM,
    ),
    Mutant(
        "gram_start_forgotten",
        _WORLD,
        "start_margins=(SLOPE * (start_noise @ flat.T)).reshape(-1, *data.labels.shape),",
        "start_margins=(0 * (start_noise @ flat.T)).reshape(-1, *data.labels.shape),",
        "initial prompts' noise does not count in the margins",
        _CLAIM,
    ),
    Mutant(
        "gram_degrees_of_freedom",
        _WORLD,
        "freedom = jnp.asarray(dim - jnp.arange(columns), jnp.float32)",
        "freedom = jnp.asarray(dim - 0 * jnp.arange(columns), jnp.float32)",
        "all lengths of a drawn Gram matrix have the full number of degrees of freedom",
        _CLAIM,
    ),
    Mutant(
        "gram_noise_not_scaled",
        _WORLD,
        "scale = jnp.concatenate([signs * parameters.noise_std,",
        "scale = jnp.concatenate([signs,",
        "a drawn Gram matrix is that of noise with unit variance",
        _CLAIM,
    ),
    # --- what is recorded, and the band ---
    Mutant(
        "gram_start_counted_once",
        _MEASURE,
        "unit * (2 * at_start + lengths)",
        "unit * (at_start + lengths)",
        "‖H_ξ‖² counts the product of initial and learned noise once",
        _CLAIM,
    ),
    Mutant(
        "gram_covariance_halved",
        _MEASURE,
        "inner = jnp.sum(own * (start_global + pulled_global), axis=1) + crossed",
        "inner = jnp.sum(own * pulled_global, axis=1) + crossed",
        "⟨H_G,ξ , H_L,ξ⟩ lacks the initial global prompt",
        _CLAIM,
    ),
    Mutant(
        "band_left_unnoticed",
        "simulate.engines.gram.run",
        "PROVED = 0.999",
        "PROVED = 3.0",
        "runs that leave the linear band by a factor of three are kept",
        _CLAIM,
    ),
    Mutant(
        "redone_results_dropped",
        "simulate.running.runner",
        "        before[left] = after\n",
        "",
        "results of the engine that had to give up are kept",
        _CLAIM,
    ),
    # --- clients and θ in turn ---
    Mutant(
        "turns_unweighted",
        "simulate.model.federated",
        "lambda before, leaf: before + weight * leaf",
        "lambda before, leaf: before + leaf / federation_weights.size",
        "clients that work in turn are averaged with equal weights",
        ("per_client",),
    ),
)
