"""What every engine does.

An engine trains the model of an experiment in coordinates of its own. The runner draws worlds, starts the
training, advances it from record to record and checks the result, all through this interface. An engine is one
object without state, known by its name (`simulate.engines.registry.register_engine`).

Modules with an engine's class import nothing heavy, since experiments are validated by `Engine.obstacle`; the
methods that compute import what they need.
"""

import abc
import math
from typing import TYPE_CHECKING, Any, ClassVar

from simulate.engines.sizes import Arrays, Sizes, Unit, even
from simulate.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float, Int

    from simulate.model.program import Parameters, Program
    from simulate.model.world import WorldKeys
    from simulate.results.conditions import Conditions
    from simulate.results.snapshot import Snapshot
    from simulate.running.devices import Layout
    from simulate.running.prepared import Prepared


class Engine(abc.ABC):
    """A way to train the model.

    Attributes:
        name: what an experiment's ``engine`` calls it.
        brief_work: multiplications of a training (`training_work`) below which compiling for speed takes much
            longer than it saves.
        cache_bytes: bytes of a processor core's second-level cache, of a megabyte or two, that a step may fill.
    """

    name: ClassVar[str]
    brief_work: ClassVar[float] = 1e10
    cache_bytes: ClassVar[float] = 1.25 * 2**20

    # --- before anything is computed ---

    @abc.abstractmethod
    def obstacle(self, experiment: Experiment) -> str:
        """Why this engine cannot run an experiment, as the end of a sentence ("when …"); empty if it can."""

    def training_work(self, experiment: Experiment) -> float:
        """Multiplications in the large matrix products of all trainings; drawing and recording not counted.

        Infinite, which has every run compiled for speed, unless an engine overrides it.
        """
        return math.inf

    def run_work(self, experiment: Experiment) -> float:
        """Multiplications of a whole run, by which its time is estimated; those of training unless overridden."""
        return self.training_work(experiment)

    def cost(self, experiment: Experiment) -> float:
        """What ``engine = "auto"`` compares between engines: multiplications of a whole run.

        An engine whose multiplications take longer than others' counts them more than once. Infinite unless an
        engine overrides it: such an engine runs only experiments that name it.
        """
        return math.inf

    def is_brief(self, experiment: Experiment) -> bool:
        """Whether an experiment is over before compiling it for speed would pay."""
        return self.training_work(experiment) < self.brief_work

    @abc.abstractmethod
    def arrays(self, experiment: Experiment) -> Arrays:
        """How many numbers the arrays of a run hold."""

    def unit(self, experiment: Experiment, sizes: Sizes, seeds: int, thetas: int, budget: float) -> Unit:
        """What a processor computes at once: as many replicates and θ as stay in the cache and fit the budget.

        Args:
            experiment: what is run.
            sizes: bytes of its arrays.
            seeds, thetas: how many there are.
            budget: bytes; one replicate at one θ fits.
        """
        thetas = even(thetas, max(1, int(self.cache_bytes // sizes.working)))
        thetas = even(thetas, sizes.thetas_within(budget))
        return Unit(even(seeds, sizes.seeds_within(self.cache_bytes, budget, thetas)), thetas, False)

    # --- computing; every array of worlds and states has a leading axis of seeds ---

    @abc.abstractmethod
    def draw(self, program: "Program", layout: "Layout", parameters: "Parameters", keys: "WorldKeys") -> Any:
        """Draw what replicates need before training (their worlds): a pytree of arrays.

        Args:
            program: static part of the experiment, as `Program.drawing`.
            layout: where the arrays lie.
            parameters: traced part of the experiment.
            keys: streams of the replicates, each of shape (seeds,).
        """

    @abc.abstractmethod
    def start(
        self,
        program: "Program",
        layout: "Layout",
        parameters: "Parameters",
        worlds: Any,
        trained: "Float[Array, ' thetas']",
    ) -> Any:
        """The training states before the first round, at every θ of ``trained``: a pytree of arrays."""

    @abc.abstractmethod
    def advance(
        self, prepared: "Prepared", states: Any, gaps: "Int[Array, ' records']"
    ) -> "tuple[Any, Snapshot]":
        """Train for ``gaps[i]`` rounds before each record i, and take a snapshot at each.

        Returns:
            The new states (the memory of the old ones may be reused), and snapshots whose leaves have leading
            axes (seeds, thetas, records).
        """

    def check(self, prepared: "Prepared", states: Any) -> "np.ndarray":
        """Whether each replicate's result is the model's, proved from its last states; booleans of shape (seeds,).

        All are unless an engine says otherwise; the others are run again by `fallback`.
        """
        import numpy as np

        return np.ones(prepared.participation_keys.shape[0], bool)

    def fallback(self, experiment: Experiment) -> str:
        """Name of the engine that runs replicates which fail the `check`.

        Raises:
            ConfigurationError: when there is none for this experiment, naming the field to change.
        """
        raise NotImplementedError(f"the check of engine {self.name} never fails")

    @abc.abstractmethod
    def measure(self, experiment: Experiment, worlds: Any) -> "Conditions":
        """Properties of the worlds that are reported: the overlap of noise vectors, and the shares of labels."""
