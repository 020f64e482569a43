"""Run an experiment: in batches that fit a memory budget, on all local devices, measured at the recorded rounds."""

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from simulate.engines.choice import choose_engine
from simulate.engines.engine import Engine
from simulate.engines.registry import engine_named
from simulate.experiment import Experiment
from simulate.results.conditions import LabelShares
from simulate.results.degenerate import degenerate
from simulate.results.finite_records import first_non_finite, records_of, require_finite
from simulate.results.labels import label
from simulate.results.measure import Measurement, measure
from simulate.results.notices import with_notices
from simulate.running.arithmetic import arithmetic
from simulate.running.batching import RECORD_CHUNKS, Batching, batches, batching_for
from simulate.running.parallel import parallel_map
from simulate.running.prepared import prepare
from simulate.validation import require_number

Progress = Callable[[int, int], None]
"""Called with (rounds done, rounds in all), over all batches."""


class Outcome(NamedTuple):
    """Results of some replicates; all arrays have a leading axis of seeds.

    Attributes:
        measurement: what was recorded; leading axes (seeds, trainings, records).
        noise_overlap: as in `simulate.results.conditions`; shape (seeds,).
        label_shares: as there; shape (seeds, clients).
        fallback: whether a replicate failed its engine's check and comes from the fallback; shape (seeds,).
    """

    measurement: Measurement
    noise_overlap: np.ndarray
    label_shares: LabelShares
    fallback: np.ndarray


def run(experiment: Experiment, progress: Progress | None = None, memory: float | None = None) -> xr.Dataset:
    """Simulate an experiment.

    Args:
        experiment: what to run.
        progress: called with the rounds done, between compiled chunks.
        memory: GiB for the arrays of what runs at a time; None takes one GiB (half of an accelerator's own memory),
            or what a single replicate at a single θ needs. Neither it nor the number of devices has an influence on
            results, beyond rounding; the number of cores has none at all.

    Returns:
        A dataset with dimensions seed (replicates), theta, step, client, prompt (global, local) and predictor
        (global, local, mixture); see `simulate.results.labels` for its variables, their units and meaning. Under
        the posthoc and the finetuned scheme training does not depend on θ, so only variables of the mixture have
        that dimension.

    Raises:
        ConfigurationError: when not even one replicate at one θ fits the memory given, or when a replicate fails
            its engine's check and there is no fallback (a noise row may have left the linear band, and only inner
            products of the noise were drawn).
        NonFiniteError: when a recorded number is not finite, as of a run that diverged: with its name, the
            replicate, the round and the likely cause. Nothing of the other replicates is returned either.

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
    engine = choose_engine(experiment)
    with arithmetic(experiment.precision):
        outcome = _run_replicates(experiment, engine, everything, progress, memory)
        if outcome.fallback.any():
            outcome = _fall_back(experiment, engine, outcome, progress, memory)
    require_finite(experiment, {"noise_overlap": outcome.noise_overlap[:, None, None]}, (0,))
    result = label(
        experiment,
        outcome.measurement,
        outcome.noise_overlap,
        outcome.label_shares,
        engine=engine.name,
        fallback=outcome.fallback,
    )
    return with_notices(result, degenerate(experiment, result))


def _fall_back(
    experiment: Experiment, engine: Engine, outcome: Outcome, progress: Progress | None, memory: float | None
) -> Outcome:
    """Replace the replicates that failed the engine's check by those of its fallback, on the same draws."""
    other = engine_named(engine.fallback(experiment))
    left = np.flatnonzero(outcome.fallback)
    again = _run_replicates(experiment, other, left, progress, memory)
    again = again._replace(fallback=np.ones(left.size, bool))

    def replaced(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        before[left] = after
        return before

    return jax.tree.map(replaced, outcome, again)


def _run_replicates(
    experiment: Experiment,
    engine: Engine,
    replicates: np.ndarray,
    progress: Progress | None,
    memory: float | None,
) -> Outcome:
    batching = batching_for(experiment, replicates.size, memory, engine)
    of_seeds = batches(replicates, batching.replicates)
    of_thetas = batches(np.asarray(experiment.trained_thetas), batching.thetas)
    cells = [(seeds, thetas) for seeds in of_seeds for thetas in of_thetas]
    counter = _Counter(progress, len(cells) * experiment.record[-1])

    def outcome(cell: tuple[np.ndarray, np.ndarray]) -> Outcome:
        with arithmetic(experiment.precision):  # a setting of the thread's own
            return _run_batch(experiment, engine, batching, *cell, counter)

    outcomes = parallel_map(outcome, cells, batching.threads)
    rows = [outcomes[i : i + len(of_thetas)] for i in range(0, len(cells), len(of_thetas))]
    return _joined([_over_thetas(row, len(experiment.trained_thetas)) for row in rows], 0, replicates.size)


class _Counter:
    """Adds up the rounds that all threads have done, and reports their sum."""

    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()

    def add(self, rounds: int) -> None:
        with self._lock:
            self._done += rounds
            if self._progress is not None:
                self._progress(self._done, self._total)


def _over_thetas(outcomes: list[Outcome], thetas: int) -> Outcome:
    """Join outcomes of the same replicates, and so of the same worlds, at different θ."""
    measurement = _joined([each.measurement for each in outcomes], 1, thetas)
    fallback = np.any([each.fallback for each in outcomes], axis=0)
    return outcomes[0]._replace(measurement=measurement, fallback=fallback)


def _joined(parts: list[Any], axis: int, length: int) -> Any:
    """Concatenate arrays along an axis, and drop entries beyond ``length``, which only filled up the last batch."""
    kept = (slice(None),) * axis + (slice(length),)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis)[kept], *parts)


def _run_batch(
    experiment: Experiment,
    engine: Engine,
    batching: Batching,
    seeds: np.ndarray,
    thetas: np.ndarray,
    counter: _Counter,
) -> Outcome:
    """Results of a batch; ``fallback`` says which replicates failed the engine's check."""
    prepared = prepare(experiment, seeds, thetas, batching.layout, engine)
    states, chunks = prepared.states, []
    rounds = 0
    for gaps in _chunked_gaps(experiment.record):
        states, snapshots = engine.advance(prepared, states, jax.device_put(gaps))
        measured = measure(experiment, jax.tree.map(np.asarray, snapshots), thetas)
        records = records_of(experiment, measured)
        if first_non_finite(records):
            # A replicate that failed the engine's check is run again, by an engine that may keep to the numbers.
            kept = np.flatnonzero(engine.check(prepared, states))
            records = {name: values[kept] for name, values in records.items()}
            require_finite(experiment, records, (rounds + gaps.cumsum()).tolist(), seeds[kept].tolist())
        chunks.append(measured)
        counter.add(int(gaps.sum()))
        rounds += int(gaps.sum())
    failed = ~engine.check(prepared, states)
    measurement = _joined(chunks, 2, len(experiment.record))
    return Outcome(measurement, *engine.measure(experiment, prepared.worlds), failed)


def _chunked_gaps(record: tuple[int, ...]) -> list[np.ndarray]:
    """Rounds between records, in chunks of equal length so that one compilation serves them all."""
    gaps = np.diff(record, prepend=0)
    length = math.ceil(gaps.size / RECORD_CHUNKS)
    padded = np.pad(gaps, (0, -gaps.size % length))  # a gap of 0 records the last state again
    return list(padded.reshape(-1, length))
