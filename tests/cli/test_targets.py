"""Output never replaces something else: each command refuses its targets before any work, in one line."""

import json
import os
import pathlib
import socket
from collections.abc import Callable

import pytest

import promptfolio
from promptfolio.cli.mixing import Mixing
from promptfolio.cli.output import emit_json, write_standard_output, write_text
from promptfolio.cli.targets import require_targets
from simulate import ConfigurationError

SMALL = ("--clients", "2", "--samples", "3", "--noise-dim", "20", "--rounds", "2")


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)  # whose length is limited


def _link(path: pathlib.Path) -> None:
    path.with_name("linked").touch()
    path.symlink_to("linked")


def _read_only(path: pathlib.Path) -> None:
    path.write_text("kept")
    path.chmod(0o444)


OBSTACLES: dict[str, Callable[[pathlib.Path], object]] = {
    "link to a file": _link,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to a device": lambda path: path.symlink_to(os.devnull),
    "pipe": lambda path: os.mkfifo(path),
    "socket": _socket,
    "folder": lambda path: path.mkdir(),
    "read-only file": _read_only,
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_only_regular_files_that_may_be_written_are_replaced(here: pathlib.Path, what: str) -> None:
    OBSTACLES[what](here / "x")
    before = os.lstat("x")
    with pytest.raises(ConfigurationError, match=r"^out = 'x' is not allowed"):
        require_targets({"out": "x"})
    after = os.lstat("x")
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (
        after.st_ino,
        after.st_mode,
        after.st_mtime_ns,
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a\0b",
        "x" * 256,
        "new/" + "x" * 256,
        "/".join(["deep"] * 2000),
        "x/",
        ".",
        "..",
        "/",
        os.devnull,
        "/dev/full",
    ],
)
def test_paths_that_name_no_file_are_refused(here: pathlib.Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^out = ") as caught:
        require_targets({"out": path})
    assert "\n" not in str(caught.value)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["", "a\0b", "x" * 256, "file", "file/deeper", "dangling", "dangling/deeper"]
)
def test_paths_that_name_no_folder_are_refused(here: pathlib.Path, path: str) -> None:
    (here / "file").touch()
    (here / "dangling").symlink_to("nothing")
    with pytest.raises(ConfigurationError, match=r"^out = "):
        require_targets(folders={"out": path})


@pytest.mark.parametrize(
    "other",
    ["run", "./run", "sub/../run", "{here}/run", "link/run", "RUN", "hard", "{here}//run"],
)
@pytest.mark.parametrize("exists", [True, False])
def test_equal_targets_are_refused_however_they_are_spelt(
    here: pathlib.Path, other: str, exists: bool
) -> None:
    (here / "sub").mkdir()
    (here / "link").symlink_to(here)
    if exists or other == "hard":
        (here / "run").touch()
        os.link("run", "hard")
    other = other.format(here=here)
    for files, inputs in (
        ({"out": "run", "json": other}, {}),
        ({"out": other, "json": "run"}, {}),
        ({"out": ["a", "run"], "json": other}, {}),
        ({"out": other}, {"bank": "run"}),
        ({"out": "run"}, {"bank": ("a", other)}),
    ):
        with pytest.raises(ConfigurationError, match=r"another path than"):
            require_targets(files, inputs=inputs)


def test_one_name_in_two_spellings_of_unicode_is_one_target(here: pathlib.Path) -> None:
    composed, decomposed = "r\u00e9sum\u00e9.json", "re\u0301sume\u0301.json"
    with pytest.raises(ConfigurationError, match=r"another path than"):
        require_targets({"out": composed, "json": decomposed})


def test_a_link_to_an_input_is_refused(here: pathlib.Path) -> None:
    (here / "bank").touch()
    (here / "link").symlink_to("bank")
    with pytest.raises(ConfigurationError, match=r"out = 'bank'.*another path than link"):
        require_targets({"out": "bank"}, inputs={"bank": "link"})


def test_a_file_cannot_be_another_ones_folder(here: pathlib.Path) -> None:
    for files, folders in (
        ({"json": "a", "out": "a/b"}, {}),
        ({"json": "a"}, {"out": "a/b"}),
        ({"json": "a"}, {"out": "a"}),
        ({"json": "a/b/c", "out": "A"}, {}),
    ):
        with pytest.raises(ConfigurationError, match=r"^(json|out) = "):
            require_targets(files, folders=folders)


