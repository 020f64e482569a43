"""The Gram engine: prompts as combinations of training samples, at a cost per round of (samples)² for each θ."""

from typing import TYPE_CHECKING

from simulate.configuration import momentum_of
from simulate.engines.engine import Engine
from simulate.engines.sizes import Arrays, Sizes, Unit, even, share
from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float, Int

    from simulate.engines.gram.world import GramWorld
    from simulate.model.federated import TrainState
    from simulate.model.program import Parameters, Program
    from simulate.model.world import WorldKeys
    from simulate.results.conditions import Conditions
    from simulate.results.snapshot import Snapshot
    from simulate.running.devices import Layout
    from simulate.running.prepared import Prepared

WORTH_COMPILING = 5e10
"""Multiplications of another engine's training below which compiling the Gram engine takes longer than it saves."""
MARGIN = 2.0
"""How many times cheaper than another engine it must be by count before it is chosen: its products are smaller."""
_LARGEST_SQUARE = {"float32": 1e30, "float64": 1e290}
"""Largest squared lengths, and one over the smallest, whose sums and products fit a precision amply."""
_VECTOR = 16
"""Numbers in a processor's widest vector."""


class GramEngine(Engine):
    """Exact while no noise row leaves the linear band of ReLU or leaky ReLU, which is checked after every run."""

    name = "gram"
    # Its many small steps take up to four times as long when compiled quickly, those of others hardly longer.
    brief_work = 4e8
    # Small, so that replicates are taken one by one unless tiny: one large product beats several small ones.
    cache_bytes = 2**17

    def obstacle(self, experiment: Experiment) -> str:
        """It needs noise rows with a linear band and, for its check of that band, coefficients that only grow."""
        if experiment.activation not in ("relu", "leaky_relu"):
            return (
                f"when activation = {experiment.activation!r}:"
                " samples alone carry the noise only in a linear band"
            )
        if experiment.optimizer != "sgd":
            return f"when optimizer = {experiment.optimizer!r}: coefficients follow only linear optimizers"
        if not 0 <= momentum_of(experiment.optimizer_options) < 1:
            return "when momentum is outside [0, 1): the band is checked through coefficients that only grow"
        return _range_obstacle(experiment)

    def training_work(self, experiment: Experiment) -> int:
        """Products with the N × N kernel once a round, and with each client's own block of it.

        With N samples in all, a block is multiplied once for the local prompt and twice more in every further
        local step.
        """
        most = max(experiment.samples)
        samples = experiment.clients * most
        rounds, steps = experiment.training_rounds, experiment.training_steps
        return rounds * samples**2 + samples * most * (2 * steps - rounds)

    def run_work(self, experiment: Experiment) -> float:
        """Multiplications of a run: inner products once, training, and noise rows whenever it records."""
        samples = experiment.clients * max(experiment.samples)
        if experiment.gram == "wishart":
            once, per_record = samples**3, samples**2
        else:
            once, per_record = samples**2 * experiment.noise_dim, 2 * samples * experiment.noise_dim
        records = len(experiment.record) + 2  # the check of the band costs as much as two records
        trainings = experiment.replicates * len(experiment.trained_thetas)
        return (
            experiment.replicates * once + trainings * records * per_record + self.training_work(experiment)
        )

    def cost(self, experiment: Experiment) -> float:
        """The work of another engine beyond which this one is faster."""
        return max(WORTH_COMPILING, MARGIN * self.run_work(experiment))

    def arrays(self, experiment: Experiment) -> Arrays:
        """Signed noise and its inner products, and a coefficient of every sample for each prompt."""
        samples, prompts = experiment.clients * max(experiment.samples), 1 + experiment.clients
        coordinates = experiment.noise_dim if experiment.gram == "features" else 0
        states = 2 if momentum_of(experiment.optimizer_options) else 1
        data = 2 * (samples + prompts) * coordinates + 2 * samples**2
        return Arrays(
            replicate=data + 2 * samples * max(coordinates, samples),
            state=2 * samples * (1 + states) + 4 * coordinates,
            working=samples**2 / len(experiment.theta) + 3 * samples,
        )

    def unit(self, experiment: Experiment, sizes: Sizes, seeds: int, thetas: int, budget: float) -> Unit:
        """All θ that fit the budget in one product, in whole vectors; replicates one by one unless tiny.

        θ stand along the last axis, and products of whole vectors are faster, even though copies of θ fill them up.
        """
        fit = sizes.thetas_within(budget)
        thetas = even(thetas, fit)
        filled = share(thetas, _VECTOR) * _VECTOR
        thetas = filled if filled < 2 * thetas and filled <= fit else thetas
        return Unit(even(seeds, sizes.seeds_within(self.cache_bytes, budget, thetas)), thetas, False)

    def draw(
        self, program: "Program", layout: "Layout", parameters: "Parameters", keys: "WorldKeys"
    ) -> "GramWorld":
        """Worlds with a leading axis of seeds."""
        from simulate.engines.gram import run

        return run.draw_gram(program, layout, parameters, keys)

    def start(
        self,
        program: "Program",
        layout: "Layout",
        parameters: "Parameters",
        worlds: "GramWorld",
        trained: "Float[Array, ' thetas']",
    ) -> "TrainState":
        """Training states with a leading axis of seeds, and θ on the last axis of prompts."""
        from simulate.engines.gram import run

        return run.start_gram(program, layout, parameters, worlds, trained)

    def advance(
        self, prepared: "Prepared", states: "TrainState", gaps: "Int[Array, ' records']"
    ) -> "tuple[TrainState, Snapshot]":
        """As `simulate.engines.gram.run.advance_gram`."""
        from simulate.engines.gram import run

        return run.advance_gram(*prepared.constants, states, gaps)

    def check(self, prepared: "Prepared", states: "TrainState") -> "np.ndarray":
        """Whether no noise row of a replicate left the linear band at any θ; False where there is no proof."""
        from simulate.engines.gram import run

        return run.stayed_in_band(prepared, states)

    def fallback(self, experiment: Experiment) -> str:
        """The coefficient engine, on the same draws.

        Raises:
            ConfigurationError: when only inner products of the noise were drawn.
        """
        if experiment.gram == "wishart":
            raise ConfigurationError(
                "noise_offset",
                experiment.noise_offset,
                "larger, as a noise row may have left the linear band, or gram = features",
            )
        return "coefficient"

    def measure(self, experiment: Experiment, worlds: "GramWorld") -> "Conditions":
        """Worked out where the Gram matrix lies, when the worlds were drawn."""
        from simulate.engines.gram import run

        return run.conditions(worlds)


def _range_obstacle(experiment: Experiment) -> str:
    """Why inner products of noise vectors do not fit the precision, as the end of a sentence; empty if they do."""
    largest = _LARGEST_SQUARE[experiment.precision]
    squares = {
        # Products, since Python's powers raise an error instead of becoming infinite.
        "σ_p²": experiment.noise_std * experiment.noise_std,
        "e σ_p²": experiment.noise_feature_sq * experiment.noise_std * experiment.noise_std,
        "e init_std²": experiment.noise_feature_sq * experiment.init_std * experiment.init_std,
    }
    for name, square in squares.items():
        nothing = name == "e init_std²" and experiment.init_std == 0
        if not nothing and not 1 / largest <= square <= largest / experiment.noise_dim:
            return (
                f"when {name} = {square:g}: inner products in {experiment.precision} need it to be at least"
                f" {1 / largest:g} and at most {largest:g}/L"
            )
    return ""


ENGINE = GramEngine()
