"""Which engine an experiment can use, and which is the cheapest.

Costs are counted in multiplications of the large matrix products, which dominate both fast engines.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simulate.experiment import Experiment

SMALL = 5e10
"""Work of the coefficient engine, in multiplications, below which compiling takes longer than running."""
BRIEF = {"prompt": 1e10, "coefficient": 1e10, "gram": 4e8}
"""Work of each engine, in multiplications, below which compiling with care takes much longer than it saves.

Without it the Gram engine, with its many small steps, takes up to four times as long, the others hardly more.
"""
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


def training_work(experiment: "Experiment", engine: str) -> float:
    """Multiplications of all trainings by an engine, drawing and recording apart.

    With N samples, the Gram engine multiplies the N × N kernel once a round, and each client's own block of it
    once for the local prompt and twice more in every further local step. The coefficient engine goes over all
    samples and rows, once for margins and once for their pull; joint training has one of each, the mixture's, and
    the other schemes have two. So does the prompt engine, which multiplies both prompts and gradients by W, too.

    Example:
        >>> from simulate.experiment import Experiment
        >>> one = Experiment(clients=2, samples=(5,), noise_dim=97, rounds=3)
        >>> training_work(one, "gram"), training_work(one, "coefficient")
        (450, 6000)
    """
    most, steps = max(experiment.samples), experiment.local_steps
    samples = experiment.clients * most
    if engine == "gram":
        per_round = samples**2 + samples * most * (2 * steps - 1)
    else:
        per_round = (2 if experiment.scheme == "joint" else 4) * samples * experiment.rows * steps
        if engine == "prompt":
            per_round += 4 * experiment.clients * experiment.rows * experiment.prompt_dim * steps
    return _runs(experiment) * experiment.record[-1] * per_round


def gram_work(experiment: "Experiment") -> float:
    """Multiplications of the Gram engine: inner products once, training, noise rows when recording."""
    samples = experiment.clients * max(experiment.samples)
    if experiment.gram == "wishart":
        once, per_record = samples**3, samples**2
    else:
        once, per_record = samples**2 * experiment.noise_dim, 2 * samples * experiment.noise_dim
    records = len(experiment.record) + 2  # the check of the band costs as much as two records
    return (
        experiment.replicates * once
        + _runs(experiment) * records * per_record
        + training_work(experiment, "gram")
    )


def _runs(experiment: "Experiment") -> int:
    """Trainings: post-hoc trains once for all θ."""
    return experiment.replicates * len(experiment.trained_thetas)


def cheapest_engine(experiment: "Experiment") -> Literal["prompt", "coefficient", "gram"]:
    """The valid engine that costs least: prompt only where nothing else follows the optimizer."""
    if experiment.optimizer != "sgd":
        return "prompt"
    if experiment.gram == "wishart":
        return "gram"
    work = training_work(experiment, "coefficient")
    worthwhile = work > SMALL and work > MARGIN * gram_work(experiment)
    return "gram" if worthwhile and not gram_obstacle(experiment) else "coefficient"
