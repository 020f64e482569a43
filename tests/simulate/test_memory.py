"""How much memory there is: the least of what the machine has, its container may take, and the process may."""

import pathlib
import resource

import pytest

from simulate.running import memory


@pytest.fixture
def physical(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a machine of 1000 pages of 4 KiB, without any limit."""
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    monkeypatch.setattr(memory, "_GROUP_LIMITS", ())
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 4_096_000


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("3000000\n",), 3_000_000),
        (("9223372036854771712\n",), 4_096_000),
        (("max\n", "2000000\n"), 2_000_000),
        (("2000000\n", "3000000\n"), 2_000_000),
        (("max\n",), 4_096_000),
        ((), 4_096_000),
    ],
)
def test_a_container_may_have_less_than_the_machine(
    physical: int,
    texts: tuple[str, ...],
    expected: int,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = [tmp_path / "no such file"]
    for number, text in enumerate(texts):
        paths.append(tmp_path / str(number))
        paths[-1].write_text(text)
    monkeypatch.setattr(memory, "_GROUP_LIMITS", tuple(map(str, paths)))
    assert memory.container_memory() == memory.machine_memory() == expected <= physical


def test_a_process_may_have_less_than_its_container(physical: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, expected in ((1_000_000, 1_000_000), (5_000_000, physical)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, resource.RLIM_INFINITY))
        assert memory.machine_memory() == expected
        assert memory.container_memory() == physical


def test_a_system_may_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", unknown)
    assert memory.container_memory() == 0
