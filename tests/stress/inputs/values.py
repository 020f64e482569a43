"""Values that do not belong on a command line, by the type of the flag that gets them."""

import random
from typing import NamedTuple


class Value(NamedTuple):
    """One word for a flag.

    Attributes:
        kind: what is wrong with it.
        word: the word itself.
        must: whether every flag of this type has to refuse it.
    """

    kind: str
    word: str
    must: bool


LONG = 20_000


def _unreadable(rng: random.Random) -> list[Value]:
    """What no flag for numbers can read."""
    return [
        Value("wrong type", rng.choice(["abc", "two", "1,5", "1;2", "0,1", "True", "--", "é"]), True),
        Value("empty", rng.choice(["", " ", "\t"]), True),
        Value("brackets", rng.choice(["[1, 2]", "(2)", "{1}", "[2", "2]", "[bold]2[/bold]"]), True),
        Value("unicode", rng.choice(["二", "½", "2️⃣", "１\u200b", "∞", "−1", "\u202e2"]), True),
        Value("surrogate", rng.choice(["\udcff", "2\udc80", "\udce9"]), True),
        Value("control", rng.choice(["\x1b[31m2", "2\x07x", "2\n3", "2\r3", "\x7f2", "\x9b2"]), True),
        Value("very long", rng.choice(["x", "1 ", "é", "["]) * rng.randint(LONG // 2, LONG), True),
        Value("NaN", rng.choice(["nan", "NaN", "-nan", "NAN"]), True),
        Value("infinity", rng.choice(["inf", "-inf", "Infinity", "-Infinity"]), True),
        Value("hexadecimal", rng.choice(["0x2", "0b1", "0o7", "2L", "2j", "1/2"]), True),
    ]


def integer(rng: random.Random) -> Value:
    """A bad word for a whole number that must not be negative."""
    return rng.choice(
        [
            *_unreadable(rng),
            Value("fraction", rng.choice(["1.5", "0.1", "2.", "1e0", "1e3", "1e400"]), True),
            Value("negative", str(-rng.choice([1, 2, rng.randint(3, 10**6), 2**31, 2**63, 10**30])), True),
            Value("huge", str(rng.choice([10**18, 2**63, 2**64, 2**64 + 1, 10**30])), True),
            Value("400 digits", rng.choice(["", "-"]) + str(rng.randint(10**399, 10**400)), True),
            Value("5000 digits", "9" * 5000, True),
            Value("zero", rng.choice(["0", "-0", "00"]), False),
            Value("odd spelling", rng.choice(["٣", "2_0", " 2", "2 ", "+2", "02"]), False),
        ]
    )


def number(rng: random.Random) -> Value:
    """A bad word for a finite number that must not be negative."""
    return rng.choice(
        [
            *_unreadable(rng),
            Value("negative", rng.choice(["-1", "-0.5", "-1e-3", "-1e300", "-1e-320", "-7"]), True),
            Value("infinity", rng.choice(["1e400", "-1e400", "9" * 400, "1e999999999"]), True),
            Value("zero", rng.choice(["0", "-0.0", "0e5", "1e-400"]), False),
            Value("huge", rng.choice(["1e308", "1e155", "1e39", "1e300"]), False),
            Value("tiny", rng.choice(["1e-308", "5e-324", "1e-46", "1e-200"]), False),
            Value("odd spelling", rng.choice(["٣", "1_0", " 1", "+1", ".5", "1."]), False),
        ]
    )


def choice(rng: random.Random, choices: tuple[str, ...]) -> Value:
    """A word that is none of a flag's choices."""
    right = rng.choice(choices)
    changed = [
        right.upper(),
        right + " ",
        right[:-1],
        right + right,
        f"[{right}]",
        f"{right}\n",
        f'"{right}"',
    ]
    wrong = [word for word in changed if word not in choices]
    return rng.choice(
        [*_unreadable(rng), Value("near miss", rng.choice(wrong), True), Value("number", "1", True)]
    )


def name(rng: random.Random) -> Value:
    """A word that names nothing there is: no file, no optimizer, no claim."""
    words = [
        "nothing-there",
        "Ω",
        "a" * 300,
        "\udcff",
        "[red]",
        "..",
        "x\ny",
        "\x1b[31m",
        "-x",
        "🙂",
        "no/such",
    ]
    return rng.choice(
        [
            Value("unknown name", rng.choice(words) + str(rng.randint(0, 10**6)), True),
            Value("very long", "n" * rng.randint(LONG // 2, LONG), True),
            Value("control", rng.choice(["a\nb", "\x1b]0;x\x07", "a\rb", "\x85"]), True),
            Value("surrogate", "\udc80" * rng.randint(1, 9), True),
        ]
    )
