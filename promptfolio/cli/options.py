"""Options of commands that train."""

import dataclasses
import os
import stat
from typing import TYPE_CHECKING, Annotated

import tyro

from promptfolio.cli.targets import require_targets
from simulate.validation import ConfigurationError, require_number

if TYPE_CHECKING:
    from simulate.experiment import Experiment

LARGE_FIELDS = "clients, samples, noise_dim, theta, record or replicates"
"""Fields of an experiment that its memory depends on, for messages."""


@dataclasses.dataclass(frozen=True)
class Compilation:
    """Where compiled programs are kept between commands."""

    compilation_cache: str | None = None
    """Folder in which compiled programs are kept, so that later runs of the same shapes need not compile. Default:
    promptfolio/compiled in the user's cache folder, XDG_CACHE_HOME."""
    no_compilation_cache: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Keep no compiled programs, and use none that are kept."""

    def apply(self) -> None:
        """Turn the cache on, or off; call it before anything is compiled.

        Without a flag the environment decides, where it names a folder: this toolkit's variable or JAX's own.
        Otherwise programs are kept for the user, and a folder that cannot be had is no error.

        Raises:
            ConfigurationError: when the folder cannot be written, or everybody may write to it; or both flags are
                given.
        """
        from simulate.running import compilation

        if self.compilation_cache is not None:
            if self.no_compilation_cache:
                raise ConfigurationError(
                    "compilation_cache", self.compilation_cache, "left out with no_compilation_cache"
                )
            require_targets(folders={"compilation_cache": self.compilation_cache})
            _require_private("compilation_cache", self.compilation_cache)
            compilation.keep_compiled(self.compilation_cache)
        elif self.no_compilation_cache:
            compilation.keep_compiled(None)
        elif compilation.VARIABLE not in os.environ and compilation.JAX_VARIABLE not in os.environ:
            folder = compilation.default_folder()
            if folder is not None:
                compilation.keep_compiled(folder)


def _require_private(field: str, folder: str) -> None:
    """Refuse a folder of programs that will be run if everybody may put programs there."""
    try:
        mode = os.stat(folder).st_mode
    except FileNotFoundError:
        os.makedirs(folder, mode=0o700)
        return
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            field,
            folder,
            "a folder that not every user can write to, since what lies in it is run (chmod o-w)",
        )


@dataclasses.dataclass(frozen=True)
class Resources(Compilation):
    """Resources that a simulation may use."""

    memory: float | None = None
    """GiB for the arrays of all batches that run at a time. Default: 1, or half of an accelerator's memory;
    more if the smallest batch needs it."""
    force: bool = False
    """Start even what is estimated to need more memory or disk than there is."""

    def apply(self) -> None:
        """Check the budget, and turn the cache on or off.

        Raises:
            ConfigurationError: when the budget is not positive, or the folder cannot be written.
        """
        if self.memory is not None:
            require_number("memory", self.memory, above=0)
        super().apply()

    def check(self, *experiments: "Experiment") -> None:
        """Refuse runs that would not fit this machine's memory, and say how long they will take if that is long.

        Args:
            experiments: runs, one after the other, whose results are kept one at a time.

        Raises:
            ConfigurationError: with the estimate of the first that does not fit.
        """
        from promptfolio.cli.cost import announce, require_memory
        from simulate.running.cost import cost_of

        costs = [cost_of(experiment, self.memory) for experiment in experiments]
        for cost in costs:
            require_memory(cost.memory, self.force, LARGE_FIELDS)
        announce(sum(cost.seconds for cost in costs))
