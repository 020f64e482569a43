"""Train and measure portfolios of prompts on several levels: global, cluster by cluster, local (T23).

The federated loop is that of two prompts, with a stack of prompts in the local prompt's place: one for each cluster
that the client belongs to, and its own last. The axis ``stack`` counts them. After every round the prompts of a
cluster are averaged over its members, with weights n_k.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from simulate.engines.rows.run import draw
from simulate.hierarchy.config import Hierarchy
from simulate.hierarchy.labels import label_levels, level_records
from simulate.hierarchy.measure import LevelRecord, MixtureRecord, level_features, measure_levels
from simulate.model.algorithm import federated_algorithm
from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.federated import AverageLocal, TrainState, autodiff, initial_state, train
from simulate.model.keys import derived_key
from simulate.model.loss import logistic_loss
from simulate.model.program import Parameters, Program, split
from simulate.model.schemes import Scalar
from simulate.model.world import World, streams_of
from simulate.results.conditions import overlaps
from simulate.results.degenerate import degenerate
from simulate.results.finite_records import require_finite
from simulate.results.notices import with_notices
from simulate.running.arithmetic import arithmetic
from simulate.running.devices import ONE_DEVICE
from simulate.running.jit import quick_jit

Rows = Float[Array, " rows"]
StackRows = Float[Array, "stack rows"]

# Portfolios trained at once: more would only cost memory.
_BATCH = 8


class PreparedHierarchy(NamedTuple):
    """A run before its first round.

    Attributes:
        program, parameters: the experiment, split for compilation.
        worlds: drawn worlds, leading axis of seeds.
        participation_keys: stream of every replicate that decides who takes part, shape (seeds,).
        initial_stack: z of every client's stack of prompts, shape (seeds, clients, levels − 1, rows).
        together: 1 where two clients share a cluster, shape (partitions, clients, clients).
        weights: w of every portfolio, shape (portfolios, levels).
    """

    program: Program
    parameters: Parameters
    worlds: World
    participation_keys: Key[Array, " seeds"]
    initial_stack: Float[Array, "seeds clients stack rows"]
    together: Float[Array, "partitions clients clients"]
    weights: Float[Array, "portfolios levels"]


def run_hierarchy(hierarchy: Hierarchy) -> xr.Dataset:
    """Simulate portfolios of prompts on several levels.

    Raises:
        NonFiniteError: as by `simulate.run`.

    Returns:
        A dataset with dimensions seed, portfolio (coordinate ``weight`` with the levels' weights), step, client
        and level, twice for the Gram matrix of the noise vectors. Under the posthoc scheme training does
        not depend on the weights, so only variables of a mixture have the dimension portfolio.

    Example:
        >>> from simulate.experiment import Experiment
        >>> experiment = Experiment(clients=4, samples=(3,), noise_dim=50, rounds=2)
        >>> result = run_hierarchy(Hierarchy(experiment, ((0, 0, 1, 1),), ((0.5, 0.3, 0.2),)))
        >>> dict(result.sizes)
        {'seed': 1, 'portfolio': 1, 'step': 3, 'client': 4, 'level': 3, 'other_level': 3}
        >>> noise = result.noise_gram.sel(level="cluster", other_level="cluster").isel(step=-1).values.ravel()
        >>> bool(noise[0] == noise[1]), bool(noise[1] == noise[2])
        (True, False)
    """
    experiment = hierarchy.experiment
    with arithmetic(experiment.precision):
        prepared = prepare_hierarchy(hierarchy)
        gaps = jax.device_put(np.diff(experiment.record, prepend=0))
        levels, mixtures = jax.device_get(simulate_hierarchy(prepared.program, prepared[1:], gaps))
        overlap = overlaps(prepared.worlds.data, experiment.noise_dim)
    records = level_records(experiment, levels, mixtures)
    finite = {**records, "ratio": np.where(np.isnan(records["ratio"]), np.nan, 0)}
    require_finite(experiment, finite, experiment.record)
    require_finite(experiment, {"noise_overlap": overlap[:, None, None]}, (0,))
    result = label_levels(hierarchy, records, overlap)
    return with_notices(result, degenerate(experiment, result))


def prepare_hierarchy(hierarchy: Hierarchy) -> PreparedHierarchy:
    """Draw all replicates; to be called in the experiment's precision."""
    experiment = hierarchy.experiment
    program, parameters = split(experiment, "coefficient")
    dtype = parameters.noise_std.dtype
    keys, participation_keys = streams_of(experiment)
    worlds = draw(program.drawing, ONE_DEVICE, parameters, keys)
    partitions = np.asarray(hierarchy.clusters, int).reshape(-1, experiment.clients)
    stack = np.asarray(worlds.initial_local)[:, :, None]
    if partitions.shape[0] and experiment.init_std > 0:
        levels, local = jax.device_put((partitions, stack))
        initial_stack = _initial_stack(program.drawing, parameters, levels, keys.initialisation, local)
    else:  # nothing to draw, which spares a compilation
        initial_stack = jax.device_put(np.repeat(stack, partitions.shape[0] + 1, axis=2))
    together = (partitions[:, :, None] == partitions[:, None, :]).astype(dtype)
    weights = np.asarray(hierarchy.weights, dtype)
    return PreparedHierarchy(
        program,
        parameters,
        worlds,
        participation_keys,
        initial_stack,
        jax.device_put(together),
        jax.device_put(weights),
    )


@quick_jit("program")
def _initial_stack(
    program: Program,
    parameters: Parameters,
    partitions: Int[Array, "partitions clients"],
    keys: Key[Array, " seeds"],
    initial_local: Float[Array, "seeds clients 1 rows"],
) -> Float[Array, "seeds clients stack rows"]:
    """The members of a cluster start from one prompt; local prompts start as they do without clusters."""
    scale = parameters.init_std * jnp.sqrt(parameters.squared_norms)
    shape = (program.clients, program.rows)  # there are at most as many clusters as clients

    def cluster_prompts(key: Key[Array, ""], level: Array, clusters: Array) -> Array:
        # A world numbers its draws (0, 0), (1, 0) …; those of the levels are numbered (0, 1), (0, 2) …
        normals = jax.random.normal(derived_key(key, 0, 1 + level), shape, jnp.float32)
        return (normals.astype(scale.dtype) * scale[None, :])[clusters]

    def replicate(key: Key[Array, ""], local: Array) -> Array:
        levels = jnp.arange(partitions.shape[0])
        shared = jax.vmap(cluster_prompts, (None, 0, 0), out_axes=1)(key, levels, partitions)
        return jnp.concatenate([shared, local], axis=1)

    return jax.vmap(replicate)(keys, initial_local)


@quick_jit("program")
def simulate_hierarchy(
    program: Program,
    arrays: tuple[Parameters, World, Array, Array, Array, Array],
    gaps: Int[Array, " records"],
) -> tuple[LevelRecord, MixtureRecord]:
    """Train all replicates for ``gaps[i]`` rounds before each record i, and measure.

    Args:
        program: static part of the experiment.
        arrays: the other fields of `PreparedHierarchy`, in their order.
        gaps: rounds between records.

    Returns:
        Leaves with leading axes (seeds, trainings, records, clients) of the levels, and (seeds, trainings,
        records, portfolios, clients) of the mixtures. Joint training has one training per portfolio and measures
        its own mixture; post-hoc training is one for all.
    """
    parameters, worlds, participation_keys, initial_stack, together, weights = arrays
    federation = federated_algorithm(program, parameters, average_local=average_clusters(together))
    encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset)

    def objective(z_global: Rows, z_stack: StackRows, weights: Array, batch: ClientData) -> Scalar:
        features = level_features(encoder, z_global, z_stack)
        if program.scheme == "joint":
            return logistic_loss(weights @ features, batch)
        return jnp.sum(jax.vmap(logistic_loss, (0, None))(features, batch))

    def gradient(
        z_global: Rows, z_stack: StackRows, weights: Array, batch: ClientData
    ) -> tuple[Rows, StackRows]:
        # As in the coefficient engine: a step −η ∇_p ℓ on the prompt moves z_r by −η ‖w_r‖² ∂ℓ/∂z_r.
        by_global, by_stack = autodiff(objective)(z_global, z_stack, weights, batch)
        return parameters.squared_norms * by_global, parameters.squared_norms[None, :] * by_stack

    def replicate(world: World, key: Key[Array, ""], stack: Array) -> tuple[LevelRecord, MixtureRecord]:
        state = initial_state(world.initial_global, stack, federation.optimizer)

        def one(trained: Array, measured: Array) -> tuple[LevelRecord, MixtureRecord]:
            def measure(state: TrainState) -> tuple[LevelRecord, MixtureRecord]:
                return measure_levels(program.noise_dim, encoder, parameters, world.data, state, measured)

            return train(federation, gradient, measure, world.data, trained, key, state, gaps)[1]

        if program.scheme == "posthoc":
            return jax.tree.map(lambda leaf: leaf[None], one(weights[0], weights))
        return jax.lax.map(lambda own: one(own, own[None, :]), weights, batch_size=_BATCH)

    return jax.vmap(replicate)(worlds, participation_keys, initial_stack)


def average_clusters(together: Float[Array, "partitions clients clients"]) -> AverageLocal:
    """The function that averages each partition's prompts over their clusters after a round.

    The last of a client's prompts is its own and stays as it is. Where no member of a cluster took part in the
    round, its prompt stays as it is.
    """

    def average(together: Array, prompts: Array, weights: Array) -> Array:
        shares = together * weights[None, :]
        mass = shares.sum(axis=1, keepdims=True)
        taking_part = mass > 0
        averaged = (shares / jnp.where(taking_part, mass, 1)) @ prompts
        return jnp.where(taking_part, averaged, prompts)

    def average_local(
        stack: Float[Array, "clients stack rows"], weights: Float[Array, " clients"]
    ) -> Float[Array, "clients stack rows"]:
        shared = jax.vmap(average, (0, 1, None), out_axes=1)(together, stack[:, :-1], weights)
        return jnp.concatenate([shared, stack[:, -1:]], axis=1)

    return average_local
