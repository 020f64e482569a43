"""Options of commands that train."""

import dataclasses
from typing import TYPE_CHECKING

from promptfolio.cli.targets import require_targets
from simulate.validation import require_number

if TYPE_CHECKING:
    from simulate.experiment import Experiment

LARGE_FIELDS = "clients, samples, noise_dim, theta, record or replicates"
"""Fields of an experiment that its memory depends on, for messages."""


@dataclasses.dataclass(frozen=True)
class Compilation:
    """Where compiled programs are kept between commands."""

    compilation_cache: str | None = None
    """Folder in which compiled programs are kept, so that later runs of the same shapes need not compile."""

    def apply(self) -> None:
        """Turn the cache on; call it before anything is compiled.

        Raises:
            ConfigurationError: when the folder cannot be written.
        """
        if self.compilation_cache is not None:
            from simulate.running.compilation import keep_compiled

            require_targets(folders={"compilation_cache": self.compilation_cache})
            keep_compiled(self.compilation_cache)


@dataclasses.dataclass(frozen=True)
class Resources(Compilation):
    """Resources that a simulation may use."""

    memory: float | None = None
    """GiB for the arrays of all batches that run at a time. Default: 1, or half of an accelerator's memory;
    more if the smallest batch needs it."""
    force: bool = False
    """Start even what is estimated to need more memory or disk than there is."""

    def apply(self) -> None:
        """Check the budget, and turn the cache on.

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
