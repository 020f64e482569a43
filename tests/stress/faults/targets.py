"""Commands that faults are caused in, and what each gives when nothing disturbs it."""

import dataclasses
import pathlib
import time
from typing import Any

from tests.stress.contents import contents
from tests.stress.inputs.specifications import toml
from tests.stress.processes import Site, Steps

_SPECIFICATION = toml(
    {
        "experiment": {"clients": 3, "samples": 6, "noise_dim": 400, "theta": [0, 0.5, 1], "replicates": 2},
        "grid": {"rounds": [5, 40], "seed": [0, 1, 2]},
    }
)
_START = 120.0
"""Seconds that an undisturbed run may take on a busy machine."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A command whose results all go into the folder `results`.

    Attributes:
        name: for the table of counts.
        words: of the command line after the program's name.
        again: words that give the same results, for reruns; those of `words` where it is left out.
        whole: whether it is ever run to its end; otherwise it takes too long.
        workers: whether it has processes of its own.
    """

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    whole: bool = True
    workers: bool = False


def _sweep(workers: int) -> tuple[str, ...]:
    return (
        "sweep",
        "spec.toml",
        "--out",
        "results",
        "--json",
        "results/sweep.json",
        "--workers",
        str(workers),
    )


TARGETS = {
    target.name: target
    for target in (
        Target(
            "simulate",
            (
                *("simulate", "--clients", "3", "--samples", "6", "--noise-dim", "2000", "--rounds", "300"),
                *("--replicates", "2", "--out", "results/run.nc", "--json", "results/run.json"),
            ),
        ),
        Target(
            "mixing",
            (
                *("mixing", "--clients", "2", "4", "--noise-dim", "2000", "--rounds", "1", "20"),
                *("--theta-step", "0.25", "--out", "results", "--json", "results/mixing.json"),
            ),
        ),
        Target("sweep", _sweep(0)),
        Target("sweep with workers", _sweep(2), again=_sweep(0), workers=True),
        Target(
            "clip",
            (
                *("clip", "--clients", "3", "--rounds", "10", "--replicates", "1", "--trained-theta", "0.5"),
                *("--theta-step", "0.25", "--out", "results", "--json", "results/clip.json"),
            ),
        ),
        Target(
            "check",
            (
                *("check", "--quick", "--claims", "aggregation", "sample_sandwich"),
                *("--report", "results/checks.md", "--json", "results/checks.json"),
            ),
            workers=True,
        ),
        Target("reproduce", ("reproduce", "--quick", "--out", "results"), whole=False, workers=True),
    )
}


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a target gives undisturbed.

    Attributes:
        files: content of every result by its path in the folder; empty for a target that is not run to its end.
        seconds: how long it took.
        folder: with the results, to be copied.
    """

    files: dict[str, Any]
    seconds: float
    folder: pathlib.Path


def prepare(site: Site) -> None:
    """Put a target's own input into a site."""
    (site.here / "spec.toml").write_text(_SPECIFICATION, encoding="utf-8")


def measure(target: Target, folder: pathlib.Path) -> Steps:
    """Run a target undisturbed; returns its reference."""
    site = Site(folder, f"reference-{target.name}")
    prepare(site)
    if not target.whole:
        return Reference({}, _LONG_ENOUGH, site.results)
    started = time.monotonic()
    process = site.start(target.words)
    in_time = yield from process.wait(_START)
    if not in_time or process.status != 0:
        raise RuntimeError(f"{target.name} fails undisturbed: exit status {process.status}\n{process.err}")
    return Reference(contents(site.results), time.monotonic() - started, site.results)


_LONG_ENOUGH = 12.0
"""Seconds within which `reproduce --quick` writes its first results."""
