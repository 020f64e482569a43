"""When each fault was last planted, and which claims and tests noticed it.

The report's "Would catch" rests on it.

The record is a JSON file beside the faults. `promptfolio check --mutants --record` writes it; planting some of the
faults renews their entries and leaves the others.
"""

import datetime
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from promptfolio.checks import mutants
from promptfolio.checks.detectors import FAILS
from promptfolio.checks.mutation import Outcome
from promptfolio.documents import read_document
from simulate.validation import ConfigurationError

RECORD = pathlib.Path(__file__).parent / "mutants" / "record.json"


class Planted(NamedTuple):
    """One fault, the last time it was planted.

    Attributes:
        mutant: its name.
        module: dotted name of the module it was planted in.
        fault: what was wrong then.
        verdicts: of the claims, at quick scale, and the tests that should notice it; for a process that broke off,
            how.
        date: the day in UTC, as YYYY-MM-DD.
        version: of this project.
        commit: of the code it was planted in; "unknown" outside a checkout.
    """

    mutant: str
    module: str
    fault: str
    verdicts: dict[str, str]
    date: str
    version: str
    commit: str

    @property
    def noticed_by(self) -> tuple[str, ...]:
        """The claims and tests that failed."""
        return tuple(name for name, verdict in self.verdicts.items() if verdict == FAILS)


def read_record(path: pathlib.Path = RECORD) -> tuple[Planted, ...]:
    """The record; empty if there is no file yet.

    Raises:
        ConfigurationError: the file is not a record.
    """
    kind = "a record of planted faults"
    if not path.exists():
        return ()
    text = read_document("record", path, kind)
    try:
        return tuple(Planted(**entry) for entry in json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError("record", str(path), f"{kind} ({error})") from None


def renewed(
    record: Sequence[Planted], outcomes: Iterable[Outcome], about: dict[str, Any]
) -> tuple[Planted, ...]:
    """The record after some faults were planted anew; faults that no longer exist are dropped.

    Args:
        record: as it was.
        outcomes: what became of the faults just planted.
        about: where they were planted, from `simulate.results.provenance`.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    version = json.loads(about["versions"])["promptfolio"]
    entries = {entry.mutant: entry for entry in record}
    for outcome in outcomes:
        mutant = outcome.mutant
        entries[mutant.name] = Planted(
            mutant.name, mutant.module, mutant.fault, outcome.verdicts, today, version, about["git_commit"]
        )
    return tuple(entries[mutant.name] for mutant in mutants.MUTANTS if mutant.name in entries)


def noticed(claim: str, record: Iterable[Planted]) -> tuple[Planted, ...]:
    """The recorded faults that a claim noticed, of those that are described today as they were then."""
    described = {mutant.name: mutant.fault for mutant in mutants.MUTANTS}
    return tuple(
        entry for entry in record if claim in entry.noticed_by and described.get(entry.mutant) == entry.fault
    )
