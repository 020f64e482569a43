"""What engines have in common that keep a prompt's pre-activation of every encoder row."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from simulate.configuration import momentum_of
from simulate.engines.engine import Engine
from simulate.engines.sizes import Arrays
from simulate.experiment import Experiment

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    from simulate.engines.rows.model import RowModel
    from simulate.model.federated import TrainState
    from simulate.model.program import Parameters, Program
    from simulate.model.world import World, WorldKeys
    from simulate.results.conditions import Conditions
    from simulate.results.snapshot import Snapshot
    from simulate.running.devices import Layout
    from simulate.running.prepared import Prepared


_VECTOR_PRODUCT = 8.0
"""Time of a multiplication in the product of a matrix and a vector, in multiplications of two matrices: memory sets
the pace."""


class RowEngine(Engine):
    """An engine that trains on the features of all rows; its worlds are `simulate.model.world.World`.

    Attributes:
        needs_weights: whether its prompts are vectors of R^d, so that it needs W.
        thetas_together: whether its gradient and optimizer treat a prompt entry by entry, so that several θ may
            share one product of two matrices.
    """

    needs_weights: ClassVar[bool]
    thetas_together: ClassVar[bool]

    @abc.abstractmethod
    def model(self, program: "Program", parameters: "Parameters", world: "World") -> "RowModel":
        """The model of one replicate in this engine's coordinates of a prompt; called while JAX traces."""

    def obstacle(self, experiment: Experiment) -> str:
        """It needs the features themselves."""
        if experiment.gram != "features":
            return f"when gram = {experiment.gram!r}: it trains on the features themselves"
        return ""

    def training_work(self, experiment: Experiment) -> int:
        """Products of the samples with all rows: once for margins and once for gradients, in every local step.

        Joint training has one of each, the mixture's, and fine-tuning the trained prompt's; the other schemes have
        two.
        """
        samples = experiment.clients * max(experiment.samples)
        products = 2 if experiment.scheme in ("joint", "finetuned") else 4
        return experiment.training_steps * products * samples * experiment.rows

    def run_work(self, experiment: Experiment) -> float:
        """That of training, at the price of products of a matrix and a vector."""
        return _VECTOR_PRODUCT * self.training_work(experiment)

    def cost(self, experiment: Experiment) -> float:
        """That of training: drawing and recording cost little beside it."""
        return self.training_work(experiment)

    def arrays(self, experiment: Experiment) -> Arrays:
        """Features and initial prompts, as often again while they are drawn, and prompts with their optimizers."""
        rows, prompts = experiment.rows, 1 + experiment.clients
        samples = experiment.clients * max(experiment.samples)
        data = (
            samples * rows + prompts * rows + (3 * rows * experiment.prompt_dim if self.needs_weights else 0)
        )
        length = max(rows, experiment.prompt_dim) if self.needs_weights else rows
        state = prompts * length * (2 if momentum_of(experiment.optimizer_options) else 1)
        return Arrays(replicate=data + 2 * samples * rows, state=state, working=state)

    def draw(
        self, program: "Program", layout: "Layout", parameters: "Parameters", keys: "WorldKeys"
    ) -> "World":
        """Worlds with a leading axis of seeds."""
        from simulate.engines.rows import run

        return run.draw(program, layout, parameters, keys)

    def start(
        self,
        program: "Program",
        layout: "Layout",
        parameters: "Parameters",
        worlds: "World",
        trained: "Float[Array, ' thetas']",
    ) -> "TrainState":
        """Training states with leading axes (seeds, thetas)."""
        from simulate.engines.rows import run

        return run.start(program, layout, parameters, worlds, trained)

    def advance(
        self, prepared: "Prepared", states: "TrainState", gaps: "Int[Array, ' records']"
    ) -> "tuple[TrainState, Snapshot]":
        """As `simulate.engines.rows.run.advance`."""
        from simulate.engines.rows import run

        return run.advance(*prepared.constants, states, gaps)

    def measure(self, experiment: Experiment, worlds: Any) -> "Conditions":
        """Worked out from the features, in NumPy."""
        from simulate.results.conditions import conditions_of_data

        return conditions_of_data(worlds.data, experiment.noise_dim)
