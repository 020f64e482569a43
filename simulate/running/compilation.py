"""Compiled programs that outlive a process: where they are kept, and how JAX is told.

A program is found by a digest of its content (`simulate.running.kept_programs`), never by the name of what it was
compiled from: code that has changed, or has a fault planted in it, asks for another program, and can neither be
given the old one nor leave its own to be taken for it. What is loaded is the very code that was compiled, so that
numbers are the same to the last bit.
"""

import functools
import hashlib
import os
import pathlib
import platform
import sys

from simulate.results.provenance import processor_name
from simulate.running.kept_programs import KeptPrograms
from simulate.running.parallel import processor_cores

VARIABLE = "PROMPTFOLIO_COMPILATION_CACHE"
"""Environment variable with the folder of kept programs, for a process and those that it starts; empty for none."""
JAX_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""JAX's own variable for the same, which is left to JAX."""

_LEAST_SECONDS = 0.1


def cache_settings(folder: str | os.PathLike[str]) -> dict[str, str | float | int]:
    """Settings of JAX under which it keeps compiled programs in a folder of its own kind, for a short while.

    Each takes a few dozen kilobytes; programs that compile in less than a tenth of a second are not kept.
    """
    return {
        "jax_compilation_cache_dir": os.path.abspath(folder),
        "jax_persistent_cache_min_compile_time_secs": _LEAST_SECONDS,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }


def default_folder() -> pathlib.Path | None:
    """The folder for compiled programs among the user's caches; None where it cannot be had, or is not private.

    That is promptfolio/compiled in ``XDG_CACHE_HOME``, or else in ~/.cache (on macOS ~/Library/Caches). Programs
    are run, so a folder is not used that belongs to somebody else or that others may write to.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the specification has it
        base = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    if not os.path.isabs(base):
        return None
    folder = pathlib.Path(base, "promptfolio", "compiled")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError:
        return None
    mine = not hasattr(os, "geteuid") or about.st_uid == os.geteuid()
    return folder if mine and not about.st_mode & 0o022 else None


def keep_compiled(folder: str | os.PathLike[str] | None) -> None:
    """Keep compiled programs in a folder, for this process and those that it starts from now on.

    Args:
        folder: None keeps none, and has none used that were kept before.
    """
    os.environ[VARIABLE] = "" if folder is None else os.path.abspath(folder)
    if folder is None:
        os.environ.pop(JAX_VARIABLE, None)
    if "jax" in sys.modules:
        import jax

        if folder is None:
            jax.config.update("jax_compilation_cache_dir", None)
        _tell_jax()


def follow_environment() -> None:
    """Keep compiled programs where `VARIABLE` says; called when what compiles is imported."""
    if os.environ.get(VARIABLE):
        _tell_jax()


def _tell_jax() -> None:
    """Have JAX ask `KeptPrograms`; a JAX that has no place to put them into goes without."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    try:
        from jax._src import compilation_cache as store
    except ImportError:
        return
    compilation_cache.reset_cache()
    folder = os.environ.get(VARIABLE)
    if not folder or not hasattr(store, "_cache"):
        return
    # JAX takes another store only from its own module; its setting for a folder would bring its own kind.
    store._cache = KeptPrograms(folder, _machine())  # type: ignore[assignment]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@functools.cache
def _machine() -> str:
    """A name for what programs are compiled for beyond their key: this processor, and how many cores of it."""
    features = ""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                features = line
                break
    except (OSError, UnicodeDecodeError):
        pass
    cores = (processor_cores(), os.environ.get("NPROC", ""))
    named = repr((platform.machine(), processor_name(), features, cores))
    return hashlib.sha256(named.encode()).hexdigest()[:16]
