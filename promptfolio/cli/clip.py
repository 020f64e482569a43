"""`promptfolio clip`: the portfolio on CLIP features."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from promptfolio.cli.console import console_for, styled, table, tracking
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, write_dataset, write_figure
from promptfolio.cli.targets import require_targets
from promptfolio.companion.study_config import ClipStudy

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.companion.bank import FeatureBank


@dataclasses.dataclass(frozen=True)
class Clip:
    """Train and mix prompts on a bank of CLIP features, predict θ*, and compare with the best θ."""

    study: Annotated[ClipStudy, tyro.conf.arg(name="")]
    bank: str | None = None
    """Feature bank (.npz); without one a synthetic bank is drawn, and every output is marked as synthetic."""
    out: str | None = None
    """Folder for the dataset and a figure."""
    json: str | None = None
    """File for the summary as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from figures.clip_mixing import draw
        from figures.style import in_style
        from promptfolio.companion import run_study, summarise

        names = ("clip.nc", "clip_mixing.png", "clip_mixing.pdf")
        written = [] if self.out is None else [pathlib.Path(self.out) / name for name in names]
        require_targets(
            {"json": self.json, "out": written}, folders={"out": self.out}, inputs={"bank": self.bank}
        )
        bank = self._load()
        self.compilation.apply()
        with tracking("rounds") as tracker:
            result = run_study(self.study, bank, tracker)
        if self.out is not None:
            folder = pathlib.Path(self.out)
            write_dataset(folder / "clip.nc", result)
            if "posthoc" in self.study.schemes:
                with in_style():
                    figure = draw(result)
                write_figure(folder, "clip_mixing", figure)
        summary = summarise(result)
        emit_json(self.json, {"study": dataclasses.asdict(self.study), **summary})
        console = console_for(self.json)
        if bank.synthetic:
            console.print(
                styled("SYNTHETIC", "bold", " feature bank: give --bank for real CLIP features"),
                soft_wrap=True,
            )
        console.print(_table(summary))
        return 0

    def _load(self) -> "FeatureBank":
        from promptfolio.companion import draw_synthetic_bank, load_bank

        return draw_synthetic_bank(self.study.seed) if self.bank is None else load_bank(self.bank)


_COLUMNS = (
    (">round", "round", None),
    (">global", "global", ".3f"),
    (">local", "local", ".3f"),
    (">θ* predicted", "theta_posthoc_predicted", ".2f"),
    (">accuracy", "posthoc_predicted", ".3f"),
    (">best θ", "theta_posthoc_best", ".2f"),
    (">accuracy", "posthoc_best", ".3f"),
    (">regret, points", "posthoc_regret", ".2f"),
    (">joint", "joint_validation", ".3f"),
    (">detached", "detached_validation", ".3f"),
)


def _table(summary: dict[str, Any]) -> "Table":
    shown = [column for column in _COLUMNS if column[1] in summary["rounds"][0]]

    def cell(record: dict[str, Any], key: str, how: str | None) -> str:
        return str(record[key]) if how is None else format(record[key]["mean"], how)

    kind = "SYNTHETIC bank" if summary["synthetic"] else f"{summary['bank']}, {summary['backbone']}"
    title = f"{kind}: test accuracy, mean of {summary['seeds']} seeds; zero-shot {summary['zero_shot']['mean']:.3f}"
    if reused := summary["reused"]["mean"]:
        title += f"; POOLED: {reused:.0%} of the test images were trained on"
    rows = [[cell(record, key, how) for _, key, how in shown] for record in summary["rounds"]]
    return table(title, [title for title, _, _ in shown], rows)