def test_what_is_in_order_is_allowed_and_nothing_is_created(here: pathlib.Path) -> None:
    (here / "old").write_text("replaced")
    require_targets(
        {"out": ["old", pathlib.Path("new/deep/a"), "b" * 255], "json": "-", "report": None},
        folders={"out": "new", "pictures": here, "data": None},
        inputs={"bank": ("c", "d"), "spec": "e", "none": None, "odd": "a\0b"},
    )
    require_targets()
    assert [path.name for path in here.iterdir()] == ["old"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", *SMALL, "--out", "x", "--json", "x"),
        ("simulate", *SMALL, "--out", "x", "--json", "./X"),
        ("simulate", *SMALL, "--out", "/dev/full"),
        ("simulate", *SMALL, "--out", ""),
        ("simulate", *SMALL, "--json", "pipe"),
        ("mixing", "--noise-dim", "30", "--json", "link"),
        ("mixing", "--noise-dim", "30", "--out", "new", "--json", "new"),
        ("clip", "--bank", "bank.npz", "--json", "bank.npz"),
        ("mixing", "--noise-dim", "30", "--rounds", "2", "--out", "new", "--json", "new/{mixing}"),
        ("clip", "--out", "new", "--json", "new/{study}.nc"),
        ("clip", "--out", "new", "--json", "new/../NEW/{study}.png"),
        ("clip", "--out", "new", "--json", "new/{one_replicate}.nc"),
        ("sweep", "spec.toml", "--out", "out", "--workers", "0", "--json", "spec.toml"),
        ("sweep", "spec.toml", "--out", "out", "--workers", "0", "--json", "{cell}"),
        ("sweep", "spec.toml", "--out", "out", "--status", "--json", "{cell}"),
        ("check", "--quick", "--report", "x", "--json", "x"),
        ("check", "--quick", "--claims", "my_claim.py", "--report", "my_claim.py"),
        ("check", "--mutants", "--record", "x", "--json", "x"),
        ("audit", "--quick", "--bank", "bank.npz", "--out", "bank.npz"),
        ("audit", "--quick", "--out", "x", "--json", "x"),
        ("derive", "--tags", "T7", "--out", "link"),
        ("bench", "--quick", "--record", "new", "--json", "new/README.md"),
        ("reproduce", "--quick", "--out", "new", "--json", "new/summary.json"),
        ("reproduce", "--quick", "--out", "new", "--report", "new/paper_checks.md"),
        ("reproduce", "--quick", "--out", "new", "--json", "new/data/aggregation.nc"),
        ("reproduce", "--quick", "--out", "new", "--against", "kept.md", "--report", "kept.md"),
    ],
)
def test_every_command_refuses_before_any_work(
    here: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    (here / "bank.npz").write_text("no bank")
    (here / "kept.md").write_text("kept")
    (here / "spec.toml").write_text("[experiment]\nclients = 2\nsamples = 3\nnoise_dim = 20\nrounds = 2\n")
    (here / "my_claim.py").write_text("CLAIM = 1\n")
    (here / "link").symlink_to("kept.md")
    os.mkfifo(here / "pipe")
    from promptfolio.checks.settings.mixing import mixing_experiment, theta_grid
    from promptfolio.companion import ClipStudy, draw_synthetic_bank
    from promptfolio.companion.study import possible_names
    from promptfolio.sweep import read_specification
    from promptfolio.sweep.cell import cell_name

    cell = read_specification("spec.toml").cells[0].name
    (setting, *_) = Mixing(noise_dim=(30,))._settings()
    experiment = mixing_experiment(setting, "joint", (2,), theta_grid(0.01))
    one_replicate, study = possible_names(ClipStudy(), draw_synthetic_bank(0))
    names = {
        "cell": f"out/{cell}.nc",
        "mixing": f"joint-K4-chi1-share0.7-L30-{cell_name(experiment)}.nc",
        "study": study,
        "one_replicate": one_replicate,
    }
    before = {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"") for path in here.iterdir()
    }
    try:
        status = promptfolio.main([each.format(**names) for each in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("promptfolio: ")
    after = {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"") for path in here.iterdir()
    }
    assert after == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_on_standard_output_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as device:
        monkeypatch.setattr("sys.stdout", device)
        with pytest.raises(ConfigurationError, match="No space left"):
            emit_json("-", {"a": 1})
        write_standard_output("what is left goes nowhere")


def test_text_and_json_are_whole_files(here: pathlib.Path) -> None:
    write_text(here / "a.md", "μ")
    emit_json("b.json", {"x": [1.5, None]})
    assert (here / "a.md").read_bytes() == "μ".encode()
    assert json.loads((here / "b.json").read_text(encoding="utf-8")) == {"x": [1.5, None]}
    assert sorted(path.name for path in here.iterdir()) == ["a.md", "b.json"]
