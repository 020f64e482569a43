"""Run an experiment: in batches that fit a memory budget, on all local devices, measured at the recorded rounds."""

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from simulate.engines.gram.run import advance_gram, prepare_gram, stayed_in_band
from simulate.engines.gram.world import GramWorld
from simulate.engines.rows import advance, prepare
from simulate.experiment import Experiment
from simulate.model.world import World
from simulate.results.conditions import LabelShares, label_shares, overlaps
from simulate.results.labels import label
from simulate.results.measure import Measurement, measure
from simulate.running.batching import RECORD_CHUNKS, Batching, batches, batching_for
from simulate.running.parallel import in_lanes
from simulate.validation import ConfigurationError, require_number

Progress = Callable[[int, int], None]
"""Called with (rounds done, rounds in all), over all batches."""


class Outcome(NamedTuple):
    """What became of some replicates; all arrays have a leading axis of seeds.

    Attributes:
        measurement: what was recorded; leading axes (seeds, trainings, records).
        noise_overlap: shape (seeds,).
        label_shares: shape (seeds, clients).
        redone: whether the Gram engine had to give a replicate up to the coefficient engine; shape (seeds,).
    """

    measurement: Measurement
    noise_overlap: np.ndarray
    label_shares: LabelShares
    fallback: np.ndarray


def run(experiment: Experiment, progress: Progress | None = None, memory: float | None = None) -> xr.Dataset:
    """Simulate an experiment.

    Args:
        experiment: what to run.
        progress: told of the rounds done, between compiled chunks.
        memory: GiB for the arrays of what runs at a time; None takes one GiB (half of an accelerator's own memory),
            or what a single replicate at a single θ needs. Neither it nor the number of devices has an influence on
            results, beyond rounding; the number of cores has none at all.

    Returns:
        A dataset with dimensions seed (replicates), theta, step, client, prompt (global, local) and predictor
        (global, local, mixture); see `simulate.results.labels` for its variables, their units and meaning. Under
        the posthoc scheme training knows no θ, so only what belongs to the mixture has that dimension.

    Raises:
        ConfigurationError: when not even one replicate at one θ fits the memory given, or when a noise row may
            have left the linear band where only inner products were drawn.

    Example:
        >>> result = run(Experiment(clients=2, samples=(5,), noise_dim=50, rounds=3, theta=(0.0, 0.5)))
        >>> dict(result.sizes)
        {'seed': 1, 'theta': 2, 'step': 4, 'client': 2, 'prompt': 2, 'predictor': 3}
        >>> bool((result.accuracy.sel(step=0) == 0.5).all())
        True
    """
    if memory is not None:
        require_number("memory", memory, above=0)
    everything = np.arange(experiment.replicates)
    with jax.enable_x64(experiment.precision == "float64"):
        outcome = _run_replicates(experiment, everything, progress, memory)
        if outcome.fallback.any():
            outcome = _redo(experiment, outcome, progress, memory)
    return label(
        experiment,
        outcome.measurement,
        outcome.noise_overlap,
        outcome.label_shares,
        fallback=outcome.fallback,
    )


