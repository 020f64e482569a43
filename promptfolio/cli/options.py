"""Options of commands that train."""

import dataclasses

from promptfolio.cli.output import require_writable_folder
from simulate.validation import require_number


@dataclasses.dataclass(frozen=True)
class Compilation:
    """Whether compiled programs outlive a command."""

    compilation_cache: str | None = None
    """Folder that keeps compiled programs: later runs of the same shapes then start at once."""

    def apply(self) -> None:
        """Switch the cache on, before anything is compiled.

        Raises:
            ConfigurationError: when the folder cannot be written.
        """
        if self.compilation_cache is not None:
            from simulate.running.compilation import keep_compiled

            require_writable_folder("compilation_cache", self.compilation_cache)
            keep_compiled(self.compilation_cache)


@dataclasses.dataclass(frozen=True)
class Resources(Compilation):
    """What a simulation may use as well."""

    memory: float | None = None
    """GiB for the arrays of what runs at a time; 1 unless given, half of an accelerator's, or the least needed."""

    def apply(self) -> None:
        """Check the budget too.

        Raises:
            ConfigurationError: when the budget is not positive, or the folder cannot be written.
        """
        if self.memory is not None:
            require_number("memory", self.memory, above=0)
        super().apply()
