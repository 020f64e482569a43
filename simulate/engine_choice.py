"""Which engine an experiment can use, and which is the cheapest.

Costs are counted in multiplications of the large matrix products, which dominate both fast engines.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simulate.experiment import Experiment

SMALL = 5e10
"""Work of the coefficient engine, in multiplications, below which compiling takes longer than running."""
MARGIN = 2.0
"""How many times cheaper the Gram engine must be by count before it is chosen."""


def gram_obstacle(experiment: "Experiment") -> str:
    """Why the Gram engine cannot run an experiment, as the end of a sentence; empty if it can.

    It needs noise rows with a linear band, and coefficients that only ever grow, for its check of that band.
    """
    if experiment.activation not in ("relu", "leaky_relu"):
        return f"when activation = {experiment.activation!r}: samples alone carry the noise only in a linear band"
    if experiment.optimizer != "sgd":
        return f"when optimizer = {experiment.optimizer!r}: coefficients follow only linear optimizers"
    if not 0 <= momentum(experiment.optimizer_options) < 1:
        return "when momentum is outside [0, 1): the band is checked through coefficients that only grow"
    return ""


def momentum(optimizer_options: tuple[tuple[str, float], ...]) -> float:
    """The momentum of an sgd optimizer, 0 if it has none."""
    return dict(optimizer_options).get("momentum", 0.0)


def coefficient_work(experiment: "Experiment") -> float:
    """Multiplications of the coefficient engine: margins of both prompts and their pull, over all rows."""
    samples = experiment.clients * max(experiment.samples)
    per_step = 3 * samples * experiment.rows
    return _runs(experiment) * experiment.record[-1] * experiment.local_steps * per_step


def gram_work(experiment: "Experiment") -> float:
    """Multiplications of the Gram engine: inner products once, margins every round, noise rows when recording."""
    most = max(experiment.samples)
    samples = experiment.clients * most
    own = samples * most
    per_round = samples**2 + own * (2 * experiment.local_steps - 1)
    if experiment.gram == "wishart":
        once, per_record = samples**3, samples**2
    else:
        once, per_record = samples**2 * experiment.noise_dim, 2 * samples * experiment.noise_dim
    records = len(experiment.record) + 2  # the check of the band costs as much as two records
    return experiment.replicates * once + _runs(experiment) * (
        experiment.record[-1] * per_round + records * per_record
    )


def _runs(experiment: "Experiment") -> int:
    """Trainings: post-hoc trains once for all θ."""
    return experiment.replicates * (1 if experiment.protocol == "posthoc" else len(experiment.theta))


def cheapest_engine(experiment: "Experiment") -> Literal["prompt", "coefficient", "gram"]:
    """The valid engine that costs least: prompt only where nothing else follows the optimizer."""
    if experiment.optimizer != "sgd":
        return "prompt"
    if experiment.gram == "wishart":
        return "gram"
    work = coefficient_work(experiment)
    worthwhile = work > SMALL and work > MARGIN * gram_work(experiment)
    return "gram" if worthwhile and not gram_obstacle(experiment) else "coefficient"
