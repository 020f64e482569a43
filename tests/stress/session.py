"""One attack: inputs, then faults, counts and what went wrong."""

import argparse
import collections
import pathlib
import shlex
import sys
from collections.abc import Iterator

from tests.stress import report
from tests.stress.case import SWEEP, Case, Materials, written
from tests.stress.forked import Ended, Job, import_everything, run_jobs
from tests.stress.inputs import commands
from tests.stress.inputs.banks import small_bank
from tests.stress.inputs.surfaces import SURFACES, jobs, numbered
from tests.stress.judge import BAD_ENDS, GOOD_ENDS, judge, not_finite

LIMIT = 20.0
"""Seconds for one command with a bad input."""
_SHOWN_BAD = 400


class Session:
    """Runs what the command line asks for, and keeps counts.

    Args:
        given: the command line.
        scratch: folder for everything that is written on the way.
    """

    def __init__(self, given: argparse.Namespace, scratch: pathlib.Path):
        self._given, self._scratch = given, scratch
        self._inputs: list[tuple[str, str, str]] = []
        self._console = 0
        self.times = []
        self._bad: list[str] = []

    @property
    def exit_status(self) -> int:
        """1 if any outcome is bad."""
        return int(bool(self._bad))

    def run(self) -> None:
        """Inputs first, from a process that nothing has been run in."""
        import_everything()
        self._run_inputs()

    def _run_inputs(self) -> None:
        materials = self._materials()
        folder = self._scratch / "inputs"
        folder.mkdir()
        for done, (job, ended) in enumerate(
            run_jobs(self._jobs(materials), folder, self._given.lanes, LIMIT, not_finite), 1
        ):
            self._take(job, ended)
            if done % 500 == 0:
                print(f"{done} inputs, {len(self._bad)} bad", file=sys.stderr, flush=True)

    def _jobs(self, materials: Materials) -> Iterator[Job]:
        seed, only = self._given.seed, self._given.only
        if only is not None:
            surface, _, number = only.partition("/")
            if surface in SURFACES:
                case = numbered(seed, surface, int(number), materials)
                print(shlex.join(("promptfolio", *map(repr, case.words))), f"\n{case}")
                yield Job(only, case)
            return
        for job in jobs(seed, self._given.inputs, materials):
            if not self._given.surface or job.name.split("/")[0] in self._given.surface:
                yield job

    def _take(self, job: Job, ended: Ended) -> None:
        word, why = judge(job.case, ended)
        self._inputs.append((job.case.command, job.case.kind, word))
        self.times.append((word, job.case.command, ended.seconds))
        self._console += job.console
        if self._given.only is not None:
            print(ended, word, why, sep="\n")
        if word in BAD_ENDS:
            rerun = f"python -m tests.stress.run --seed {self._given.seed} --only {job.name}"
            said = f"{word}: {job.case.command}, {job.case.kind}: {why or '-'}"
            self._bad.append(f"{_printable(said)}\n    {rerun}\n    {_words(job.case)}")

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
            Case(words[0], "good", words, (), False, written(spec__toml=SWEEP))
            for words in (simulate, sweep, clip)
        ]
        ends = run_jobs([Job("good", case) for case in goods], made, self._given.lanes, 120.0, not_finite)
        for job, ended in ends:
            if ended.status != 0:
                raise RuntimeError(f"a good input fails: {' '.join(job.case.words)}\n{ended}")
        return materials

    def show(self, seconds: float) -> None:
        """Print the counts and every bad outcome, and write the document."""
        ends = (*GOOD_ENDS, *BAD_ENDS)
        by_command = report.counted((command, word) for command, _, word in self._inputs)
        print(report.markdown_table("inputs of", by_command, ends))
        for bad in self._bad[:_SHOWN_BAD]:
            print(bad)
        if len(self._bad) > _SHOWN_BAD:
            print(f"and {len(self._bad) - _SHOWN_BAD} more")
        kinds = collections.Counter(bad.split("\n")[0].split(":")[0] for bad in self._bad)
        print(
            f"{len(self._inputs)} inputs, {self._console} of them through the installed program;", dict(kinds)
        )
        print(f"{seconds:.0f} s")
        import collections as c
        t = c.defaultdict(list)
        for w, k, x in self.times: t[w, k].append(x)
        for key, v in sorted(t.items(), key=lambda kv: -sum(kv[1]))[:25]: print(key, len(v), f"{sum(v):.1f} mean {sum(v)/len(v):.3f} max {max(v):.2f}")


def _words(case: Case) -> str:
    if case.call is not None:
        return case.command
    shown = " ".join(shlex.quote(_printable(word)[:80]) for word in case.words)
    return f"promptfolio {shown}"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
