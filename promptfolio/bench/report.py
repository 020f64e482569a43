"""Results as tables to read and as JSON for programs."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from promptfolio.bench.comparison import CaseTime, Comparison
from promptfolio.bench.machine import Machine
from promptfolio.bench.peers import PEERS
from promptfolio.bench.products import SQUARE
from promptfolio.bench.scaling import Curve
from simulate.running.arithmetic import numerics
from simulate.validation import ConfigurationError

BEGIN = "<!-- Measured by `promptfolio bench --record`: what stands here is replaced. -->"
END = "<!-- End of what was measured. -->"
FIGURE = "speed"
"""Name of the figure, without ending."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that was measured.

    Attributes:
        machine: what it was measured on.
        quick: whether the sweeps were small ones, whose times say nothing about speed.
        turns: number of times that every task was timed.
        comparison: times of the cases.
        curves: the scaling curves; empty if they were not measured.
        square: rows and columns of the matrices of the square product.
    """

    machine: Machine
    quick: bool
    turns: int
    comparison: Comparison
    curves: tuple[Curve, ...] = ()
    square: int = SQUARE


class TableText(NamedTuple):
    """A table as text; columns whose name starts with '>' are aligned right."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]


def tables(report: Report) -> list[TableText]:
    """The tables of a report, in order."""
    found = [_speed(report), _use(report)]
    return [*found, _scaling(report)] if report.curves else found


def _speed(report: Report) -> TableText:
    ran = [peer for peer in PEERS if peer.title not in report.comparison.skipped]
    columns = ("case", "sweep", "engine", ">seconds", ">to compile", ">run-steps/s")
    rows = []
    for one in report.comparison.cases:
        ratios = {peer.name: f"{one_peer.ratio:,.0f}" for peer, one_peer in zip(ran, one.peers, strict=True)}
        rows.append(
            [
                one.case.name,
                f"{one.case.size}; {one.case.meaning}",
                _engine(one),
                f"{one.seconds:.3g}",
                f"{one.compile_seconds:.2g}",
                f"{one.run_steps_per_second:,.0f}",
                *(ratios[peer.name] for peer in ran),
            ]
        )
    title = "Speed; a run-step is one round of one seed at one θ, × is how many times faster than that loop"
    return TableText(title, (*columns, *(f">× {peer.title}" for peer in ran)), rows)


def _engine(one: CaseTime) -> str:
    return f"{one.engine} (fallback for {one.fallback_seeds} seeds)" if one.fallback_seeds else one.engine


def _use(report: Report) -> TableText:
    accelerators = any(one.device_bytes for one in report.comparison.cases)
    columns = (
        "case",
        ">|z|/c signal",
        ">|z|/c noise",
        ">GFLOP/s, run",
        ">training alone",
        ">products, own shapes",
        f">products, {report.square}³",
        ">share of own",
        ">training alone",
        ">share of square",
        ">memory, MiB",
        *([">on devices"] if accelerators else []),
    )
    rows = []
    for one in report.comparison.cases:
        rates = (one.rate, one.training_rate, one.own_rate, one.square_rate)
        shares = (one.rate / one.own_rate, _training_share(one), one.rate / one.square_rate)
        rows.append(
            [
                one.case.name,
                f"{one.signal_reach:.2g}",
                f"{one.noise_reach:.2g}",
                *("–" if rate is None else f"{rate / 1e9:.1f}" for rate in rates),
                *("–" if share is None else f"{share:.0%}" for share in shares),
                f"{one.peak_bytes / 2**20:,.0f}",
                *([f"{one.device_bytes / 2**20:,.0f}"] if accelerators else []),
            ]
        )
    return TableText("What the machine gives: matrix products that training needs, and memory", columns, rows)


def _scaling(report: Report) -> TableText:
    columns = ("size", "values", "seconds", ">exponent", ">at the end", ">off a line", ">off proportion")
    rows = [
        [
            one.title,
            ", ".join(str(value) for value in one.values),
            ", ".join(f"{seconds:.2g}" for seconds in one.seconds),
            f"{one.exponent:.2f}",
            f"{one.last_exponent:.2f}",
            *(_linear(one)),
        ]
        for one in report.curves
    ]
    return TableText(
        f"Seconds of a run against one size, the others at {base_text(report.curves)}", columns, rows
    )


def _linear(curve: Curve) -> tuple[str, str]:
    """Deviations of a curve from linear, as text; empty for curves that need not be linear."""
    if curve.size not in ("seeds", "rounds", "thetas"):
        return "", ""
    return f"{curve.deviation_from_line:.1%}", f"{curve.deviation_from_proportion:.1%}"


