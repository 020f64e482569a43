"""Text files that commands are given are read whole, or refused in one line."""

import os
import pathlib

import pytest

from promptfolio.documents import read_document
from simulate.validation import ConfigurationError


def test_a_text_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.md").write_text("θ", encoding="utf-8")
    assert read_document("report", tmp_path / "a.md", "a report") == "θ"


def test_what_is_no_text_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "large").write_text("abc")
    os.mkfifo(tmp_path / "pipe")
    refusals = {"bytes": "no UTF-8", "large": "at most 0 MiB", "pipe": "regular file", "": "regular file"}
    refusals |= {"none": "No such file", "\0": "null", "x" * 300: "too long"}
    for name, said in refusals.items():
        with pytest.raises(ConfigurationError, match=f"report = .*{said}"):
            read_document("report", tmp_path / name, "a report", most_bytes=2)
