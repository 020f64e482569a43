"""`promptfolio figures`: draw the figures again from saved datasets."""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from promptfolio.cli.console import console_for
from promptfolio.cli.output import require_writable_folder, write_figure
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Figures:
    """Draw the figures from the datasets that reproduce has saved; nothing is simulated."""

    data: str = "out/data"
    """Folder with the claims' datasets, as reproduce writes it."""
    out: str = "out/figures"
    """Folder for the figures, as PNG and PDF."""

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from figures.registry import FIGURES, load_figure

        require_writable_folder("out", self.out)
        needed = sorted({name for figure in FIGURES for name in load_figure(figure).NEEDS})
        datasets = {name: _read(pathlib.Path(self.data) / f"{name}.nc") for name in needed}
        draw_all(datasets, pathlib.Path(self.out))
        console_for(None).print(f"{len(FIGURES)} figures in {self.out}")
        return 0


def draw_all(
    datasets: "Mapping[str, xr.Dataset]", folder: pathlib.Path, but: Collection[str] = ()
) -> list[str]:
    """Draw into a folder every figure whose datasets are all there.

    Args:
        datasets: claims' datasets by name.
        folder: for the figures.
        but: figures to leave out, as they are drawn already.

    Returns:
        Names of the figures drawn.
    """
    from figures.registry import FIGURES, draw_figure, load_figure

    ready = [name for name in FIGURES if name not in but and set(load_figure(name).NEEDS) <= set(datasets)]
    for name in ready:
        write_figure(folder, name, draw_figure(name, datasets))
    return ready


def _read(path: pathlib.Path) -> "xr.Dataset":
    import xarray as xr

    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        reason = "missing" if isinstance(error, FileNotFoundError) else f"unreadable: {error}"
        raise ConfigurationError(
            "data", str(path), f"a dataset saved by promptfolio reproduce ({' '.join(reason.split())})"
        ) from None
