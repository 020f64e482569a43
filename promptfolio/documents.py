"""Read the text files that a command is given."""

import os
import pathlib
import stat

from simulate.validation import ConfigurationError

_MOST_BYTES = 2**26


def read_document(
    field: str, path: str | os.PathLike[str], kind: str, *, most_bytes: int = _MOST_BYTES
) -> str:
    """The text of a file in UTF-8.

    Args:
        field: name of the option that gives the path.
        path: of the file.
        kind: what the file should be, for messages: "a report", say.
        most_bytes: size beyond which it is refused.

    Raises:
        ConfigurationError: when there is no such file, or it is no regular one of that size, or no text.
    """
    file = pathlib.Path(path)
    try:
        # Asked first, since a pipe or a device may never end.
        if not stat.S_ISREG(file.stat().st_mode):
            raise ConfigurationError(field, str(path), f"{kind}: a regular file")
        with file.open("rb") as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ConfigurationError(field, str(path), f"{kind} of at most {most_bytes // 2**20} MiB")
        return content.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"no UTF-8: {error.reason} at byte {error.start}"
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        reason = str(error)  # a path that no file can have
    raise ConfigurationError(field, str(path), f"{kind} that can be read ({reason})")
