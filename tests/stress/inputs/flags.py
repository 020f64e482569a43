"""Every flag of every command with a value of the wrong kind, and words that are no flags at all."""

import functools
import random
from typing import get_args

from tests.stress.case import Case, Materials
from tests.stress.inputs import commands, values
from tests.stress.inputs.commands import Flag

_MAY_BE_NEGATIVE = ("activation_parameter", "x_limits", "y_limits")
_MAY_BE_HUGE = ("seed", "partition_seed", "prompt_dim", "workers")
_FREE = ("optimizer_options",)
_SHARE_OF_ACCEPTABLE = 0.25
"""Of drawn values that need not be refused: most of these train something, which takes seconds."""


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad flag."""
    if rng.random() < 0.06:
        return _no_flag(rng, materials)
    flag = rng.choice(_flags())
    for _ in range(100):
        case = _with_value(rng, flag, materials)
        if case.must or (flag.command not in commands.SLOW and rng.random() < _SHARE_OF_ACCEPTABLE):
            return case
    raise AssertionError(f"no bad value for {flag.word}")


@functools.cache
def _flags() -> tuple[Flag, ...]:
    return tuple(flag for flag in commands.flags() if not flag.is_path)


def _with_value(rng: random.Random, flag: Flag, materials: Materials) -> Case:
    kind, given, must = _value(rng, flag)
    words = commands.without(commands.TINY[flag.command], flag)
    if flag.positional:
        words = (*given, *words)
    elif len(given) == 1 and (rng.random() < 0.4 or given[0].startswith("-")):
        words = (*words, f"{flag.word}={given[0]}")
    else:
        words = (*words, flag.word, *given)
    fields = flag.names
    if flag.command == "figures":
        fields = (*fields, "data")  # there are none
    if flag.field == "bank":
        fields = (*fields, ".npz")
    if flag.command == "clip":
        fields = (*fields, "min_rows")  # of which each client's images may be too few
    if flag.type is bool or "--" in given:
        # What follows a switch, or the end of all options, is what is too much.
        fields = (*fields, "Unrecognized")
    return Case(
        flag.command,
        kind,
        (flag.command, *words),
        fields,
        must,
        commands.files_for(flag.command, materials),
    )


def _value(rng: random.Random, flag: Flag) -> tuple[str, tuple[str, ...], bool]:
    """What is wrong, the words, and whether they have to be refused."""
    if flag.type is bool:
        word = rng.choice(["maybe", "1", "", "nan", "[x]", "\udcff", "x" * 999, "True"])
        return "value for a switch", (word,), True
    if commands.is_pair(flag.type):
        return _pairs(rng)
    value = _single(rng, flag)
    if not flag.several:
        return value.kind, (value.word,), value.must
    shape = rng.random()
    if shape < 0.6 or is_text(flag):
        return value.kind, (value.word,), value.must
    good = {int: "1", float: "0.5"}.get(flag.type) or rng.choice(get_args(flag.type))
    if shape < 0.9:
        listed = [good] * rng.randint(1, 3) + [value.word]
        rng.shuffle(listed)
        return f"{value.kind} in a list", tuple(listed), value.must
    if shape < 0.95:
        return "empty list", (), False
    return "one list as a word", (f"{good},{good}",), True


def is_text(flag: Flag) -> bool:
    """Whether the flag takes names."""
    return flag.type is str


def _single(rng: random.Random, flag: Flag) -> values.Value:
    if commands.is_choice(flag.type):
        return values.choice(rng, get_args(flag.type))
    if flag.type is int:
        value = values.integer(rng)
        negative = value.word.startswith("-")
        huge = value.kind in ("huge", "400 digits") and not negative
        if flag.field in ("workers", "threads") and not value.must:
            return values.Value("zero", "0", flag.field == "threads")  # more would start processes
        free = flag.field in _MAY_BE_HUGE or (flag.command, flag.field) == ("mixing", "noise_dim")
        return value._replace(must=value.must and not (huge and free))
    if flag.type is float:
        value = values.number(rng)
        free = value.kind == "negative" and flag.field in _MAY_BE_NEGATIVE
        return value._replace(must=value.must and not free)
    return values.name(rng)


def _pairs(rng: random.Random) -> tuple[str, tuple[str, ...], bool]:
    bad = values.number(rng)
    return rng.choice(
        [
            ("unknown option", (rng.choice(["nothing", "Ω", "[x]", "\udcff", "lr"]), "0.5"), True),
            ("option without a number", ("momentum",), True),
            ("repeated option", ("momentum", "0.1", "momentum", "0.2"), False),
            (bad.kind, ("momentum", bad.word), bad.must and bad.kind != "negative"),
        ]
    )


def _no_flag(rng: random.Random, materials: Materials) -> Case:
    """Words that no command knows."""
    command = rng.choice(list(commands.TINY))
    tiny = commands.TINY[command]
    junk = rng.choice(["--colour", "--Seed", "---", "--no", "-q", "--seed-", "--[x]", "--\udcff", "--é", "-"])
    value = values.name(rng).word
    kind, words = rng.choice(
        [
            ("unknown flag", (command, *tiny, f"{junk}={value}"[: values.LONG])),
            ("unknown word", (command, *tiny, value)),
            ("unknown command", (value, *tiny)),
            ("no command", ()),
            ("two commands", (command, rng.choice(list(commands.TINY)), *tiny)),
            ("flag without a value", (command, *tiny, "--json")),
            ("flag before the command", ("--seed", "1", command, *tiny)),
        ]
    )
    if kind == "flag without a value" and command in ("derive", "figures", "plot"):
        kind, words = "unknown word", (command, *tiny, value)
    return Case(command, kind, words, ("",), True, commands.files_for(command, materials))
