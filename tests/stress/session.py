"""One attack: inputs, then faults, counts and what went wrong."""

import argparse
import functools
import pathlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator

from tests.stress import report
from tests.stress.attack import side_by_side
from tests.stress.case import SWEEP, Case, Materials, written
from tests.stress.faults import kinds
from tests.stress.faults.aftermath import BAD, SURVIVED, Scene
from tests.stress.faults.fault import Fault
from tests.stress.faults.targets import TARGETS, Reference, measure, prepare
from tests.stress.forked import Ended, Job, import_everything, run_jobs
from tests.stress.inputs import commands, surfaces
from tests.stress.inputs.banks import small_bank
from tests.stress.judge import BAD_ENDS, judge, not_finite
from tests.stress.processes import Site, Steps

LIMIT = 20.0
"""Seconds for one command with a bad input."""
_TO_MAKE = 120.0


class Session:
    """Runs what the command line asks for, and keeps counts.

    Args:
        given: the command line.
        scratch: folder for everything that is written on the way.
    """

    def __init__(self, given: argparse.Namespace, scratch: pathlib.Path):
        self._given, self._scratch = given, scratch
        self._counts = report.Counts()
        self._bad = 0

    @property
    def exit_status(self) -> int:
        """1 if any outcome is bad."""
        return int(bool(self._bad))

    def run(self) -> None:
        """Inputs first, from a process that nothing has been run in."""
        started = time.monotonic()
        import_everything()
        if self._given.inputs:
            self._run_inputs()
        if self._given.faults:
            self._run_faults()
        self._counts.seconds = time.monotonic() - started

    def show(self) -> None:
        """Print the counts, and write the document."""
        print(self._counts.tables())
        print(self._counts.sentence())
        if self._given.document is not None:
            text = self._counts.document(self._given.seed, self._given.lanes)
            self._given.document.write_text(text, encoding="utf-8")

    def _run_inputs(self) -> None:
        materials = self._materials()
        folder = self._scratch / "inputs"
        folder.mkdir()
        wanted = self._jobs(materials)
        ends = run_jobs(wanted, folder, self._given.lanes, LIMIT + self._given.patience, not_finite)
        for done, (job, ended) in enumerate(ends, 1):
            self._take(job, ended)
            self._report_progress(done, 1000, "inputs")

    def _jobs(self, materials: Materials) -> Iterator[Job]:
        seed, only = self._given.seed, self._given.only
        if only is not None:
            surface, _, number = only.partition("/")
            if surface in surfaces.SURFACES:
                yield Job(only, surfaces.numbered(seed, surface, int(number), materials))
            return
        yield from filter(self._is_wanted, surfaces.jobs(seed, self._given.inputs, materials))

    def _is_wanted(self, named: Job | tuple[str, Fault]) -> bool:
        name = named.name if isinstance(named, Job) else named[0]
        return not self._given.surface or name.partition("/")[0] in self._given.surface

    def _take(self, job: Job, ended: Ended) -> None:
        word, why = judge(job.case, ended)
        self._counts.add_input(job.case.command, job.case.kind, word, job.console)
        if self._given.only is not None:
            print(_words(job.case), ended, f"{job.case.kind}: {word} {why}", sep="\n")
        if word in BAD_ENDS:
            said = f"{word}: {job.case.command}, {job.case.kind}: {why or '-'}"
            self._complain(job.name, said, _words(job.case))

    def _complain(self, name: str, said: str, words: str) -> None:
        """Print a bad outcome at once, with the command that repeats it."""
        rerun = f"python -m tests.stress.run --seed {self._given.seed} --only {name}"
        print("\n    ".join(filter(None, (_printable(said), rerun, words))), flush=True)
        self._bad += 1

    def _report_progress(self, done: int, every: int, what: str) -> None:
        if done % every == 0:
            print(f"{done} {what}, {self._bad} bad outcomes", file=sys.stderr, flush=True)

    def _materials(self) -> Materials:
        """Good inputs, made by the commands themselves."""
        made = self._scratch / "materials"
        made.mkdir()
        materials = Materials(made / "run.nc", made / "results", made / "bank.npz")
        materials.bank.write_bytes(small_bank())
        simulate = ("simulate", *commands.TINY["simulate"], "--out", str(materials.result))
        sweep = ("sweep", "spec.toml", "--out", str(materials.sweep), "--workers", "0")
        clip = ("clip", *commands.TINY["clip"], "--bank", str(materials.bank))
        goods = [
            Job("good", Case(words[0], "good", words, (), False, written(spec__toml=SWEEP)))
            for words in (simulate, sweep, clip)
        ]
        for job, ended in run_jobs(goods, made, self._given.lanes, _TO_MAKE, not_finite):
            if ended.status != 0:
                raise RuntimeError(f"a good input fails: {' '.join(job.case.words)}\n{ended}")
        return materials

    def _run_faults(self) -> None:
        chosen = dict(filter(self._is_wanted, self._chosen_faults()))
        needed = sorted({fault.target for fault in chosen.values()})
        measured = [
            (name, functools.partial(measure, TARGETS[name], self._scratch / f"reference-{number}"))
            for number, name in enumerate(needed)
        ]
        references = dict(side_by_side(measured, self._given.lanes))
        causes = [
            (name, functools.partial(self._cause, name, fault, references[fault.target]))
            for name, fault in chosen.items()
        ]
        for done, (name, (word, why)) in enumerate(side_by_side(causes, self._given.lanes), 1):
            fault = chosen[name]
            self._counts.add_fault(fault.target, name.partition("/")[0], word)
            if word in BAD:
                self._complain(name, f"{word}: {fault.target}, {fault.what}: {why or '-'}", "")
            elif self._given.only is not None:
                print(f"{name}: {fault.target}, {fault.what}: {word}")
            self._report_progress(done, 20, "faults")

    def _chosen_faults(self) -> Iterator[tuple[str, Fault]]:
        seed, only = self._given.seed, self._given.only
        if only is None:
            yield from kinds.faults(seed, self._given.faults)
            return
        kind, _, number = only.partition("/")
        if kind in kinds.KINDS:
            yield only, kinds.numbered(seed, kind, int(number))

    def _cause(self, name: str, fault: Fault, reference: Reference) -> Steps:
        site = Site(self._scratch / name.replace("/", "-"), name)
        prepare(site)
        verdict = yield from fault.cause(Scene(site, TARGETS[fault.target], reference, self._given.patience))
        assert verdict.word == SURVIVED or verdict.word in BAD, verdict
        shutil.rmtree(site.base, ignore_errors=True)
        return verdict


def _words(case: Case) -> str:
    if case.call is not None:
        return case.command
    shown = " ".join(shlex.quote(_printable(word)[:80]) for word in case.words)
    return f"promptfolio {shown}"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
