"""Options of commands that train."""

import dataclasses
import os
import stat

from promptfolio.cli.targets import require_targets
from simulate.validation import ConfigurationError, require_number


@dataclasses.dataclass(frozen=True)
class Compilation:
    """Where compiled programs are kept between commands."""

    compilation_cache: str | None = None
    """Folder in which compiled programs are kept, so that later runs of the same shapes need not compile."""

    def apply(self) -> None:
        """Turn the cache on; call it before anything is compiled.

        Raises:
            ConfigurationError: when the folder cannot be written, or everybody may write to it.
        """
        if self.compilation_cache is not None:
            from simulate.running.compilation import keep_compiled

            require_targets(folders={"compilation_cache": self.compilation_cache})
            _require_private("compilation_cache", self.compilation_cache)
            keep_compiled(self.compilation_cache)


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

    def apply(self) -> None:
        """Check the budget, and turn the cache on.

        Raises:
            ConfigurationError: when the budget is not positive, or the folder cannot be written.
        """
        if self.memory is not None:
            require_number("memory", self.memory, above=0)
        super().apply()
