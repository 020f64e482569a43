"""The coefficient engine: prompts by their pre-activations z_r = ⟨w_r, p⟩, trained by the exact rule (T5)."""

import dataclasses
from typing import TYPE_CHECKING

from simulate.engines.rows.engine import RowEngine
from simulate.engines.sizes import Sizes, Unit, even
from simulate.experiment import Experiment

if TYPE_CHECKING:
    from simulate.engines.rows.model import RowModel
    from simulate.model.program import Parameters, Program
    from simulate.model.world import World

# θ taken at once, at most: more gain little, and leave less to divide among cores.
_MOST_THETAS = 24


class CoefficientEngine(RowEngine):
    """Exactly equivalent to the literal model for optimizers that are linear in the gradient; needs no W."""

    name = "coefficient"
    needs_weights = False
    thetas_together = True

    def obstacle(self, experiment: Experiment) -> str:
        """It follows only optimizers that do to z what they do to the prompt."""
        if experiment.optimizer != "sgd":
            return (
                f"when optimizer = {experiment.optimizer!r}: coefficients follow only optimizers that are"
                " linear in the gradient (sgd, with or without momentum)"
            )
        return super().obstacle(experiment)

    def unit(self, experiment: Experiment, sizes: Sizes, seeds: int, thetas: int, budget: float) -> Unit:
        """As of any engine; where not even its θ together fit the cache, clients work one after another."""
        thetas = even(thetas, _MOST_THETAS)
        in_turn = thetas * sizes.working > self.cache_bytes
        if in_turn:
            sizes = dataclasses.replace(sizes, working=sizes.working / experiment.clients)
        unit = super().unit(experiment, sizes, seeds, thetas, budget)
        return unit._replace(seeds_at_once=1, clients_in_turn=True) if in_turn else unit

    def model(self, program: "Program", parameters: "Parameters", world: "World") -> "RowModel":
        """See `simulate.engines.rows.coefficients`."""
        from simulate.engines.rows.coefficients import coefficient_model

        return coefficient_model(program, parameters)


ENGINE = CoefficientEngine()
