"""What a study needs of this machine, memory and time, estimated from its shapes before it starts."""

from typing import NamedTuple

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.split_roles import assign_roles
from promptfolio.companion.study_config import ClipStudy
from simulate.running.batching import GIB
from simulate.running.cost import product_rate
from simulate.running.memory import machine_memory
from simulate.running.parallel import processor_cores
from simulate.validation import ConfigurationError

# Products of images and text features in a step, forwards and backwards, by the number of losses of a scheme.
_PRODUCTS = {"joint": 2, "posthoc": 4, "detached": 4}
_CURVE_SECONDS = 2.4e-9
"""Of one entry of the logits of one mixture, on one core."""
_PROMPT_SECONDS = 2e-8
"""Of one entry of one client's pair of prompts in one step, on one core."""
_EFFICIENCY = 0.5
"""Share of the machine's rate of matrix products that training reaches. The three constants were fitted to the
processor time of six small studies; an estimate is good to a factor of about two."""

PROMPT_COPIES = 10
"""Arrays of the local prompts' size that training holds at once, about: both prompts, gradients, updates,
optimizer."""


class Work(NamedTuple):
    """What a study computes; numbers of scalar operations, over all schemes and replicates.

    Attributes:
        products: multiplications in products of image features and text features.
        prompts: entries of all clients' pairs of prompts, over all steps.
        curves: entries of the held-out images' logits, over all recorded rounds and mixtures that are tested.
    """

    products: float
    prompts: float
    curves: float


def study_work(study: ClipStudy, bank: FeatureBank) -> Work:
    """The work of `run_study`, from clients, steps, images, feature dimension, classes, θ and replicates.

    Args:
        study: what would be run.
        bank: on what.

    Raises:
        ConfigurationError: when the bank does not have the splits that the study asks for.

    Example:
        >>> from promptfolio.companion.banks import draw_synthetic_bank
        >>> bank = draw_synthetic_bank(classes=4, dim=16)
        >>> few, many = (study_work(ClipStudy(rounds=count, record=(count,)), bank) for count in (10, 20))
        >>> many.prompts == 2 * few.prompts, many.products < 2 * few.products, many.curves == few.curves
        (True, True, True)
    """
    roles = assign_roles(study, bank)
    held_out, size = roles.validation.size + roles.test.size, float(bank.classes * bank.dim)
    steps, records = float(study.record[-1] * study.local_steps), len(study.record)
    products = prompts = curves = 0.0
    for scheme in study.schemes:
        trained = 1 if scheme == "posthoc" else len(study.trained_theta)
        # A trained pair is tested on its client's images, the prompts of the posthoc scheme on those of all.
        tested = 2 + study.clients if scheme == "posthoc" else 2
        products += (
            trained * size * (steps * _PRODUCTS[scheme] * roles.train.size + records * tested * held_out)
        )
        prompts += trained * size * steps * study.clients
        mixtures = len(study.theta) if scheme == "posthoc" else trained
        curves += float(records * mixtures * held_out * bank.classes)
    return Work(study.replicates * products, study.replicates * prompts, study.replicates * curves)


def study_seconds(study: ClipStudy, bank: FeatureBank) -> float:
    """Seconds that `run_study` will take on this machine's processor, compilation not counted.

    Raises:
        ConfigurationError: as of `study_work`.
    """
    work = study_work(study, bank)
    elementwise = (_PROMPT_SECONDS * work.prompts + _CURVE_SECONDS * work.curves) / processor_cores()
    return work.products / (_EFFICIENCY * product_rate("float32")) + elementwise


def require_room(study: ClipStudy, bank: FeatureBank) -> None:
    """Refuse more clients than there are images for, and studies that this machine cannot hold.

    Raises:
        ConfigurationError: with what the study needs, and what there is.
    """
    roles = assign_roles(study, bank)
    for images, split in ((roles.train, roles.train_split), (roles.test, roles.test_split)):
        if bank.client is None and study.clients * study.min_rows > images.size:
            raise ConfigurationError(
                "clients",
                study.clients,
                f"at most {images.size // study.min_rows}: each needs min_rows = {study.min_rows} of the"
                f" {images.size} images of split {split!r}",
            )
    prompts = PROMPT_COPIES * study.clients * bank.classes * bank.dim
    held_out = (roles.validation.size + roles.test.size) * (bank.dim + 3 * bank.classes)
    needed, available = 4 * study.replicates * (prompts + held_out), machine_memory()
    if available and needed > available:
        raise ConfigurationError(
            "replicates",
            study.replicates,
            f"fewer, or clients = {study.clients} must be: prompts and logits need {needed / GIB:.3g} GiB, and this"
            f" process may take {available / GIB:.3g}",
        )
