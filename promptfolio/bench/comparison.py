"""Time the cases: the toolkit, the plain loops and the machine's own matrix products, all in turns.

The toolkit's time is that of `simulate.run`, end to end: draw, train, record, label. A loop trains one seed at one
θ for as many rounds as fill about a second, and its time is scaled to the whole sweep.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import jax
import xarray as xr

from promptfolio.bench.cases import Case
from promptfolio.bench.fresh_run import FreshRun, FreshRunError, Lose, fresh_run
from promptfolio.bench.peers import PEERS, Train
from promptfolio.bench.peers.problem import Problem, problem_of
from promptfolio.bench.products import SQUARE, Products, own_products, square_products
from promptfolio.bench.timing import Describe, Task, in_turns, seconds_of, units_for
from simulate.engines.registry import engine_named
from simulate.experiment import Experiment
from simulate.running.runner import run

THETA = 0.5
"""θ at which the plain loops train; all take the same time."""
SHORT = 5
"""A shorter run has 1/SHORT of the rounds; the time that does not depend on rounds follows from both runs."""
ACCELERATED = 100
"""Factor by which an accelerator is given more matrix products than a processor."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much to spend on a measurement.

    Attributes:
        turns: number of times that every task is timed; the shortest time counts.
        scaling_turns: the same for each point of a scaling curve, most of which take a fraction of a second.
        peer_seconds: approximate seconds of a plain loop in one turn.
        operations: approximate number of floating-point operations of the matrix products in one turn.
        square: rows and columns of the matrices of the square product.
    """

    turns: int = 3
    scaling_turns: int = 5
    peer_seconds: float = 1.0
    operations: float = 6e10
    square: int = SQUARE


QUICK = Effort(scaling_turns=3, peer_seconds=0.02, operations=1e7, square=128)


@dataclasses.dataclass(frozen=True)
class PeerTime:
    """Time of a plain loop.

    Attributes:
        name, title: of the loop.
        variant: the way of running it that was fastest on this machine; empty if there is only one.
        rounds_timed: rounds of one seed at one θ in a turn.
        seconds_per_run_step: seconds for one round of one seed at one θ, in the fastest turn.
        seconds_extrapolated: the same times the run-steps of the whole sweep.
        ratio: seconds_extrapolated over the toolkit's seconds.
    """

    name: str
    title: str
    variant: str
    rounds_timed: int
    seconds_per_run_step: float
    seconds_extrapolated: float
    ratio: float

    @property
    def run_steps_per_second(self) -> float:
        """Rounds of one seed at one θ per second."""
        return 1 / self.seconds_per_run_step


@dataclasses.dataclass(frozen=True)
class CaseTime:
    """Time, rate and memory of a case.

    Attributes:
        case: the case.
        engine: the engine that produced the result.
        fallback_seeds: number of seeds that failed the Gram engine's check and were run again by the coefficient
            engine.
        signal_reach, noise_reach: largest |z_r|/c_r of the signal and of the noise rows at the end.
        seconds: of the whole run, in the fastest turn.
        compile_seconds: seconds of the first run in a fresh process, minus `seconds`.
        outside_seconds: seconds that do not depend on the number of rounds: drawing, recording and labelling.
        peak_bytes, imported_bytes: memory of a fresh process, at its peak and before it ran anything.
        device_bytes: peak memory of accelerators.
        operations: floating-point operations of the matrix products that training needs.
        square_rate, own_rate: operations per second of matrix products alone, 2048³ and in the sweep's shapes.
        peers: the plain loops.
    """

    case: Case
    engine: str
    fallback_seeds: int
    signal_reach: float
    noise_reach: float
    seconds: float
    compile_seconds: float
    outside_seconds: float
    peak_bytes: int
    imported_bytes: int
    device_bytes: int
    operations: float
    square_rate: float
    own_rate: float
    peers: tuple[PeerTime, ...]

    @property
    def run_steps_per_second(self) -> float:
        """Rounds of one seed at one θ per second."""
        return self.case.run_steps / self.seconds

    @property
    def training_seconds(self) -> float:
        """Seconds of training alone, rejected attempts included: `seconds` minus `outside_seconds`."""
        return self.seconds - self.outside_seconds

    @property
    def rate(self) -> float:
        """Operations of training per second of the whole run."""
        return self.operations / self.seconds

    @property
    def training_rate(self) -> float | None:
        """Operations of training per second of training; None for runs too short to tell the two apart."""
        return self.operations / self.training_seconds if self.training_seconds > 0 else None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Times of all cases.

    Attributes:
        cases: one entry per case.
        skipped: titles of plain loops that could not run, with the reason.
    """

    cases: tuple[CaseTime, ...]
    skipped: dict[str, str]


