"""Flags that version 0.1.0 had under other names; they go on working, and help shows the present ones."""

from collections.abc import Sequence

from simulate.former_names import FIELDS

_FLAGS = {
    **{f"--{old.replace('_', '-')}": f"--{new.replace('_', '-')}" for old, new in FIELDS.items()},
    "--protocols": "--schemes",
    "--alignment": "--group-size",
}


def with_present_flags(arguments: Sequence[str]) -> list[str]:
    """The words of a command line with every former flag replaced, whether its value follows or is attached.

    Example:
        >>> with_present_flags(["simulate", "--protocol", "joint", "--global_signal=2", "--out", "protocol"])
        ['simulate', '--scheme', 'joint', '--global-feature-sq=2', '--out', 'protocol']
    """
    return [_present(word) for word in arguments]


def _present(word: str) -> str:
    flag, attached, value = word.partition("=")
    return _FLAGS.get(flag.replace("_", "-"), flag) + attached + value
