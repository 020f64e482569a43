"""The work of a study, counted by hand, and how it follows every size that it depends on."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from promptfolio.cli import clip
from promptfolio.cli.clip import Clip
from promptfolio.companion import ClipStudy, draw_synthetic_bank, run_study
from promptfolio.companion.cost import study_seconds, study_work
from promptfolio.companion.labels import study_name
from promptfolio.companion.study import possible_names

BANK = draw_synthetic_bank(classes=4, dim=16, train_per_class=10, test_per_class=20)
STUDY = ClipStudy(
    clients=3, rounds=6, record=(2, 6), local_steps=2, replicates=2, theta_step=0.25, trained_theta=(0.5, 1.0)
)


@pytest.mark.parametrize(
    ("scheme", "products", "prompts", "curves"),
    [
        # 12 steps of 4 products with 40 images; at 2 records, 2 + 3 prompts on 80 images.
        ("posthoc", 64 * (12 * 4 * 40 + 2 * 5 * 80), 64 * 12 * 3, 2 * 5 * 80 * 4),
        # Two trained θ; a loss of one mixture, and both prompts on 80 images.
        ("joint", 2 * 64 * (12 * 2 * 40 + 2 * 2 * 80), 2 * 64 * 12 * 3, 2 * 2 * 80 * 4),
        ("detached", 2 * 64 * (12 * 4 * 40 + 2 * 2 * 80), 2 * 64 * 12 * 3, 2 * 2 * 80 * 4),
    ],
)
def test_work_is_what_a_count_by_hand_gives(scheme: Any, products: int, prompts: int, curves: int) -> None:
    assert study_work(STUDY.replace(schemes=(scheme,)), BANK) == (2 * products, 2 * prompts, 2 * curves)


def test_images_of_a_validation_split_are_held_out_too() -> None:
    split = BANK.split.copy()
    split[np.flatnonzero(split == BANK.split_names.index("test"))[::4]] = 2
    bank = dataclasses.replace(BANK, split=split, split_names=("train", "test", "val"))
    assert study_work(STUDY, bank) == study_work(STUDY, BANK)


def test_the_work_of_schemes_adds_up() -> None:
    parts = [study_work(STUDY.replace(schemes=(scheme,)), BANK) for scheme in STUDY.schemes]
    assert study_work(STUDY, BANK) == tuple(np.sum(parts, axis=0))


@pytest.mark.parametrize(
    ("changes", "grows"),
    [
        ({"clients": 6}, (True, True, False)),
        ({"rounds": 60, "record": (2, 60)}, (True, True, False)),
        ({"local_steps": 4}, (True, True, False)),
        ({"record": (1, 2, 6)}, (True, False, True)),
        ({"theta_step": 0.05}, (False, False, True)),
        ({"trained_theta": (0.25, 0.5, 1.0)}, (True, True, True)),
        ({"replicates": 3}, (True, True, True)),
    ],
)
def test_work_follows_the_sizes_of_a_study(changes: dict[str, Any], grows: tuple[bool, ...]) -> None:
    before, after = study_work(STUDY, BANK), study_work(STUDY.replace(**changes), BANK)
    assert tuple(new > old for old, new in zip(before, after, strict=True)) == grows
    assert study_seconds(STUDY.replace(**changes), BANK) > study_seconds(STUDY, BANK) > 0


@pytest.mark.parametrize("changes", [{"dim": 32}, {"classes": 8}, {"train_per_class": 99}])
def test_work_follows_the_sizes_of_a_bank(changes: dict[str, int]) -> None:
    sizes: dict[str, Any] = {"classes": 4, "dim": 16, "train_per_class": 10, "test_per_class": 20}
    assert (
        study_work(STUDY, draw_synthetic_bank(**{**sizes, **changes})).products
        > study_work(STUDY, BANK).products
    )


def test_no_size_is_too_large_to_estimate() -> None:
    largest = STUDY.replace(rounds=2**31 - 1, record=(2**31 - 1,), local_steps=2**31 - 1)
    assert math.isfinite(study_seconds(largest, BANK))


@pytest.mark.parametrize("changes", [{}, {"partition_seed": 0}])
def test_a_result_has_one_of_its_possible_names(changes: dict[str, int]) -> None:
    study = STUDY.replace(schemes=("posthoc",), min_rows=1, **changes)
    names = possible_names(study, BANK)
    assert len(set(names)) == 2
    assert study_name(run_study(study, BANK).attrs) == names[0 if changes else 1]


def test_the_command_announces_a_long_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Started(Exception):
        pass

    def start(*_: object) -> None:
        raise Started

    monkeypatch.setattr(clip, "tracking", start)
    for rounds, long in ((1, False), (2**31 - 1, True)):
        with pytest.raises(Started):
            Clip(STUDY.replace(rounds=rounds, record=(rounds,))).execute()
        assert ("this will take roughly" in capsys.readouterr().err) == long
