"""Claims are found where they lie: the project's in their folder, others by the path of their file."""

import pathlib
import textwrap

import pytest

from promptfolio.checks import claims
from promptfolio.checks.checking import jobs
from promptfolio.checks.claim import Claim
from promptfolio.checks.registry import all_claims, claim_names, load_claim, resolve, tags
from simulate.validation import ConfigurationError

OWN = """\
import xarray as xr
from promptfolio.checks.claim import Claim, Finding, compare

CLAIM = Claim("{name}", "{equation}", "derived", "Own", "One is one.", "exact", {more})

def collect(scale):
    return xr.Dataset({{"one": 1.0}})

def judge(data):
    return Finding(CLAIM, (compare("one", data.one, 1, bound="exact", tolerance=0),))
"""


def own(folder: pathlib.Path, name: str, equation: str = "T7", more: str = "") -> str:
    """A claim that takes no time, in a file of a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(OWN.format(name=name, equation=equation, more=more), encoding="utf-8")
    return str(path)


def test_every_file_is_a_claim_in_the_order_of_its_tags() -> None:
    names = all_claims()
    folder = pathlib.Path(claims.__path__[0])
    assert set(names) == {path.stem for path in folder.glob("[!_]*.py")} == set(claim_names())
    places = [tags(load_claim(name).CLAIM.equation) for name in names]
    assert places == sorted(places)
    assert (names[0], names[-1]) == ("derivations", "any_federation")


def test_jobs_hold_every_claim_once_the_longest_first() -> None:
    names = all_claims()
    found = jobs(names)
    assert sorted(name for together in found for name in together) == sorted(names)
    assert found[0] == ("accuracy",)
    assert {"leading_order", "monotonicity"} in map(set, found)
    costs = [sum(load_claim(name).CLAIM.cost for name in together) for together in found]
    assert costs == sorted(costs, reverse=True)


def test_a_file_joins_the_claims_it_shares_runs_with(tmp_path: pathlib.Path) -> None:
    mine = own(tmp_path, "mine", more='cost=20, together="mixing_sweep"')
    found = jobs(resolve(("sandwich", "monotonicity", mine)))
    assert found == [("monotonicity", str(pathlib.Path(mine).resolve())), ("sandwich",)]


def test_what_is_given_twice_counts_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own(tmp_path, "mine")
    monkeypatch.chdir(tmp_path)
    assert resolve(("sandwich", "mine.py", path, "sandwich")) == (
        "sandwich",
        str(pathlib.Path(path).resolve()),
    )


def test_two_claims_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="the name of one claim"):
        resolve((own(tmp_path / "a", "mine"), own(tmp_path / "b", "mine")))
    with pytest.raises(ConfigurationError, match=r"sandwich\.py.* 'sandwich' is a claim of the project"):
        resolve((own(tmp_path, "sandwich"),))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("CLAIM = (", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "it lacks CLAIM, collect, judge"),
        ("CLAIM = 1\ncollect = judge = len", "not 1"),
        (OWN.format(name="other", equation="T7", more=""), "'mine', not 'other'"),
        (
            OWN.format(name="mine", equation="T7", more='bears_on=("fame",)'),
            "bears_on = 'fame'; allowed: ratio, ",
        ),
        (OWN.format(name="mine", equation="T7", more="cost=0"), "cost = 0"),
    ],
)
def test_a_file_without_a_claim_is_refused_in_one_line(
    tmp_path: pathlib.Path, text: str, complaint: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        resolve((str(path),))
    message = str(refused.value)
    assert message.startswith(f"claim = {str(path)!r} is not allowed: it must be ")
    assert complaint in message
    assert "\n" not in message


def test_a_missing_file_and_an_unknown_name_are_refused(tmp_path: pathlib.Path) -> None:
    for reference in (str(tmp_path / "none.py"), str(tmp_path)):
        with pytest.raises(ConfigurationError, match="claim ="):
            resolve((reference,))
    with pytest.raises(ConfigurationError, match=r"one of .*accuracy"):
        resolve(("acuracy",))


def test_tags_of_any_kind() -> None:
    assert tags("T1 to T29") == (1, 29)
    assert tags("none") > tags("T29")
    with pytest.raises(ValueError, match="cost"):
        Claim("x", "T1", "derived", "X", "X.", "exact", cost=-1)
