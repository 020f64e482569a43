"""Options that several commands share."""

import pathlib

import pytest

import promptfolio
from promptfolio.cli.application import run_command


def test_a_folder_of_programs_that_everybody_may_write_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "compiled"
    folder.mkdir()
    folder.chmod(0o777)
    assert promptfolio.main(["simulate", "--noise-dim", "30", "--compilation-cache", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "not every user can write to" in said
    assert said.count("\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", ["2\r3", "2\n3", "2\x0b3", "2\u20283", "\x1b[2K"])
def test_a_refusal_names_the_flag_whatever_characters_the_value_has(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command(["mixing", "--schemes", "joint", value])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--schemes" in line
    assert value.encode("unicode_escape").decode() in line
