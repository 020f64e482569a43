"""`promptfolio mixing`: predicted against empirical optimal mixing over a grid of settings."""

import dataclasses
import itertools
import math
import pathlib
from typing import TYPE_CHECKING, Any

from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.cli.console import console_for, show_notices, table, tracking
from promptfolio.cli.options import Resources
from promptfolio.cli.output import emit_json, write_dataset
from promptfolio.cli.plot import draw_to, require_figure
from promptfolio.cli.targets import require_targets
from simulate.experiment import MixingScheme, Precision
from simulate.validation import ConfigurationError, require_integer, require_seed

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Mixing:
    """Compare predicted with empirical θ* over a grid; lists are crossed with each other.

    Every setting is symmetric: equal clients, in groups of equal size. Signals are set so that the local prompt
    alone reaches the ratio ``strength``. θ* is the θ with the largest signal-to-noise ratio, mean over clients and
    seeds; where the setting leaves what a prediction assumes, a note says so.
    """

    clients: tuple[int, ...] = (4,)
    """K, numbers of clients."""
    group_size: tuple[int, ...] = (1,)
    """χ, numbers of clients that share a feature group; each must divide every K."""
    local_share: tuple[float, ...] = (0.7,)
    """b/(a+b), shares of the client-specific feature in the signal."""
    noise_dim: tuple[int, ...] = (40000,)
    """L, numbers of task-irrelevant coordinates."""
    samples: int = 10
    """n, training samples of each client."""
    strength: float = 0.8
    """Ratio R of the local prompt alone, to leading order."""
    noise_std: float = 1.0
    """σ_p."""
    noise_feature_sq: float = 1.0
    """e = ‖ξ‖²."""
    step_size: float = 0.2
    """ηκ_L, step size in units of the local prompt's rate."""
    schemes: tuple[MixingScheme, ...] = ("joint", "posthoc")
    """How the prompts are trained."""
    rounds: tuple[int, ...] = (1, 5, 50, 500)
    """T, training times at which to compare, in rounds of one step."""
    theta_step: float = 0.01
    """Step of the grid of θ."""
    replicates: int = 1
    """Seeds to average over; with two or more, θ* has an interval."""
    seed: int = 0
    """Base of all random keys, from 0 to 2³² − 1."""
    precision: Precision = "float32"
    """Arithmetic of the simulation."""
    out: str | None = None
    """Folder for one netCDF file per setting and scheme, named after everything that its numbers depend on."""
    figure: str | None = None
    """Picture, PDF, PNG or SVG by its ending, of what shows the result best; plot draws others from files."""
    json: str | None = None
    """File for the comparison as JSON; - for standard output."""
    resources: Resources = dataclasses.field(default_factory=Resources)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.checks.settings.mixing import compare_mixing, mixing_experiment, theta_grid
        from promptfolio.sweep.cell import cell_name
        from simulate.results.notices import notices_of

        self._check()
        cells = [(setting, scheme) for setting in self._settings() for scheme in self.schemes]
        grid = theta_grid(self.theta_step)
        varied: dict[str, Any] = {
            "replicates": self.replicates,
            "seed": self.seed,
            "precision": self.precision,
        }
        experiments = [mixing_experiment(*cell, self.rounds, grid, **varied) for cell in cells]
        names = [_name(*cell) for cell in cells]
        # What tells the files of two comparisons apart is the name of the experiment that is run.
        files = [
            pathlib.Path(self.out or "") / f"{name}-{cell_name(experiment)}.nc"
            for name, experiment in zip(names, experiments, strict=True)
        ]
        written = [] if self.out is None else files
        require_figure("figure", self.figure)
        require_targets({"json": self.json, "figure": self.figure, "out": written}, folders={"out": self.out})
        self.resources.apply()
        self.resources.check(*experiments)
        rows: list[dict[str, Any]] = []
        notices: list[str] = []
        compared: list[xr.Dataset] = []
        with tracking("mixing") as tracker:
            for number, (cell, name, file) in enumerate(zip(cells, names, files, strict=True), start=1):
                tracker.describe(f"{name} ({number} of {len(cells)})")
                data = compare_mixing(
                    *cell,
                    self.rounds,
                    grid,
                    **varied,
                    progress=tracker,
                    memory=self.resources.memory,
                )
                if self.out is not None:
                    write_dataset(file, data)
                if self.figure is not None:
                    compared.append(data)
                rows += _rows(*cell, data)
                about = f"{name}: " if len(cells) > 1 else ""
                notices += [about + notice for notice in notices_of(data.attrs)]
        emit_json(self.json, rows)
        if self.figure is not None:
            from promptfolio.plotting.sources import ready_together

            draw_to(self.figure, ready_together(compared), console=console_for(self.json))
        console_for(self.json).print(_table(rows))
        show_notices(notices)
        return 0

    def _settings(self) -> list[SymmetricSetting]:
        grid = itertools.product(self.clients, self.group_size, self.local_share, self.noise_dim)
        settings = [
            SymmetricSetting(
                clients=clients,
                group_size=group_size,
                local_share=share,
                noise_dim=noise_dim,
                samples=self.samples,
                strength=self.strength,
                noise_std=self.noise_std,
                noise_feature_sq=self.noise_feature_sq,
                step_size=self.step_size,
            )
            for clients, group_size, share, noise_dim in grid
        ]
        for setting in settings:
            # The formulas mix a global prompt with a local one: a single client has no other to average with.
            require_integer("clients", setting.clients, 2)
        return settings

    def _check(self) -> None:
        for field in ("clients", "group_size", "local_share", "noise_dim", "schemes"):
            values = getattr(self, field)
            if not values or len(set(values)) != len(values):
                raise ConfigurationError(field, values, "a list of at least one value, without repeats")
        for rounds in self.rounds:
            require_integer("rounds", rounds, 1)
        if list(self.rounds) != sorted(set(self.rounds)) or not self.rounds or self.rounds[0] < 1:
            raise ConfigurationError("rounds", self.rounds, "strictly increasing integers >= 1")
        require_integer("replicates", self.replicates, 1)
        require_seed("seed", self.seed)


