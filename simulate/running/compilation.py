"""Compiled programs that outlive a process: JAX's persistent cache, set so that it keeps small programs too."""

import os
import sys

LEAST_SECONDS = 0.1
"""Programs that compile faster are not kept; most take less than the second that JAX would ask for."""


def cache_settings(folder: str | os.PathLike[str]) -> dict[str, str | float | int]:
    """Settings of JAX under which it keeps compiled programs in a folder.

    Programs are identified by their content, so a program is compiled anew when it has changed, and only then. Each
    takes a few dozen kilobytes.
    """
    return {
        "jax_compilation_cache_dir": os.path.abspath(folder),
        "jax_persistent_cache_min_compile_time_secs": LEAST_SECONDS,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }


def cache_environment(folder: str | os.PathLike[str]) -> dict[str, str]:
    """The same as environment variables, for processes that are started with them.

    Example:
        >>> cache_environment("/var/cache/promptfolio")["JAX_COMPILATION_CACHE_DIR"]
        '/var/cache/promptfolio'
    """
    return {name.upper(): str(value) for name, value in cache_settings(folder).items()}


def keep_compiled(folder: str | os.PathLike[str]) -> None:
    """Keep compiled programs in a folder, for this process and those that it starts from now on."""
    os.environ.update(cache_environment(folder))
    if "jax" in sys.modules:  # JAX reads its environment when it is imported
        import jax

        for name, value in cache_settings(folder).items():
            jax.config.update(name, value)
