"""Refuse, before any work, output that would replace something else, or that cannot be written."""

import os
import pathlib
import stat
import unicodedata
from collections.abc import Iterable, Mapping

from promptfolio.cli.output import STANDARD_OUTPUT
from simulate.validation import ConfigurationError

Path = str | os.PathLike[str]
Paths = Path | None | Iterable[Path]
"""One path, none, or several."""


def require_targets(
    files: Mapping[str, Paths] | None = None,
    *,
    folders: Mapping[str, Path | None] | None = None,
    inputs: Mapping[str, Paths] | None = None,
) -> None:
    """Refuse what a command is told to write, unless each of it is a place of its own that can be written.

    A file must not exist yet, or be a regular one that may be written: not a symbolic link, whose place the new
    file would take, nor a device or a pipe. No two of them may be the same, and none may be one of the inputs: not
    under another spelling of the path either, through links, or but for upper and lower case, which some file
    systems do not tell apart. Nothing is created.

    Args:
        files: by option, the files that the command writes, those in its folders included; ``-`` is standard
            output.
        folders: by option, the folders that it writes into.
        inputs: by option, the files that it reads.

    Raises:
        ConfigurationError: naming the option, the path and what is allowed.
    """
    taken: dict[object, str] = {}
    for field, folder in _each(folders):
        _require_folder(field, folder, folder)
        taken[_place(folder)] = f"the folder of {field}"
    for field, path in _each(inputs):
        taken |= dict.fromkeys(_identities(path), f"{path} ({field}), which is read")
    written = [(field, path) for field, path in _each(files) if path != STANDARD_OUTPUT]
    for field, path in written:
        _require_file(field, path)
        for identity in _identities(path):
            if identity in taken:
                raise ConfigurationError(field, str(path), f"another path than {taken[identity]}")
        taken |= dict.fromkeys(_identities(path), f"{path} ({field}), which is written")
    _refuse_files_as_folders(written, _each(folders))


def _each(paths: Mapping[str, Paths] | None) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for field, given in (paths or {}).items():
        if isinstance(given, str | os.PathLike):
            found.append((field, given))
        else:
            found += [(field, path) for path in given or ()]
    return found


def _place(path: Path) -> str:
    """A key that is equal for paths that may lead to the same place."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _identities(path: Path) -> list[object]:
    """Keys of which two paths share one if they may lead to the same file, or do so already."""
    try:
        place = _place(path)
        status = os.stat(path)
    except ValueError:  # a null character, which whoever reads the file complains about
        return []
    except OSError:
        return [place]
    return [place, (status.st_dev, status.st_ino)]


def _require_file(field: str, path: Path) -> None:
    _require_path(field, path)
    _require_folder(field, pathlib.Path(path).parent, path)
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        if str(path).endswith(("/", os.sep)):
            raise ConfigurationError(
                field, str(path), "a file's path, and this ends like a folder's"
            ) from None
        return
    except OSError as error:
        raise ConfigurationError(field, str(path), f"a path that can be written ({error.strerror})") from None
    if stat.S_ISLNK(status.st_mode):
        raise ConfigurationError(
            field, str(path), f"the file itself, and this is a symbolic link to {os.readlink(path)}"
        )
    if stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(field, str(path), "a file's path, and this is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(
            field, str(path), "a regular file, or - for standard output where the option has that"
        )
    # Whoever may do everything (root) is not told so by `access`.
    if not os.access(path, os.W_OK) or not status.st_mode & 0o222:
        raise ConfigurationError(field, str(path), "a file that may be written, and this one is read-only")


def _require_folder(field: str, folder: Path, given: Path) -> None:
    """Refuse a folder that can neither be written nor made, in the name of the path that was given."""
    _require_path(field, given)
    nearest = pathlib.Path(folder)
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError(field, str(given), f"in a folder that can be written ({nearest} cannot)")
    longest = _longest_name(nearest)
    for name in pathlib.Path(given).parts:
        if len(os.fsencode(name)) > longest:
            raise ConfigurationError(field, str(given), f"of names of at most {longest} bytes")


def _longest_name(folder: pathlib.Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return 255


def _require_path(field: str, path: Path) -> None:
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ConfigurationError(field, text, "a path, which is not empty and has no null character")
    try:
        os.fsencode(text)
        os.path.lexists(text)
        os.lstat(text)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(field, text, f"a path that can be written ({reason})") from None


def _refuse_files_as_folders(written: list[tuple[str, Path]], folders: list[tuple[str, Path]]) -> None:
    """Refuse a file in whose place there must be a folder for another one."""
    places = {_place(path): (field, path) for field, path in written}
    for _, other in [*written, *folders]:
        for parent in map(str, pathlib.PurePath(_place(other)).parents):
            if parent in places:
                field, path = places[parent]
                raise ConfigurationError(field, str(path), f"no folder of another output ({other})")
