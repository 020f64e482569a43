"""Values that are good one by one, and contradict each other."""

import random
from collections.abc import Callable

from tests.stress.case import Case, Materials
from tests.stress.inputs import commands

Pair = tuple[str, str, dict[str, object], tuple[str, ...]]
"""Command, what is wrong, flags with their values (None for a switch), names of which one is mentioned."""


def draw(rng: random.Random, materials: Materials) -> Case:
    """One contradiction; all have to be refused."""
    command, kind, given, fields = rng.choice(_PAIRS)(rng)
    words = commands.TINY[command]
    declared = {flag.field: flag for flag in commands.flags() if flag.command == command}
    for field, value in given.items():
        flag = declared[field]
        words = commands.without(words, flag)
        if value is None:
            words = (*words, flag.word)
        elif isinstance(value, tuple):
            words = (*words, flag.word, *map(str, value))
        else:
            words = (*words, f"{flag.word}={value}")
    names = tuple(name for field in fields for name in declared[field].names)
    return Case(command, kind, (command, *words), names, True, commands.files_for(command, materials))


def _trained(rng: random.Random) -> str:
    return rng.choice(["simulate", "clip"])


def _record_past_the_end(rng: random.Random) -> Pair:
    rounds = rng.randint(1, 5)
    given: dict[str, object] = {"rounds": rounds, "record": (rounds + rng.randint(1, 10**9),)}
    return _trained(rng), "record after the last round", given, ("record", "rounds")


def _record_unsorted(rng: random.Random) -> Pair:
    first = rng.randint(1, 4)
    record = rng.choice([(first, first), (first, first - 1), (2, 3, 1), (0, 0)])
    return _trained(rng), "record not increasing", {"rounds": 5, "record": record}, ("record",)


def _one_per_client(rng: random.Random) -> Pair:
    clients = rng.randint(2, 5)
    length = rng.choice([each for each in range(2, 8) if each != clients])
    field, entry = rng.choice([("samples", 3), ("groups", 0), ("class_prior", 0.5)])
    return (
        "simulate",
        "one entry per client",
        {"clients": clients, field: (entry,) * length},
        (field, "clients"),
    )


def _gap_in_groups(rng: random.Random) -> Pair:
    clients = rng.randint(2, 5)
    groups = (0,) * (clients - 1) + (rng.randint(2, 10**6),)
    return "simulate", "gap in the groups", {"clients": clients, "groups": groups}, ("groups",)


def _too_large(rng: random.Random) -> Pair:
    field = rng.choice(["theta", "class_prior", "label_noise", "participation"])
    value = rng.choice(["1.0000001", "1.5", "2", "100", "1e300"])
    return "simulate", "above 1", {field: value}, (field,)


def _repeated_theta(rng: random.Random) -> Pair:
    theta = rng.choice([(0.5, 0.5), (0, 0.0), (1, 0.1, 1), ("1e-1", 0.1)])
    return "simulate", "repeated θ", {"theta": theta}, ("theta",)


def _prompt_too_short(rng: random.Random) -> Pair:
    noise_dim = rng.randint(2, 40)
    given: dict[str, object] = {"noise_dim": noise_dim, "prompt_dim": rng.randint(1, noise_dim)}
    return "simulate", "prompt shorter than the rows", given, ("prompt_dim",)


def _engine_that_cannot(rng: random.Random) -> Pair:
    given: dict[str, object] = rng.choice(
        [
            {"engine": "gram", "activation": "tanh"},
            {"engine": "coefficient", "optimizer": "adam"},
            {"engine": "gram", "optimizer": "adam"},
            {"engine": "prompt", "gram": "wishart"},
        ]
    )
    return "simulate", "engine that cannot run it", given, tuple(given)


def _no_divisor(rng: random.Random) -> Pair:
    clients = rng.choice([4, 6, 9, 10])
    size = rng.choice([size for size in range(2, 14) if clients % size])
    return "mixing", "group size divides no client", {"clients": clients, "group_size": size}, ("group_size",)


