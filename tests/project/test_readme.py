"""The README's example runs as printed, and prints what the README says."""

import contextlib
import io
import re

from tests.support import ROOT


def test_example_prints_what_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (claimed,) = re.findall(r"It prints `(.*?)`", text)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    assert printed.getvalue().strip() == claimed


def test_linked_files_exist() -> None:
    for document in ("README.md", "paper_checks.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target
