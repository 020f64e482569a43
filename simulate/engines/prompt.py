"""The prompt engine: the model taken literally, with prompts in R^d and gradients by automatic differentiation."""

from typing import TYPE_CHECKING

from simulate.engines.rows.engine import RowEngine
from simulate.experiment import Experiment

if TYPE_CHECKING:
    from simulate.engines.rows.model import RowModel
    from simulate.model.program import Parameters, Program
    from simulate.model.world import World


class PromptEngine(RowEngine):
    """Follows every optimizer and activation, for thousands of rows at most."""

    name = "prompt"
    needs_weights = True
    # An optimizer may look at a prompt as a whole, so it must be given one prompt at a time.
    thetas_together = False

    def training_work(self, experiment: Experiment) -> int:
        """That of any engine with all rows, and products of both prompts and of both gradients with W."""
        through_weights = 4 * experiment.clients * experiment.rows * experiment.prompt_dim
        return super().training_work(experiment) + experiment.training_steps * through_weights

    def model(self, program: "Program", parameters: "Parameters", world: "World") -> "RowModel":
        """See `simulate.engines.rows.prompts`."""
        from simulate.engines.rows.prompts import prompt_model

        assert world.weights is not None
        return prompt_model(program, parameters, world.weights)


ENGINE = PromptEngine()