def _too_few(rng: random.Random) -> Pair:
    field, command = rng.choice([("clients", "mixing"), ("clients", "clip"), ("noise_dim", "mixing")])
    return command, "too few", {field: 1 if field == "clients" else 0}, (field,)


def _rounds_unsorted(rng: random.Random) -> Pair:
    rounds = rng.choice([(2, 1), (1, 1), (0, 1), (3, 2, 1), (0,)])
    return "mixing", "rounds not increasing", {"rounds": rounds}, ("rounds",)


def _uneven_step(rng: random.Random) -> Pair:
    step = rng.choice(["0.3", "0.7", "1.5", "0.99", "2", "0.15"])
    return rng.choice(["mixing", "clip"]), "step does not divide 1", {"theta_step": step}, ("theta_step",)


def _share_outside(rng: random.Random) -> Pair:
    return "mixing", "share above 1", {"local_share": rng.choice(["1.1", "2", "1e9"])}, ("local_share",)


def _schemes_repeated(rng: random.Random) -> Pair:
    schemes = rng.choice([("joint", "joint"), ("posthoc", "joint", "posthoc")])
    return "clip", "repeated scheme", {"schemes": schemes}, ("schemes",)


def _trained_unsorted(rng: random.Random) -> Pair:
    theta = rng.choice([(0.5, 0.1), (0.5, 0.5), (0.1, 1.5), (1, 0)])
    return "clip", "θ not increasing", {"trained_theta": theta}, ("trained_theta",)


def _more_than_the_bank_has(rng: random.Random) -> Pair:
    given: dict[str, object] = rng.choice(
        [
            {"clients": rng.randint(2000, 9000)},
            {"min_rows": rng.randint(2000, 10**6)},
            {"train_split": "test"},
            {"heldout_split": "val", "train_split": "val"},
            {"validation_fraction": rng.choice(["0.95", "1", "5"])},
        ]
    )
    return "clip", "more than the bank has", given, (*given, "heldout_split")


def _sweep_options(rng: random.Random) -> Pair:
    given: dict[str, object] = rng.choice(
        [
            {"workers": 0, "threads": rng.randint(1, 8)},
            {"workers": rng.randint(1, 8), "scheduler": "tcp://127.0.0.1:9"},
            {"workers": -rng.randint(1, 8)},
            {"threads": 0, "workers": 1},
        ]
    )
    return "sweep", "options that exclude each other", given, tuple(given)


def _check_options(rng: random.Random) -> Pair:
    given: dict[str, object] = rng.choice(
        [
            {"record": "r.json"},
            {"mutants": None, "report": "r.md"},
            {"mutants": None, "claims": "mine.py"},
            {"claims": ("aggregation", f"none{rng.randint(0, 999)}")},
        ]
    )
    return "check", "options that exclude each other", given, tuple(given)


def _little_memory(rng: random.Random) -> Pair:
    command = rng.choice(["simulate", "mixing"])
    return command, "too little memory", {"memory": rng.choice(["1e-9", "1e-300", "0", "1e-12"])}, ("memory",)


def _same_file_twice(rng: random.Random) -> Pair:
    command, one, other = rng.choice(
        [
            ("simulate", "out", "json"),
            ("check", "report", "json"),
            ("audit", "out", "json"),
            ("simulate", "json", "out"),
        ]
    )
    path = rng.choice(["same.nc", "deep/same.json", "./x/../same.nc"])
    other_path = rng.choice([path, f"./{path}"])
    return command, "one file for two outputs", {one: path, other: other_path}, (one, other)


_PAIRS: tuple[Callable[[random.Random], Pair], ...] = (
    _record_past_the_end,
    _record_unsorted,
    _one_per_client,
    _gap_in_groups,
    _too_large,
    _repeated_theta,
    _prompt_too_short,
    _engine_that_cannot,
    _no_divisor,
    _too_few,
    _rounds_unsorted,
    _uneven_step,
    _share_outside,
    _schemes_repeated,
    _trained_unsorted,
    _more_than_the_bank_has,
    _sweep_options,
    _check_options,
    _little_memory,
    _same_file_twice,
)
