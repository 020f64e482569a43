"""`promptfolio derive`: every result, derived step by step, as one document."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from promptfolio.cli.console import complain, console_for, table, tracking
from promptfolio.cli.output import STANDARD_OUTPUT, write_standard_output, write_text
from promptfolio.cli.targets import require_targets
from promptfolio.documents import read_document
from simulate.validation import ConfigurationError, require_choice

if TYPE_CHECKING:
    from rich.table import Table

    from theory.proof.derivation import Derivation

_DOCUMENT = "docs/derivations.md"


@dataclasses.dataclass(frozen=True)
class Derive:
    """Derive the theory's results, verifying every step, and write the document; exit status 1 if a step fails."""

    tags: tuple[str, ...] = ()
    """Results to derive, such as T15; all of them when none is given."""
    out: str | None = None
    """File for the document, - for standard output; by default docs/derivations.md, or - if tags are given."""
    check: bool = False
    """Write nothing; compare with the document in the file, and exit with status 1 if it is stale."""

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from theory.proof.catalogue import results
        from theory.proof.derivation import DerivationError

        for tag in self.tags:
            require_choice("tags", tag, tuple(results()))
        target = self._target()
        committed = (
            read_document("out", target, "a document written by promptfolio derive") if self.check else None
        )
        if committed is None and target != STANDARD_OUTPUT:
            require_targets({"out": target})
        tags = tuple(dict.fromkeys(self.tags)) or tuple(results())
        try:
            derivations = _derive(tags)
        except DerivationError as error:
            complain(f"{error}")
            return 1
        if committed is not None:
            return self._compare(tags, committed, target)
        return _write(tags, derivations, target)

    def _target(self) -> str:
        if self.out == STANDARD_OUTPUT and self.check:
            raise ConfigurationError("out", self.out, "a file when it is checked")
        if self.out is not None:
            return self.out
        # a document with some of the results must not replace the whole one unasked
        return STANDARD_OUTPUT if self.tags and not self.check else _DOCUMENT

    def _compare(self, tags: tuple[str, ...], committed: str, path: str) -> int:
        from theory.proof.document import document, sections

        written, now = sections(committed), sections(document(tags))
        # the contents and results that no longer exist are stale only if everything is compared
        names = (
            [tag for tag in now if tag in tags]
            if self.tags
            else [*now, *(tag for tag in written if tag not in now)]
        )
        stale = [name for name in names if written.get(name) != now.get(name)]
        if stale:
            complain(f"{path} is stale: {', '.join(stale)}")
        else:
            console_for(None).print(f"{path} is up to date: {len(tags)} results")
        return int(bool(stale))


def _derive(tags: tuple[str, ...]) -> "list[Derivation]":
    from theory.proof.catalogue import derive

    derivations = []
    with tracking("deriving") as tracker:
        for tag in tags:
            tracker.describe(f"deriving {tag}")
            derivations.append(derive(tag))
            tracker(len(derivations), len(tags))
    return derivations


def _write(tags: tuple[str, ...], derivations: "list[Derivation]", target: str) -> int:
    from theory.proof.document import document

    text = document(tags)
    if target == STANDARD_OUTPUT:
        write_standard_output(text)
        return 0
    write_text(pathlib.Path(target), text)
    console = console_for(None)
    console.print(_table(derivations))
    console.print(f"{len(tags)} results in {target}")
    return 0


def _table(derivations: "list[Derivation]") -> "Table":
    """One line per result: how many of its steps are verified, modelled and assumed."""
    from theory.proof.document import step_counts

    rows = []
    for each in derivations:
        result, counts = each.result, step_counts([each])
        rows.append((result.tag, result.title, result.bound, *map(str, counts)))
    return table("Derivations", ("tag", "result", "bound", ">verified", ">modelled", ">assumed"), rows)
