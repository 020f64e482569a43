"""`promptfolio simulate`: run one experiment and save its dataset."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from promptfolio.cli.console import console_for, show_notices, table, tracking
from promptfolio.cli.options import Resources
from promptfolio.cli.output import emit_json, write_dataset
from promptfolio.cli.plot import draw_to, require_figure
from promptfolio.cli.targets import require_targets
from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Simulate:
    """Run one experiment: every coefficient, ratio, loss and accuracy per step and client."""

    experiment: Annotated[Experiment, tyro.conf.arg(name="")]
    resources: Resources = dataclasses.field(default_factory=Resources)
    out: str | None = None
    """netCDF file for the full dataset."""
    figure: str | None = None
    """Picture, PDF, PNG or SVG by its ending, of what shows the result best; plot draws others from files."""
    json: str | None = None
    """File for a summary of the last step as JSON; - for standard output."""

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.checks import departures
        from simulate.results.notices import notices_of, with_notices
        from simulate.running.runner import run

        require_figure("figure", self.figure)
        if self.figure is not None and len(self.experiment.theta) < 3 and len(self.experiment.record) < 2:
            raise ConfigurationError(
                "figure", self.figure, "left out, with a single recorded round and fewer than three theta"
            )
        require_targets({"out": self.out, "figure": self.figure, "json": self.json})
        self.resources.apply()
        self.resources.check(self.experiment)
        with tracking("rounds") as tracker:
            result = run(self.experiment, tracker, self.resources.memory)
        result = with_notices(result, departures.of_run(self.experiment, result))
        notices = notices_of(result.attrs)
        if self.out is not None:
            write_dataset(pathlib.Path(self.out), result)
        summary = _last_step(result)
        if self.figure is not None:
            from promptfolio.plotting.prepare import prepared

            draw_to(self.figure, prepared(result), console=console_for(self.json))
        engine = result.attrs["engine_used"]
        experiment = dataclasses.asdict(self.experiment)
        emit_json(
            self.json,
            {"experiment": experiment, "engine_used": engine, "notices": notices, "thetas": summary},
        )
        columns = ("θ", ">accuracy: mixture", ">global", ">local", ">ratio: mixture", ">training loss")
        rows = [
            [
                f"{row['theta']:g}",
                *(f"{row[key]:.4f}" for key in ("mixture", "global", "local", "ratio", "loss")),
            ]
            for row in summary
        ]
        title = f"After {_trained(self.experiment)}, mean over clients and seeds ({engine} engine)"
        console_for(self.json).print(table(title, columns, rows))
        show_notices(notices)
        return 0


def _trained(experiment: Experiment) -> str:
    """How long the last record has been trained, in words."""
    last = experiment.record[-1]
    rounds = min(last, experiment.rounds)
    fine_tuning = f" and {last - rounds} steps of fine-tuning" if experiment.scheme == "finetuned" else ""
    return f"{rounds} rounds{fine_tuning}"


def _last_step(result: "xr.Dataset") -> list[dict[str, Any]]:
    last = result.isel(step=-1).mean(("seed", "client"), skipna=False)
    rows = []
    for theta in last.theta.values:
        at = last.sel(theta=theta)
        accuracies = {str(name): float(at.accuracy.sel(predictor=name)) for name in at.predictor.values}
        mixture = at.sel(predictor="mixture")
        rows.append(
            {
                "theta": float(theta),
                **accuracies,
                "ratio": float(mixture.ratio),
                "loss": float(mixture.training_loss),
            }
        )
    return rows
