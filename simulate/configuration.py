"""What configurations of a federated training have in common: validation, copies with changes, and JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from simulate.validation import ConfigurationError, require_integer, require_number, require_seed


class FederatedConfiguration:
    """Base of frozen dataclasses that describe a federated training.

    It has no fields of its own, so that each configuration lists all of its fields, with their meaning and
    default, in one place. The ones named here must be among them.
    """

    former_names: ClassVar[Mapping[str, str]] = {}
    """Fields that an earlier version called otherwise: their names then, and now. `from_json` accepts both."""

    clients: int
    rounds: int
    record: tuple[int, ...]
    local_steps: int
    participation: float
    optimizer: str
    optimizer_options: tuple[tuple[str, float], ...]
    learning_rate: float
    init_std: float
    seed: int
    replicates: int

    def _resolve(self, field: str, value: object) -> None:
        """Set a field during construction, where a frozen dataclass forbids assignment."""
        object.__setattr__(self, field, value)

    def _check_federation(self) -> None:
        require_integer("rounds", self.rounds, 1)
        require_integer("local_steps", self.local_steps, 1)
        require_number("participation", self.participation, above=0, at_most=1)
        require_number("learning_rate", self.learning_rate, above=0)
        require_number("init_std", self.init_std, at_least=0)
        require_seed("seed", self.seed)
        require_integer("replicates", self.replicates, 1)
        for option in self.optimizer_options:
            if not isinstance(option, tuple) or len(option) != 2:
                raise ConfigurationError("optimizer_options", option, "pairs of a name and a number")
            require_number(f"optimizer_options[{option[0]}]", option[1])
        if self.optimizer != "sgd" or self.optimizer_options:
            # Imported only here: plain SGD, the common case, must not pay for loading JAX.
            from simulate.model.optimizer import check_optimizer

            check_optimizer(self.optimizer, self.optimizer_options)

    @property
    def turns(self) -> int:
        """The last turn of training that ``record`` may name: its last round."""
        return self.rounds

    def _check_record(self) -> None:
        for step in self.record:
            require_integer("record", step, 0)
        if list(self.record) != sorted(set(self.record)) or self.record[-1] > self.turns:
            last = (
                f"rounds = {self.rounds}" if self.turns == self.rounds else f"rounds + steps = {self.turns}"
            )
            raise ConfigurationError("record", self.record, f"strictly increasing rounds, none above {last}")

    @property
    def participants(self) -> int:
        """Number of clients taking part in a round: the rounded fraction, but never none."""
        return max(1, math.floor(self.participation * self.clients + 0.5))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, resolved and validated anew.

        Fields that were derived from others stay as they were resolved unless they are given: give
        ``record=()`` when changing the rounds, and ``groups=()`` when changing an experiment's clients.
        """
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_json(self) -> str:
        """The resolved configuration as one line of JSON; `from_json` reads it back."""
        names = (field.name for field in dataclasses.fields(self))  # type: ignore[arg-type]
        return json.dumps({name: getattr(self, name) for name in names})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a configuration from `to_json`, of this version or an earlier one.

        Raises:
            ConfigurationError: when the text is not such an object, or a field is unknown or not allowed.
        """
        name = cls.__name__
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:  # not JSON, numbers of thousands of digits, or too deep
            raise ConfigurationError(name, text, f"JSON ({error})") from None
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if isinstance(fields, dict) and not any(new in fields for new in cls.former_names.values()):
            fields = {cls.former_names.get(field, field): value for field, value in fields.items()}
        if not isinstance(fields, dict) or not known.issuperset(fields):
            raise ConfigurationError(name, text, "a JSON object with fields " + ", ".join(sorted(known)))
        return cls(**{field: _frozen(value) for field, value in fields.items()})


def momentum_of(optimizer_options: tuple[tuple[str, float], ...]) -> float:
    """The momentum of an sgd optimizer, 0 if it has none."""
    return dict(optimizer_options).get("momentum", 0.0)


def _frozen(value: Any) -> Any:
    """JSON knows lists only; fields are tuples."""
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value