def compare(cases: Sequence[Case], effort: Effort, describe: Describe, lose: Lose) -> Comparison:
    """Time the cases in turns.

    Args:
        cases: what to time.
        effort: how much to spend.
        describe: called with a description of each measurement.
        lose: called with the name of a case whose fresh process fails, and the reason; that case is left out.
    """
    # Before this process initialises an accelerator, whose memory it would then reserve.
    fresh = {}
    for case in cases:
        describe(f"{case.name} in a fresh process")
        try:
            fresh[case.name] = fresh_run(case.experiment)
        except FreshRunError as error:
            lose(case.name, str(error))
    subjects = []
    for case in cases:
        if case.name not in fresh:
            continue
        describe(f"{case.name}: warming up")
        subjects.append(_Subject(case, effort))
    tasks: dict[str, Task] = {}
    for subject in subjects:
        tasks |= subject.tasks
    times = in_turns(tasks, effort.turns, describe)
    best = {name: min(seconds) for name, seconds in times.items()}
    skipped = {peer.title: peer.missing for peer in PEERS if peer.missing}
    return Comparison(tuple(subject.result(best, fresh[subject.case.name]) for subject in subjects), skipped)


class _Subject:
    """One case, warmed up, with its tasks by name."""

    def __init__(self, case: Case, effort: Effort):
        self.case, experiment = case, case.experiment
        result = run(experiment)
        self.engine, self.fallback_seeds = engine_behind(result)
        self.reach = _reach(experiment, result)
        rounds = experiment.rounds // SHORT
        short = experiment.replace(rounds=rounds, record=(rounds,), engine=self.engine)
        operations = effort.operations * (1 if jax.default_backend() == "cpu" else ACCELERATED)
        self.products: dict[str, Products] = {
            "square": square_products(experiment.precision, effort.square, operations),
            "own": own_products(experiment.replace(engine=self.engine), operations),
        }
        run(short)
        for products in self.products.values():
            products.task()
        problem = problem_of(experiment)
        self.peers = {
            peer.name: _fastest(peer.variants(), problem, effort.peer_seconds)
            for peer in PEERS
            if not peer.missing
        }
        self.tasks: dict[str, Task] = {
            self._named("toolkit"): lambda: run(experiment),
            self._named("fewer rounds"): lambda: run(short),
            **{self._named(name): products.task for name, products in self.products.items()},
            **{
                self._named(name): partial(train, problem, THETA, rounds)
                for name, (_, train, rounds) in self.peers.items()
            },
        }

    def _named(self, task: str) -> str:
        return f"{self.case.name}: {task}"

    def result(self, best: dict[str, float], fresh: FreshRun) -> CaseTime:
        """Return the times of the case.

        Args:
            best: shortest seconds of every task, by name.
            fresh: measurements of a fresh process.
        """
        seconds = best[self._named("toolkit")]
        peers = []
        for peer in PEERS:
            if peer.name in self.peers:
                variant, _, rounds = self.peers[peer.name]
                per_step = best[self._named(peer.name)] / rounds
                whole = per_step * self.case.run_steps
                peers.append(
                    PeerTime(peer.name, peer.title, variant, rounds, per_step, whole, whole / seconds)
                )
        rates = {name: one.operations / best[self._named(name)] for name, one in self.products.items()}
        return CaseTime(
            case=self.case,
            engine=self.engine,
            fallback_seeds=self.fallback_seeds,
            signal_reach=self.reach[0],
            noise_reach=self.reach[1],
            seconds=seconds,
            compile_seconds=max(0.0, fresh.first_seconds - seconds),
            outside_seconds=max(0.0, (SHORT * best[self._named("fewer rounds")] - seconds) / (SHORT - 1)),
            peak_bytes=fresh.peak_bytes,
            imported_bytes=fresh.imported_bytes,
            device_bytes=fresh.device_bytes,
            operations=2 * engine_named(self.engine).training_work(self.case.experiment),
            square_rate=rates["square"],
            own_rate=rates["own"],
            peers=tuple(peers),
        )


def engine_behind(result: xr.Dataset) -> tuple[str, int]:
    """The engine that most seeds of a result come from, and the number of seeds that needed the fallback."""
    fallback_seeds = int(result.fallback.sum())
    if 2 * fallback_seeds > result.sizes["seed"]:
        return "coefficient", fallback_seeds
    return str(result.attrs["engine_used"]), fallback_seeds


def _reach(experiment: Experiment, result: xr.Dataset) -> tuple[float, float]:
    """Largest |z_r|/c_r at the end, of signal and noise rows; prompts start at 0, so that z is β, γ and φ."""
    signal = max(float(abs(result[name]).max()) for name in ("beta", "gamma_own"))
    return signal / experiment.signal_offset, float(result.phi_max.max()) / experiment.noise_offset


def _fastest(variants: Mapping[str, Train], problem: Problem, seconds: float) -> tuple[str, Train, int]:
    """The fastest variant of a loop: its description, the function, and the rounds that take about ``seconds``."""
    found: list[tuple[float, str, Train, int]] = []
    for name, train in variants.items():
        train(problem, THETA, 1)
        rounds = units_for(partial(train, problem, THETA), seconds / 2)
        per_round = min(seconds_of(partial(train, problem, THETA, rounds)) for _ in range(2)) / rounds
        found.append((per_round, name, train, max(1, round(seconds / per_round))))
    _, name, train, rounds = min(found, key=lambda one: one[0])
    return name, train, rounds
