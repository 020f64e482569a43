"""One cell of a sweep: an experiment, what varies in it, and the name of its result."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from promptfolio.sweep.fields import Kind, field_kinds
from simulate.engines.choice import choose_engine
from simulate.experiment import Experiment
from simulate.former_names import LATER_FIELDS

NAME_LENGTH = 16
"""Hexadecimal digits of a name, 64 bits: some two of a million cells share a name with chance 3e-8, and that is
noticed, since a file says which experiment it holds."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One experiment of a sweep. It keeps what the specification gives, since sweeps may have many cells, and
    resolves the rest whenever it is asked.

    Attributes:
        varied: fields that vary in the sweep, and their values here, as the specification gives them.
        settings: all fields that the specification gives, varied or not; the others have their defaults.
    """

    varied: tuple[tuple[str, Any], ...]
    settings: tuple[tuple[str, Any], ...]

    @property
    def experiment(self) -> Experiment:
        """What the settings resolve to, made anew at each call.

        Raises:
            ConfigurationError: when they are not allowed; cells of a `Specification` are.
        """
        return Experiment(**dict(self.settings))

    @functools.cached_property
    def name(self) -> str:
        """`cell_name` of the experiment."""
        return cell_name(self.experiment)

    def __str__(self) -> str:
        return ", ".join(f"{field} = {shown(value)}" for field, value in self.varied) or "the only cell"


def cell_name(experiment: Experiment) -> str:
    """Name of the result of an experiment: the start of SHA-256 of `canonical_json`.

    It depends on the experiment alone, so the same cell of another sweep has the same name. Where the experiment
    leaves the choice of the engine open, so does the name.

    Example:
        >>> cell_name(Experiment(clients=3, samples=(5,))) == cell_name(Experiment(clients=3, samples=(5, 5, 5)))
        True
    """
    return hashlib.sha256(canonical_json(experiment).encode()).hexdigest()[:NAME_LENGTH]


def canonical_json(experiment: Experiment) -> str:
    """`Experiment.to_json` in one spelling: sorted fields and options, no spaces, 5.0 for the number 5.

    Example:
        >>> canonical_json(Experiment(global_feature_sq=5)) == canonical_json(Experiment(global_feature_sq=5.0))
        True
    """
    return json.dumps(canonical_fields(experiment), sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_fields(experiment: Experiment) -> Mapping[str, Any]:
    """The fields of an experiment as JSON writes them, in one spelling, without later ones at their defaults."""
    return {
        name: _canonical(kind, value)
        for name, kind in field_kinds().items()
        if (value := getattr(experiment, name)) != getattr(Experiment, name) or name not in LATER_FIELDS
    }


def _canonical(kind: Kind, value: Any) -> Any:
    if kind == "number":
        return float(value) + 0.0
    if kind == "numbers":
        return [float(entry) + 0.0 for entry in value]
    if kind == "options":
        return sorted((name, float(number) + 0.0) for name, number in value)
    return value


def compiled_shape(experiment: Experiment) -> tuple[Any, ...]:
    """A key that is equal for experiments with the same compiled programs, which a process should run one after
    another.

    It follows `simulate.model.program.Program`. A key that distinguishes too little or too much only costs time.
    """
    return (
        choose_engine(experiment).name,
        experiment.scheme,
        experiment.precision,
        experiment.gram,
        experiment.activation,
        experiment.optimizer,
        experiment.optimizer_options,
        experiment.noise_dim,
        experiment.prompt_dim,
        experiment.clients,
        max(experiment.samples),
        experiment.group_count,
        experiment.constant_rows,
        experiment.participants,
        experiment.local_steps,
        experiment.replicates,
        len(experiment.theta),
        len(experiment.record),
        experiment.label_noise > 0,
        experiment.init_std > 0,
    )


def by_compiled_shape(cells: Iterable[Cell]) -> dict[tuple[Any, ...], list[Cell]]:
    """Cells grouped by `compiled_shape`, in the order given."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(compiled_shape(cell.experiment), []).append(cell)
    return groups


def shown(value: Any) -> str:
    """A field's value as text to read: lists in brackets, a list of one as its entry, long lists shortened.

    Example:
        >>> shown((0.0, 0.5)), shown((10,)), shown(0.25), shown(tuple(range(50)))
        ('[0, 0.5]', '10', '0.25', '[0, 1, 2 … 49]')
    """
    if isinstance(value, tuple):
        if len(value) == 1 and not isinstance(value[0], tuple):
            return shown(value[0])
        if value and isinstance(value[0], tuple):
            return "{" + ", ".join(f"{name} = {shown(number)}" for name, number in value) + "}"
        entries = [shown(entry) for entry in value]
        if len(entries) > 6:
            return f"[{', '.join(entries[:3])} … {entries[-1]}]"
        return f"[{', '.join(entries)}]"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
