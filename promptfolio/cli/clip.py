"""`promptfolio clip`: the portfolio on CLIP features."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from promptfolio.cli.console import console_for, show_notices, styled, table, tracking
from promptfolio.cli.cost import announce
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, write_dataset, write_figure
from promptfolio.cli.plot import draw_to, require_figure
from promptfolio.cli.targets import require_targets
from promptfolio.companion.study_config import ClipStudy

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

    from promptfolio.companion.banks import FeatureBank


@dataclasses.dataclass(frozen=True)
class Clip:
    """Train and mix prompts on a bank of CLIP features, predict θ*, and compare with the best θ."""

    study: Annotated[ClipStudy, tyro.conf.arg(name="")]
    bank: str | None = None
    """Feature bank (.npz); without one a synthetic bank is drawn, and every output is marked as synthetic."""
    out: str | None = None
    """Folder for the dataset and a figure, clip-BANK-HASH.nc, .png and .pdf: the hash is of the study and of the
    bank's content, so that different studies never overwrite each other."""
    figure: str | None = None
    """Picture, PDF, PNG or SVG by its ending, of what shows the result best; plot draws others from files."""
    json: str | None = None
    """File for the summary as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""

        from promptfolio.companion import run_study, summarise
        from promptfolio.companion.cost import require_room, study_seconds
        from promptfolio.companion.study import possible_names

        require_figure("figure", self.figure)
        self._require_targets(())
        bank = self._load()
        self._require_targets(possible_names(self.study, bank))
        self.compilation.apply()
        require_room(self.study, bank)
        announce(study_seconds(self.study, bank))
        with tracking("rounds") as tracker:
            result = run_study(self.study, bank, tracker)
        summary = summarise(result)
        study = dataclasses.asdict(ClipStudy.from_json(result.attrs["study"]))
        console = console_for(self.json)
        if self.out is not None:
            saved = _save(pathlib.Path(self.out), result)
            console.print(f"saved to {saved}", soft_wrap=True, markup=False)
        if self.figure is not None:
            from promptfolio.plotting.prepare import prepared

            draw_to(self.figure, prepared(result), console=console)
        emit_json(self.json, {"study": study, **summary})
        if bank.synthetic:
            console.print(
                styled("SYNTHETIC", "bold", " feature bank: give --bank for real CLIP features"),
                soft_wrap=True,
            )
        console.print(_images(summary), soft_wrap=True, markup=False)
        title, rounds = _table(summary)
        console.print(styled(title, "italic"), soft_wrap=True)
        console.print(rounds)
        console.print(_last_round(summary))
        show_notices(summary["notices"])
        return 0

    def _require_targets(self, names: Sequence[str]) -> None:
        """Refuse what cannot be written, files in the folder included once their names are known."""
        written = [pathlib.Path(self.out or "") / f"{name}{ending}" for name in names for ending in _ENDINGS]
        require_targets(
            {"json": self.json, "figure": self.figure, "out": written if self.out is not None else ()},
            folders={"out": self.out},
            inputs={"bank": self.bank},
        )

    def _load(self) -> "FeatureBank":
        from promptfolio.companion import draw_synthetic_bank, load_bank

        return draw_synthetic_bank(self.study.seed) if self.bank is None else load_bank(self.bank)


_ENDINGS = (".nc", ".png", ".pdf")


def _save(folder: pathlib.Path, result: "xr.Dataset") -> pathlib.Path:
    """Write the dataset and, for the posthoc scheme, the figure, and return the dataset's path."""
    from figures.clip_mixing import draw
    from figures.style import in_style
    from promptfolio.companion.labels import study_name

    name = study_name(result.attrs)
    path = folder / f"{name}.nc"
    write_dataset(path, result)
    if "posthoc" in result.scheme.values:
        with in_style():
            figure = draw(result)
        write_figure(folder, name, figure)
    return path


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


def _table(summary: dict[str, Any]) -> tuple[str, "Table"]:
    """A title, which is longer than some tables are wide, and the table."""
    shown = [column for column in _COLUMNS if column[1] in summary["rounds"][0]]

    def cell(record: dict[str, Any], key: str, how: str | None) -> str:
        if how is None:
            return str(record[key])
        text = format(record[key]["mean"], how)
        if key == "theta_posthoc_predicted":
            low, high = (record[f"{key}_{end}"]["mean"] for end in ("low", "high"))
            return f"{text} (flat {low:.2f}–{high:.2f})" if low < high else text
        return text

    kind = "SYNTHETIC bank" if summary["synthetic"] else f"{summary['bank']}, {summary['backbone']}"
    baseline = summary["baseline"]
    seeds = f"mean of {summary['seeds']} seeds" if summary["seeds"] > 1 else "one seed"
    title = f"{kind}: test accuracy over all images, {seeds}"
    title += f"; {baseline['name']} {baseline['mean']:.3f}"
    if reused := summary["reused"]["mean"]:
        title += f"; POOLED: {reused:.0%} of the test images were trained on"
    rows = [[cell(record, key, how) for _, key, how in shown] for record in summary["rounds"]]
    return title, table("", [name for name, _, _ in shown], rows)


_PROMPTS = (
    ("global prompt", "global"),
    ("local prompts", "local"),
    ("mixture at predicted θ*", "posthoc_predicted"),
    ("joint pair", "joint_validation"),
    ("detached pair", "detached_validation"),
)
_MEANS = (
    (">over images", ""),
    (">mean of clients", "_client_mean"),
    (">± over clients", "_client_std"),
    (">worst client", "_worst_client"),
    (">trained classes", "_trained"),
    (">untrained classes", "_untrained"),
    (">harmonic mean", "_harmonic"),
)


def _last_round(summary: dict[str, Any]) -> "Table":
    """Accuracies after the last round, averaged over images and over clients, and by classes where they differ."""
    last = summary["rounds"][-1]
    baseline = summary["baseline"]
    numbers = last | {"baseline": baseline}
    numbers |= {f"baseline_{name}": values for name, values in baseline.items() if isinstance(values, dict)}
    everywhere = {"global": last.get("global"), "local": last.get("generalisation_local")}
    means = [mean for mean in _MEANS if f"baseline{mean[1]}" in numbers]
    shown = [(baseline["name"], "baseline"), *(each for each in _PROMPTS if each[1] in numbers)]
    rows = []
    for title, key in shown:
        row = [title, *(_with_error(numbers[key + end]) for _, end in means)]
        rows.append([*row, _with_error(everywhere[key]) if everywhere.get(key) else ""])
    title = f"after round {last['round']}: test accuracy ± standard deviation over seeds"
    return table(title, ["", *(name for name, _ in means), ">all clients' images"], rows)


def _with_error(number: dict[str, float | None]) -> str:
    mean, std = number["mean"], number["std"]
    return f"{mean:.3f}" if std is None else f"{mean:.3f} ± {std:.3f}"


def _images(summary: dict[str, Any]) -> str:
    """Which images were used for what, in one line."""
    train, validation, test = (summary[f"{use}_split"] for use in ("train", "validation", "test"))
    counts = [f"{summary[f'{use}_images']:.1f}".removesuffix(".0") for use in ("train", "validation", "test")]
    line = f"trained on {counts[0]} images of split {train}, θ chosen on {counts[1]} of {validation}"
    line += f", tested on {counts[2]} of {test}"
    if summary["dropped_images"]:
        line += f"; {summary['dropped_images']} repeated images not used"
        line += f", {summary['label_conflicts']} of them with another label"
    return f"{line}; bank sha256 {summary['bank_sha256'][:16]}…"
