"""The folder of compiled programs: what is found is what was written, whatever happens to the files."""

import os
import pathlib
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from simulate.running import compilation
from simulate.running.kept_programs import KeptPrograms


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.iterdir())


@pytest.mark.parametrize("place", [0, 10, 31, 32, 40, -1])
def test_a_damaged_program_is_not_found_and_is_removed(tmp_path: pathlib.Path, place: int) -> None:
    programs = KeptPrograms(tmp_path)
    programs.put("f", b"the program of f")
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert programs.get("f") is None
    assert files(tmp_path) == []
    programs.put("f", b"the program of f")
    assert programs.get("f") == b"the program of f"


@pytest.mark.parametrize("length", [0, 5, 32, 40])
def test_half_a_program_is_not_found(tmp_path: pathlib.Path, length: int) -> None:
    programs = KeptPrograms(tmp_path)
    programs.put("f", b"the program of f")
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert programs.get("f") is None


def test_a_program_under_anothers_name_is_not_found(tmp_path: pathlib.Path) -> None:
    programs = KeptPrograms(tmp_path, "here")
    programs.put("f", b"1")
    (path,) = files(tmp_path)
    path.rename(tmp_path / path.name.replace("f", "g"))
    assert programs.get("g") is None


def test_programs_are_those_of_one_machine(tmp_path: pathlib.Path) -> None:
    KeptPrograms(tmp_path, "here").put("f", b"1")
    assert KeptPrograms(tmp_path, "there").get("f") is None
    assert KeptPrograms(tmp_path, "here").get("f") == b"1"


def test_what_was_not_asked_for_longest_is_removed_first(tmp_path: pathlib.Path) -> None:
    first = KeptPrograms(tmp_path)
    for age, name in enumerate("abcd"):
        first.put(name, bytes(100))
        (path,) = tmp_path.glob(f"{name}-*")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert first.get("d") is not None  # so that c is the oldest now
    other = tmp_path / "notes.txt"
    other.write_bytes(bytes(1000))
    KeptPrograms(tmp_path, largest=600).put("e", bytes(100))  # 660 bytes in all, of which 450 may stay
    assert [path.name[0] for path in files(tmp_path)] == ["a", "d", "e", "n"]
    assert other.exists()


def test_a_folder_that_cannot_be_had_keeps_nothing_and_is_no_error(tmp_path: pathlib.Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    programs = KeptPrograms(in_the_way / "deeper")
    programs.put("f", b"1")
    assert programs.get("f") is None
    assert files(tmp_path) == [in_the_way]


def test_many_may_write_the_same_program(tmp_path: pathlib.Path) -> None:
    content = os.urandom(200_000)

    def work(turn: int) -> bytes | None:
        programs = KeptPrograms(tmp_path)
        programs.put("f", content)
        return programs.get("f")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(40))) == {content}
    assert len(files(tmp_path)) == 1


def test_the_default_folder_is_the_users_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = compilation.default_folder()
    assert folder == tmp_path / "caches" / "promptfolio" / "compiled"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o770)
    assert compilation.default_folder() is None
    folder.chmod(0o700)
    assert compilation.default_folder() == folder


@pytest.mark.skipif(sys.platform == "darwin", reason="caches lie elsewhere")
def test_a_cache_folder_that_is_no_absolute_path_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert compilation.default_folder() == tmp_path / "home" / ".cache" / "promptfolio" / "compiled"
    assert not (tmp_path / "here").exists()


def test_a_cache_folder_that_cannot_be_made_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compilation.default_folder() is None