def base_text(curves: Sequence[Curve]) -> str:
    """The sizes of the scaling curves' common sweep, in words."""
    base = {curve.size: curve.base for curve in curves}
    return (
        f"K={base['clients']}, n={base['samples']}, L={base['noise_dim']},"
        f" {base['thetas']} θ × {base['seeds']} seeds × {base['rounds']} rounds"
    )


def notes(report: Report) -> list[str]:
    """What a reader needs to know about the numbers, as sentences."""
    said = [f"Measured on {report.machine.sentence}; commit {report.machine.commit}."]
    if report.quick:
        said.append("Small sweeps, to see that everything works: these numbers say nothing about speed.")
    said.append(
        f"All tasks took turns in one process; the best of {report.turns} counts. A plain loop ran one seed at one"
        " θ for about a second, and its time is scaled to the whole sweep. Compilation and memory are those of a"
        " fresh process."
    )
    for case in report.comparison.cases:
        loops = (
            f"{peer.title} {peer.seconds_per_run_step * 1e3:.3g} ms"
            + (f" ({peer.variant})" if peer.variant else "")
            for peer in case.peers
        )
        said.append(f"{case.case.name}, a run-step of each loop: {', '.join(loops)}.")
    said += [f"{title}: left out, {reason}." for title, reason in report.comparison.skipped.items()]
    return said


def markdown(report: Report, caption: str) -> str:
    """The report as Markdown, to stand between the marker lines of a document."""
    parts = [notes(report)[0]]
    for table in tables(report):
        parts.append(f"**{table.title}**")
        rule = ["--:" if name.startswith(">") else "---" for name in table.columns]
        lines = [[name.lstrip(">") for name in table.columns], rule, *table.rows]
        parts.append("\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines))
    parts.append(f"![Speed by case, and scaling]({FIGURE}.png)\n\n*{caption}*")
    parts.append("\n".join(f"- {note}" for note in notes(report)[1:]))
    return "\n\n".join(parts)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def replaced(document: str, part: str) -> str:
    """Return a document with the text between its marker lines replaced.

    Raises:
        ConfigurationError: when the document does not have each marker line once, in order.

    Example:
        >>> before = f"above\\n{BEGIN}\\nold\\n{END}\\nbelow\\n"
        >>> replaced(before, "new") == f"above\\n{BEGIN}\\n\\nnew\\n\\n{END}\\nbelow\\n"
        True
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise ConfigurationError("record", "README.md", f"a document with the lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{part}\n\n{END}{tail}"


def blank_document() -> str:
    """A new document with the marker lines."""
    return f"# Benchmarks\n\n{BEGIN}\n{END}\n"


def as_record(report: Report) -> dict[str, Any]:
    """The report as plain dictionaries for JSON: bytes, seconds, and operations per second."""
    return {
        "machine": dataclasses.asdict(report.machine),
        "numerics": json.loads(numerics()),
        "quick": report.quick,
        "turns": report.turns,
        "square_size": report.square,
        "cases": [_case_record(one) for one in report.comparison.cases],
        "skipped": report.comparison.skipped,
        "scaling": [
            {
                **dataclasses.asdict(one),
                "exponent": one.exponent,
                "last_exponent": one.last_exponent,
                "fixed_seconds": one.line[0],
                "seconds_per_unit": one.line[1],
                "deviation_from_line": one.deviation_from_line,
                "deviation_from_proportion": one.deviation_from_proportion,
            }
            for one in report.curves
        ],
    }


def _training_share(one: CaseTime) -> float | None:
    """Rate of training alone as a share of the machine's own; None where training is too short to be told."""
    return None if one.training_rate is None else one.training_rate / one.own_rate


def _case_record(one: CaseTime) -> dict[str, Any]:
    return {
        **{key: value for key, value in dataclasses.asdict(one).items() if key not in ("case", "peers")},
        "name": one.case.name,
        "meaning": one.case.meaning,
        "experiment": dataclasses.asdict(one.case.experiment),
        "run_steps": one.case.run_steps,
        "run_steps_per_second": one.run_steps_per_second,
        "training_seconds": one.training_seconds,
        "share_of_own_rate": one.rate / one.own_rate,
        "share_of_own_rate_training": _training_share(one),
        "share_of_square_rate": one.rate / one.square_rate,
        "peers": {
            peer.name: {
                **dataclasses.asdict(peer),
                "run_steps_per_second": peer.run_steps_per_second,
            }
            for peer in one.peers
        },
    }
