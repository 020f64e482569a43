"""Options that several commands share."""

import pathlib

import pytest

import promptfolio


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
