"""What version 0.1.0 called the files of cells, so that a folder it wrote is still of use.

It had other names for some fields, and put the engine that it had chosen in place of "auto".
"""

import hashlib
import json

from promptfolio.sweep.cell import NAME_LENGTH, canonical_fields
from simulate.engines.registry import AUTO
from simulate.experiment import Experiment
from simulate.former_names import FIELDS

_ENGINES = ("coefficient", "gram", "prompt")


def former_names(experiment: Experiment) -> tuple[str, ...]:
    """Names that the result of an experiment may have had: one for each engine that may have been chosen.

    Example:
        >>> former_names(Experiment(clients=2, samples=(3,), noise_dim=20, rounds=2, local_feature_sq=5.0))[0]
        '92a414bc870331c3'
    """
    engines = _ENGINES if experiment.engine == AUTO else (experiment.engine,)
    before = {new: old for old, new in FIELDS.items()}
    fields = {before.get(field, field): value for field, value in canonical_fields(experiment).items()}
    texts = (
        json.dumps({**fields, "engine": engine}, sort_keys=True, separators=(",", ":")) for engine in engines
    )
    return tuple(hashlib.sha256(text.encode()).hexdigest()[:NAME_LENGTH] for text in texts)
