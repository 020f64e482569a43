"""`promptfolio plot`: pictures of results, and what `--figure` of other commands does."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import tyro

from figures.options import CannotDrawError, Options
from promptfolio.cli.console import console_for
from promptfolio.cli.output import FIGURE_ENDINGS, write_picture
from promptfolio.cli.targets import require_targets
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

_ALL = "all"


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw results of simulate, mixing, sweep or clip, with the theory's prediction where there is one.

    Labels, units and the caption, which is printed and stored in the picture, come from the files.
    """

    files: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE …")]
    """Files with results; or a folder of them; or the specification of a sweep (TOML) and its folder. Several
    results are joined: fields in which they differ become axes."""
    out: str
    """The picture; its ending says whether it is PDF, PNG or SVG. Several kinds have their names before it."""
    kind: tuple[str, ...] = ()
    """What to draw: learning, coefficients, performance, noise, mixing, optimum, agreement, heat_map, local_steps,
    client_theta; all for everything that the files can give. By default what shows them best."""
    at: tuple[str, ...] = ()
    """Parts to draw, as FIELD=VALUE: step=50, theta=0.3, client=0, clients=8, say."""
    picture: Options = dataclasses.field(default_factory=Options)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        require_figure("out", self.out)
        chosen = _chosen_values(self.at)
        inputs = [path for path in self.files if not os.path.isdir(path)]
        if not self.files:
            raise ConfigurationError("files", self.files, "at least one file with a result")
        require_targets({"out": self.out}, inputs={"file": inputs})
        from promptfolio.plotting.sources import read_material

        data = read_material(self.files)
        draw_to(self.out, data, self.kind, chosen, self.picture, inputs)
        return 0


def require_figure(option: str, path: str | None) -> None:
    """Refuse a picture in a format that is not known by its ending.

    Raises:
        ConfigurationError: naming the option, the path and the endings.
    """
    if path is not None and pathlib.Path(path).suffix.lower() not in FIGURE_ENDINGS:
        raise ConfigurationError(option, path, f"a path that ends in {', '.join(FIGURE_ENDINGS)}")


def draw_to(
    path: str,
    data: "xr.Dataset",
    kinds: Sequence[str] = (),
    at: Mapping[str, str] | None = None,
    options: Options | None = None,
    inputs: Sequence[str] = (),
    *,
    console: "Console | None" = None,
) -> None:
    """Draw a dataset into files, and print their captions.

    Args:
        path: of the picture; of several kinds, each has its name before the ending.
        data: as `promptfolio.plotting` makes it ready.
        kinds: to draw; none for the one that shows the data best, "all" for those that they can give.
        at: values of fields to select.
        options: size, axes and style.
        inputs: files that were read.
        console: to print on; standard output by default.

    Raises:
        ConfigurationError: naming the kind or option that does not fit the data.
    """
    from figures.pictures import choose_kind, draw_pictures, possible_kinds
    from figures.values import select

    console = console or console_for(None)
    with _refusing():
        data = select(data, at or {})
        possible = [name for name, lacking in possible_kinds(data).items() if not lacking]
        names = list(possible if tuple(kinds) == (_ALL,) else dict.fromkeys(kinds)) or [choose_kind(data)]
        files = {name: _file(path, name, len(names) > 1) for name in names}
        require_targets({"figure": files.values()}, inputs={"file": inputs})
        for name, picture in zip(names, draw_pictures(names, data, options), strict=True):
            write_picture(files[name], picture.figure, picture.caption, options)
            console.print(f"{name}: {files[name]}", soft_wrap=True)
            console.print(picture.caption, soft_wrap=True)
    if others := [name for name in possible if name not in names]:
        console.print(f"also possible: --kind {' '.join(others)}", soft_wrap=True)


def _file(path: str, kind: str, several: bool) -> pathlib.Path:
    given = pathlib.Path(path)
    return given.with_name(f"{given.stem}-{kind}{given.suffix}") if several else given


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Context in which what a picture cannot be drawn from is bad input."""
    try:
        yield
    except CannotDrawError as error:
        raise ConfigurationError(error.field, error.value, error.allowed) from None


def _chosen_values(words: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for word in words:
        field, equals, value = word.partition("=")
        if not (field and equals and value) or field in chosen:
            raise ConfigurationError("at", word, "FIELD=VALUE, each field once")
        chosen[field] = value
    return chosen