def _name(setting: SymmetricSetting, scheme: MixingScheme) -> str:
    """What is read of a comparison: its scheme, and the parts of its setting that the command varies."""
    name = f"{scheme}-K{setting.clients}-chi{setting.group_size}"
    return f"{name}-share{setting.local_share:g}-L{setting.noise_dim}"


def _rows(setting: SymmetricSetting, scheme: MixingScheme, data: "xr.Dataset") -> list[dict[str, Any]]:
    from simulate.results.notices import notices_of

    rows = []
    for step in data.step.values:
        at = data.sel(step=step)
        ratio, measured = (at[name].mean("seed", skipna=False) for name in ("ratio", "accuracy"))
        rows.append(
            {
                "scheme": scheme,
                **dataclasses.asdict(setting),
                "rounds": int(step),
                "seeds": data.sizes["seed"],
                **{name: _known(at.get(name)) for name in _THETA},
                "theta_flat": bool(at.theta_flat),
                **{name: float(at[name]) for name in _REGRET},
                "ratio_global": float(ratio.isel(theta=0)),
                "ratio_local": float(ratio.isel(theta=-1)),
                "ratio_best": float(ratio.max(skipna=False)),
                "ratio_best_predicted": float(at.ratio_predicted.max(skipna=False)),
                "accuracy_global": float(measured.isel(theta=0)),
                "accuracy_local": float(measured.isel(theta=-1)),
                "accuracy_best": float(measured.max(skipna=False)),
                "accuracy_best_predicted": float(at.accuracy_predicted.max(skipna=False)),
                "largest_curve_error": float(abs(measured - at.accuracy_predicted).max(skipna=False)),
                "band_occupancy": float(data.band_occupancy),
                "noise_overlap": float(data.noise_overlap),
                "notices": notices_of(data.attrs),
            }
        )
    return rows


def _known(value: "xr.DataArray | None") -> float | None:
    """A number that may not exist: the interval of one seed, θ* where all θ are equally good."""
    return None if value is None or math.isnan(float(value)) else float(value)


_THETA = (
    "theta_predicted",
    "theta_empirical",
    "theta_low",
    "theta_high",
    "theta_tied_low",
    "theta_tied_high",
)
_REGRET = ("regret_ratio", "regret_log_error", "regret_accuracy")
_COLUMNS = (
    ("scheme", "scheme", ""),
    (">K", "clients", "d"),
    (">χ", "group_size", "d"),
    (">b/(a+b)", "local_share", "g"),
    (">L", "noise_dim", "d"),
    (">T", "rounds", "d"),
    (">θ* predicted", "theta_predicted", ".3f"),
    (">θ* empirical", "theta_empirical", ".3f"),
    (">95 % interval", "theta_low", ".3f"),
    (">R lost", "regret_ratio", ".1e"),
    (">R mixture", "ratio_best", ".4g"),
    (">R predicted", "ratio_best_predicted", ".4g"),
    (">global", "accuracy_global", ".4f"),
    (">local", "accuracy_local", ".4f"),
    (">mixture", "accuracy_best", ".4f"),
    (">predicted", "accuracy_best_predicted", ".4f"),
)
_SETTING = ("clients", "group_size", "local_share", "noise_dim")


def _table(rows: list[dict[str, Any]]) -> "Table":
    """The comparison as a table; parts of the setting that do not vary are given once, in the title."""
    fixed = {key for key in _SETTING if len({row[key] for row in rows}) == 1}
    said = ", ".join(
        f"{name.lstrip('>')} = {rows[0][key]:{how}}" for name, key, how in _COLUMNS if key in fixed
    )
    shown = [column for column in _COLUMNS if column[1] not in fixed]
    return table(
        "Optimal mixing, and accuracies (mean over clients)" + (f": {said}" if said else ""),
        [title for title, _, _ in shown],
        [[_cell(row, key, how) for _, key, how in shown] for row in rows],
    )


def _cell(row: dict[str, Any], key: str, how: str) -> str:
    """One entry: words where a θ* is not one number, or its interval is not known."""
    if key == "theta_empirical" and row["theta_flat"]:
        return f"flat {row['theta_tied_low']:.3f}–{row['theta_tied_high']:.3f}"
    if key == "theta_low":
        low, high = row["theta_low"], row["theta_high"]
        return "unknown" if low is None or high is None else f"{low:.3f}–{high:.3f}"
    return format(row[key], how)
