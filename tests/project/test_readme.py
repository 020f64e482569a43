"""The README's example runs as printed, and prints what the README says; what documents point to is there."""

import contextlib
import io
import re

import pytest

from tests.support import ROOT


def test_example_prints_what_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (claimed,) = re.findall(r"It prints `(.*?)`", text)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    assert printed.getvalue().strip() == claimed


DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks", ROOT / "benchmarks" / "gpu")
    for path in folder.glob("*.md")
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_linked_files_exist(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_named_files_exist(document: str) -> None:
    """Files of the packages, written `package/folder/file.py` in the running text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"`((?:promptfolio|theory|simulate|figures|tests)/[\w/.]*)`", text):
        assert (ROOT / target).exists(), target
