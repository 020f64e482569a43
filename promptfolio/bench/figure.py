"""The figure of a benchmark: run-steps per second by case, and time against each size of a sweep."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from figures.style import GLOBAL, LOCAL, MARKERS, MIXTURE, TEXT_WIDTH, letter, panels
from promptfolio.bench.peers import PEERS
from promptfolio.bench.report import Report, base_text
from promptfolio.bench.scaling import Curve

_COLOURS = {"numpy": MIXTURE, "torch": LOCAL, "jax_clients": "#d99a3d"}
_CURVE_COLOURS = (GLOBAL, LOCAL, MIXTURE, "#d99a3d", "#8f6fa8", "#6d8f6d", "0.45")
_BAR = 0.2


def draw(report: Report) -> Figure:
    """Draw a report; without scaling curves, the first panel alone."""
    if not report.curves:
        figure, axes = panels(1, 0.62 * TEXT_WIDTH, 2.7)
        _by_case(axes[0], report)
        return figure
    figure, axes = panels(2, TEXT_WIDTH, 2.9, ratios=(1.25, 1))
    _by_case(axes[0], report)
    _by_size(axes[1], report.curves)
    letter(axes, ["speed by case", "time against each size"])
    return figure


def caption(report: Report) -> str:
    """What the figure shows."""
    said = "(a) " if report.curves else ""
    said += (
        "Run-steps per second, a run-step being one round of one seed at one θ. Numbers in a loop's bar say"
        " how many times faster the toolkit is."
    )
    if report.curves:
        said += (
            " (b) Seconds of a run over those at the base"
            f" ({base_text(report.curves)}), against each size over its own value there."
            " Numbers: exponent between the last two points. Dotted: proportional and quadratic. Devices are"
            " virtual ones on the same cores, relative to one."
        )
    return said


def _by_case(axis: Axes, report: Report) -> None:
    cases, ran = report.comparison.cases, [p for p in PEERS if p.title not in report.comparison.skipped]
    bars = [("toolkit", GLOBAL), *((peer.title, _COLOURS[peer.name]) for peer in ran)]
    lowest = min([peer.run_steps_per_second for one in cases for peer in one.peers] or [1.0])
    highest = max(one.run_steps_per_second for one in cases)
    top = highest * (highest / lowest) ** 0.55
    bottom = lowest * (lowest / top) ** 0.36  # so that the lowest bar has room for its number
    for number, (title, colour) in enumerate(bars):
        heights = [
            one.run_steps_per_second if number == 0 else one.peers[number - 1].run_steps_per_second
            for one in cases
        ]
        places = [place + (number - (len(bars) - 1) / 2) * _BAR for place in range(len(cases))]
        axis.bar(places, heights, 0.9 * _BAR, color=colour, label=title, zorder=2)
        for place, height, one in zip(places, heights, cases, strict=True):
            # Ratios stand upright in the bars: above them, those of neighbours would touch.
            if number:
                text, at, how = _times(one.peers[number - 1].ratio), bottom, _inside(colour)
            else:
                text, at, how = _rate(height), height, {"color": colour, "fontsize": 7}
            axis.annotate(
                text, (place, at), (0, 2), textcoords="offset points", ha="center", va="bottom", **how
            )
    axis.set_yscale("log")
    axis.set_ylim(bottom, top)
    axis.set_xticks(range(len(cases)), [_label(one.case.name, one.engine) for one in cases])
    axis.set_xlim(-0.55, len(cases) - 0.45)
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("run-steps per second")
    axis.legend(loc="upper center", ncols=2, columnspacing=1.2, handlelength=1.0)


def _inside(colour: str) -> dict[str, Any]:
    """How to write into a bar of a colour."""
    return {"color": "0.1" if colour == _COLOURS["jax_clients"] else "white", "rotation": 90, "fontsize": 6.5}


def _rate(rate: float) -> str:
    if rate >= 1e6:
        return f"{rate / 1e6:.3g}M"
    return f"{rate / 1e3:,.0f}k" if rate >= 1e4 else f"{rate / 1e3:.2g}k"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def _label(name: str, engine: str) -> str:
    return f"{name}\n{engine}"


def _by_size(axis: Axes, curves: Sequence[Curve]) -> None:
    for number, curve in enumerate(curves):
        at_base = curve.seconds[curve.values.index(curve.base)]
        axis.plot(
            [value / curve.base for value in curve.values],
            [seconds / at_base for seconds in curve.seconds],
            color=_CURVE_COLOURS[number],
            marker=(*MARKERS, "X")[number],
            mfc="white",
            label=f"{curve.title}: {curve.last_exponent:.2f}",
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    low, high = axis.get_xlim()
    bottom, top = axis.get_ylim()
    for power in (1, 2):
        axis.plot([low, high], [low**power, high**power], color="0.6", ls=":", lw=0.8, zorder=1)
    axis.set(xlim=(low, high), ylim=(bottom, top))
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(FuncFormatter(_multiple))
        one.set_minor_formatter(NullFormatter())
    axis.set(xlabel="size, in multiples of the base", ylabel="seconds, in multiples of the base")
    axis.legend(loc="upper left", title="size: exponent", title_fontsize=7)


def _multiple(value: float, _: int) -> str:
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