def _redo(
    experiment: Experiment, outcome: Outcome, progress: Progress | None, memory: float | None
) -> Outcome:
    """Replace the replicates in which a noise row may have left the linear band, which the Gram engine needs."""
    if experiment.gram == "wishart":
        raise ConfigurationError(
            "noise_offset",
            experiment.noise_offset,
            "larger, as a noise row may have left the linear band, or gram = features",
        )
    left = np.flatnonzero(outcome.fallback)
    again = _run_replicates(experiment.replace(engine="coefficient"), left, progress, memory)
    again = again._replace(fallback=np.ones(left.size, bool))

    def replaced(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        before[left] = after
        return before

    return jax.tree.map(replaced, outcome, again)


def _run_replicates(
    experiment: Experiment, replicates: np.ndarray, progress: Progress | None, memory: float | None
) -> Outcome:
    batching = batching_for(experiment, replicates.size, memory)
    of_seeds = batches(replicates, batching.replicates)
    of_thetas = batches(np.asarray(experiment.trained_thetas), batching.thetas)
    cells = [(seeds, thetas) for seeds in of_seeds for thetas in of_thetas]
    counter = _Counter(progress, len(cells) * experiment.record[-1])

    def outcome(cell: tuple[np.ndarray, np.ndarray]) -> Outcome:
        with jax.enable_x64(experiment.precision == "float64"):  # a setting of the thread's own
            return _run_batch(experiment, batching, *cell, counter)

    outcomes = in_lanes(outcome, cells, batching.lanes)
    rows = [outcomes[i : i + len(of_thetas)] for i in range(0, len(cells), len(of_thetas))]
    return _joined([_over_thetas(row, len(experiment.trained_thetas)) for row in rows], 0, replicates.size)


class _Counter:
    """Adds up the rounds that all lanes have done, and tells of them."""

    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()

    def add(self, rounds: int) -> None:
        with self._lock:
            self._done += rounds
            if self._progress is not None:
                self._progress(self._done, self._total)


def _over_thetas(outcomes: list[Outcome], thetas: int) -> Outcome:
    """One outcome of several of the same replicates, whose worlds are the same, at different θ."""
    measurement = _joined([each.measurement for each in outcomes], 1, thetas)
    fallback = np.any([each.fallback for each in outcomes], axis=0)
    return outcomes[0]._replace(measurement=measurement, fallback=fallback)


def _joined(parts: list[Any], axis: int, length: int) -> Any:
    """Put arrays behind one another along an axis, and drop what only fills it up."""
    kept = (slice(None),) * axis + (slice(length),)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis)[kept], *parts)


def _run_batch(
    experiment: Experiment, batching: Batching, seeds: np.ndarray, thetas: np.ndarray, counter: _Counter
) -> Outcome:
    """What became of a batch; ``fallback`` says in which replicates the engine failed."""
    gram = experiment.engine == "gram"
    prepared = (prepare_gram if gram else prepare)(experiment, seeds, thetas, batching.layout)
    states, chunks = prepared.states, []
    for gaps in _chunked_gaps(experiment.record):
        states, snapshots = (advance_gram if gram else advance)(
            *prepared.constants, states, jnp.asarray(gaps)
        )
        chunks.append(measure(experiment, jax.tree.map(np.asarray, snapshots), thetas))
        counter.add(int(gaps.sum()))
    left = ~stayed_in_band(prepared, states) if gram else np.zeros(seeds.size, bool)
    measurement = _joined(chunks, 2, len(experiment.record))
    return Outcome(measurement, *_conditions(experiment, prepared.worlds), left)


def _conditions(experiment: Experiment, worlds: GramWorld | World) -> tuple[np.ndarray, LabelShares]:
    """How the noise of the worlds overlaps, and how their labels fell."""
    if isinstance(worlds, World):
        data = jax.tree.map(np.asarray, worlds.data)
        shares = label_shares(data.classes, data.labels, data.sample_weights > 0)
        return overlaps(data, experiment.noise_dim), shares
    drawn = (worlds.classes, worlds.labels, worlds.sample_weights, worlds.noise_overlap)
    classes, labels, weights, overlap = map(np.asarray, drawn)
    return overlap, label_shares(classes, labels, weights > 0)


def _chunked_gaps(record: tuple[int, ...]) -> list[np.ndarray]:
    """Rounds between records, in chunks of equal length so that one compilation serves them all."""
    gaps = np.diff(record, prepend=0)
    length = math.ceil(gaps.size / RECORD_CHUNKS)
    padded = np.pad(gaps, (0, -gaps.size % length))  # a gap of 0 records the last state again
    return list(padded.reshape(-1, length))
