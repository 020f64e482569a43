"""Flags of version 0.1.0 still work."""

from typing import Any

import pytest

from promptfolio.cli.application import _parse
from promptfolio.cli.mixing import Mixing
from promptfolio.cli.simulate import Simulate


def test_simulate() -> None:
    words = "simulate --protocol posthoc --global-signal 2 --local_signal=3 --noise-feature=0.5 --prior-feature 0.1"
    command = _parse(words.split())
    assert isinstance(command, Simulate)
    experiment = command.experiment
    assert (experiment.scheme, experiment.global_feature_sq, experiment.local_feature_sq) == ("posthoc", 2, 3)
    assert (experiment.noise_feature_sq, experiment.prior_feature_sq) == (0.5, 0.1)


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--alignment 1 2", "group_size", (1, 2)),
        ("--protocols joint", "schemes", ("joint",)),
        ("--noise-feature 2", "noise_feature_sq", 2.0),
        ("--schemes joint --group-size 2", "group_size", (2,)),
    ],
)
def test_mixing(words: str, field: str, value: Any) -> None:
    command = _parse(["mixing", *words.split()])
    assert isinstance(command, Mixing)
    assert getattr(command, field) == value


def test_words_that_are_no_flags_stay(capsys: pytest.CaptureFixture[str]) -> None:
    command = _parse(["simulate", "--out", "protocol"])
    assert isinstance(command, Simulate)
    assert command.out == "protocol"
    with pytest.raises(SystemExit):
        _parse(["simulate", "--protocole", "joint"])
    assert "--protocole" in capsys.readouterr().err
