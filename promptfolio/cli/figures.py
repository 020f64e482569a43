"""`promptfolio figures`: draw the figures again from saved datasets."""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from promptfolio.cli.console import complain, console_for, show_notices
from promptfolio.cli.output import write_figure
from promptfolio.cli.targets import require_targets
from simulate.results.provenance import different_setting, refuse_later_format, settings_of
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Figures:
    """Draw the figures from the datasets that reproduce has saved; exit status 1 if one cannot be drawn."""

    data: str = "out/data"
    """Folder with the claims' datasets, as reproduce writes it."""
    out: str = "out/figures"
    """Folder for the figures, as PNG and PDF."""

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from figures.registry import figure_names, load_figure

        needed = sorted({name for figure in figure_names() for name in load_figure(figure).NEEDS})
        saved = {name: pathlib.Path(self.data) / f"{name}.nc" for name in needed}
        require_targets(
            {"out": figure_files(self.out)}, folders={"out": self.out}, inputs={"data": saved.values()}
        )
        datasets = _read_all(saved)
        show_notices(_notices(datasets))
        drawn = draw_all(datasets, pathlib.Path(self.out))
        failed = {name: error for name, error in drawn.items() if error is not None}
        for name, error in failed.items():
            complain(f"figure {name} is not drawn: {error}")
        console_for(None).print(f"{len(drawn) - len(failed)} figures in {self.out}")
        return int(bool(failed))


def figure_files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """The files of all figures in a folder."""
    from figures.registry import figure_names

    return [pathlib.Path(folder) / f"{name}.{ending}" for name in figure_names() for ending in ("png", "pdf")]


def draw_all(
    datasets: "Mapping[str, xr.Dataset]", folder: pathlib.Path, but: Collection[str] = ()
) -> dict[str, str | None]:
    """Draw into a folder every figure whose datasets are all there; one that raises does not stop the others.

    Args:
        datasets: claims' datasets by name.
        folder: for the figures.
        but: figures to leave out because they have been tried already.

    Returns:
        For every figure that was tried None, or the exception it raised, on one line.
    """
    from figures.registry import draw_figure, figure_names, load_figure
    from promptfolio.error_text import described

    tried: dict[str, str | None] = {}
    for name in figure_names():
        if name in but:
            continue
        try:
            if set(load_figure(name).NEEDS) <= set(datasets):
                write_figure(folder, name, draw_figure(name, datasets))
                tried[name] = None
        except Exception as error:
            tried[name] = described(error)
    return tried


def _read_all(saved: Mapping[str, pathlib.Path]) -> "dict[str, xr.Dataset]":
    """The datasets of claims by name, each that of its claim, and all of one scale and the same settings."""
    datasets = {name: _read(name, path) for name, path in saved.items()}
    common: dict[str, str] = {}
    first: dict[str, pathlib.Path] = {}
    for name, data in datasets.items():
        here = _settings(data)
        if (setting := different_setting(common, here)) is not None:
            raise ConfigurationError(
                "data",
                str(saved[name]),
                f"made as the others are: its {setting} is {here[setting]!r}, that of {first[setting]}"
                f" {common[setting]!r}",
            )
        first |= {setting: saved[name] for setting in here if setting not in common}
        common |= here
    return datasets


def _settings(data: "xr.Dataset") -> dict[str, str]:
    """What datasets that are drawn together must share, as far as one records it."""
    scale = {"scale": str(data.attrs["scale"])} if "scale" in data.attrs else {}
    return scale | settings_of(data.attrs)


def _read(name: str, path: pathlib.Path) -> "xr.Dataset":
    from simulate.results.netcdf import read_dataset
    from simulate.results.notices import notices_of

    try:
        data = read_dataset(path)
        notices_of(data.attrs)
    except (OSError, ValueError) as error:
        reason = "missing" if isinstance(error, FileNotFoundError) else f"unreadable: {error}"
        raise ConfigurationError(
            "data", str(path), f"a dataset saved by promptfolio reproduce ({' '.join(reason.split())})"
        ) from None
    refuse_later_format(path, data.attrs)
    if (claim := data.attrs.get("claim", name)) != name:
        raise ConfigurationError(
            "data", str(path), f"the dataset of the claim {name}; this is that of {claim}"
        )
    return data


def _notices(datasets: "Mapping[str, xr.Dataset]") -> list[str]:
    """What the datasets say about themselves, and which of them do not say whose they are."""
    from simulate.results.notices import notices_of

    found = [notice for data in datasets.values() for notice in notices_of(data.attrs)]
    if unnamed := [name for name, data in datasets.items() if "claim" not in data.attrs]:
        found.append(
            f"no claim is named in {', '.join(f'{name}.nc' for name in unnamed)}:"
            " that they hold what their names say is not verified"
        )
    return found
