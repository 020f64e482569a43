"""How much the demonstrations run, and on what."""

import dataclasses
from collections.abc import Sequence

from promptfolio.checks.claim import Scale
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.companion.banks import FeatureBank, draw_synthetic_bank
from promptfolio.companion.partition import partition_bank
from promptfolio.companion.study_config import ClipStudy
from simulate.experiment import Experiment
from simulate.model.keys import replicate_key
from simulate.validation import ConfigurationError

_STEP = 0.02  # ηκ_L; momentum 0.9 makes it ten times as much


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """What the demonstrations share.

    Attributes:
        banks: feature banks, for the demonstrations on trained prompts.
        study: prompts on a bank: clients, rounds, recorded rounds, replicates. Its scheme is post-hoc: one
            training serves every θ.
        spread_replicates: replicates behind a standard deviation over seeds.
        experiment: the synthetic model, for the demonstrations on the algorithm itself.
    """

    banks: tuple[FeatureBank, ...]
    study: ClipStudy
    spread_replicates: int
    experiment: Experiment


def audit_setting(scale: Scale = "full", banks: Sequence[FeatureBank] = ()) -> Setting:
    """The setting of a scale; without banks, on a synthetic one.

    The demonstrations draw the clients of every bank, also of one that names them.

    Args:
        scale: quick (smaller sizes, seconds) or full.
        banks: real feature banks.

    Raises:
        ConfigurationError: naming a bank that cannot be divided over the study's clients.

    Example:
        >>> setting = audit_setting("quick")
        >>> [bank.source for bank in setting.banks], setting.study.record
        (['synthetic'], (20, 60))
    """
    quick = scale == "quick"
    study = ClipStudy(
        schemes=("posthoc",),
        rounds=60 if quick else 100,
        record=(20, 60) if quick else (20, 100),
        replicates=2 if quick else 3,
    )
    drawn = [
        bank if bank.client is None else dataclasses.replace(bank, client=None, client_names=())
        for bank in banks
    ]
    for bank in drawn:
        _require_divisible(study, bank)
    return Setting(
        banks=tuple(drawn) or (_hard_synthetic_bank(),),
        study=study,
        spread_replicates=4 if quick else 8,
        experiment=_synthetic_experiment(noise_dim=400 if quick else 1000, replicates=2),
    )


def _require_divisible(study: ClipStudy, bank: FeatureBank) -> None:
    for split in ("disjoint", "pooled"):
        try:
            partition_bank(study.replace(split=split), bank, replicate_key(study.seed, 0))
        except ConfigurationError as error:
            raise ConfigurationError(f"{bank.source}: {error.field}", error.value, error.allowed) from None


def _hard_synthetic_bank() -> FeatureBank:
    """Classes spread so widely that prompts err on a third of the images: without errors there, none of
    the effects could show."""
    return draw_synthetic_bank(0, spread=4.0, text_error=1.5)


def _synthetic_experiment(noise_dim: int, replicates: int) -> Experiment:
    return SymmetricSetting(noise_dim=noise_dim, step_size=_STEP).experiment(
        theta=tuple(index / 20 for index in range(21)), rounds=30, record=(30,), replicates=replicates
    )
