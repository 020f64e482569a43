"""Accuracy by counting: trained mixtures tried on fresh samples of the data model."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from simulate.experiment import Experiment
from simulate.model.data import image_features, label_and_noise
from simulate.model.keys import derived_key, fold_purpose, replicate_key
from simulate.model.program import label_thresholds
from simulate.model.schemes import mix
from simulate.running.arithmetic import arithmetic
from simulate.running.jit import full_precision
from simulate.running.portfolio import train_portfolio

# Fresh samples drawn at once: what a few megabytes of noise hold.
_BATCH_ENTRIES = 2_000_000


def count_correct(experiment: Experiment, fresh_samples: int) -> xr.DataArray:
    """Train an experiment, then count correctly classified fresh samples of every client.

    Samples are drawn by (T1), labels included, from a stream of their own; all θ of a client are tested on the
    same ones. Labels have the client's class prior and are clean.

    Args:
        experiment: what to train.
        fresh_samples: least number of samples per seed and client; a few more fill the last batch.

    Returns:
        Shares of correct answers with dimensions (seed, theta, client); the attribute ``fresh_samples`` says
        how many samples each stands for.
    """
    portfolio = train_portfolio(experiment)
    batch = max(1, min(fresh_samples, _BATCH_ENTRIES // experiment.noise_dim))
    batches = math.ceil(fresh_samples / batch)
    shape = (experiment.replicates, len(experiment.theta), experiment.clients)
    shares = np.empty(shape)
    for seed in range(experiment.replicates):
        with arithmetic(experiment.precision):
            key = fold_purpose(replicate_key(experiment.seed, seed), "test")
            dtype = portfolio.feature_global.dtype
            # One training may stand for every θ.
            theta = np.asarray(experiment.theta, dtype)[None, :, None]
            of_global, of_local = portfolio.feature_global[seed], portfolio.feature_local[seed]
            counts = _count(
                key,
                mix(theta, of_global[None], np.moveaxis(of_local, 1, 0)),
                np.asarray(experiment.groups),
                np.asarray(experiment.noise_std, dtype),
                np.asarray(label_thresholds(experiment.class_prior), dtype),
                experiment.group_count,
                experiment.noise_dim,
                batch,
                batches,
            )
        shares[seed] = np.asarray(counts).T / (batch * batches)
    coords = {"theta": list(experiment.theta), "seed": range(shape[0]), "client": range(shape[2])}
    return xr.DataArray(shares, coords, ("seed", "theta", "client"), attrs={"fresh_samples": batch * batches})


@functools.partial(jax.jit, static_argnames=("group_count", "noise_dim", "batch", "batches"))
@full_precision
def _count(
    key: Key[Array, ""],
    mixtures: Float[Array, "clients thetas rows"],
    groups: Int[Array, " clients"],
    noise_std: Float[Array, ""],
    label_threshold: Float[Array, " clients"],
    group_count: int,
    noise_dim: int,
    batch: int,
    batches: int,
) -> Int[Array, "clients thetas"]:
    constant_rows = mixtures.shape[2] - 1 - group_count - noise_dim

    def count(client: Array, mixture: Array, group: Array, threshold: Array) -> Array:
        own = (jnp.arange(group_count) == group).astype(mixture.dtype)

        def one_batch(index: int | Array, correct: Array) -> Array:
            normals = jax.random.normal(derived_key(key, client, index), (batch, 1 + noise_dim), jnp.float32)
            label, noise = label_and_noise(normals.astype(mixture.dtype), noise_std, threshold)
            features = image_features(label, noise, own[None, :], constant_rows)
            return correct + jnp.sum(label[:, None] * (features @ mixture.T) > 0, axis=0, dtype=jnp.int32)

        return jax.lax.fori_loop(0, batches, one_batch, jnp.zeros(mixture.shape[0], jnp.int32))

    # One client after the other: their batches together would only cost memory.
    clients = jnp.arange(mixtures.shape[0])
    return jax.lax.map(lambda arguments: count(*arguments), (clients, mixtures, groups, label_threshold))
