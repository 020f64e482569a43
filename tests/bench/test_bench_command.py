"""`promptfolio bench`: what it measures, writes and refuses. Nothing here depends on how fast anything is."""

import dataclasses
import functools
import json
import math
import pathlib
import subprocess
from typing import Any, cast

import numpy as np
import pytest

from promptfolio.bench import comparison, fresh_run
from promptfolio.bench.cases import AMID_NOISE, CASES, NEAR, Case, CaseName, cases, sweep
from promptfolio.bench.comparison import CaseTime, Comparison, PeerTime, engine_behind
from promptfolio.bench.machine import Machine
from promptfolio.bench.peers import PEERS
from promptfolio.bench.products import own_products, square_products
from promptfolio.bench.report import BEGIN, END, Report, as_record, blank_document, markdown, replaced, tables
from promptfolio.bench.scaling import Curve, measure_scaling, sizes_of
from promptfolio.bench.timing import in_turns, units_for
from promptfolio.cli.bench import Bench
from simulate import ConfigurationError, Experiment, run
from simulate.engines.choice import choose_engine
from simulate.engines.registry import engine_named

TINY = {"clients": 2, "samples": 2, "noise_dim": 9, "thetas": 2, "seeds": 1, "rounds": 2}


def case_time(name: CaseName = "S1") -> CaseTime:
    """Made-up numbers, in round figures."""
    case = cases([name])[0]
    steps = case.run_steps
    return CaseTime(
        case=case,
        engine="gram",
        fallback_seeds=0,
        signal_reach=0.1,
        noise_reach=0.2,
        seconds=2.0,
        compile_seconds=3.0,
        outside_seconds=0.5,
        peak_bytes=2**30,
        imported_bytes=2**28,
        device_bytes=0,
        operations=1e11,
        square_rate=2e11,
        own_rate=1e11,
        peers=tuple(
            PeerTime(peer.name, peer.title, "", 100, 200 / steps * (n + 1), 200.0 * (n + 1), 100.0 * (n + 1))
            for n, peer in enumerate(PEERS)
        ),
    )


def nothing_is_lost(name: str, reason: str) -> None:
    raise AssertionError(f"{name}: {reason}")


MACHINE = Machine("A processor", "x86_64", 2, 2**34, "cpu", ("cpu",), {"jax": "0"}, "abc")
SIZES = ("seeds", "thetas", "clients", "samples", "noise_dim", "rounds")
CURVES = (
    *(Curve(name, (1, 2, 4, 8), (3.0, 5.0, 9.0, 17.0), 2) for name in SIZES),
    Curve("devices", (1, 2), (2.0, 1.0)),
)
REPORT = Report(MACHINE, False, 3, Comparison((case_time(), case_time("S2b")), {}), CURVES)


def test_quick_run_end_to_end(tmp_path: pathlib.Path) -> None:
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    path = tmp_path / "bench.json"
    assert Bench(cases=("S1",), quick=True, record=str(tmp_path), json=str(path)).execute() == 0
    found = json.loads(path.read_text())
    (one,) = found["cases"]
    expected = cases(["S1"], quick=True)[0]
    assert (one["name"], one["engine"], one["run_steps"]) == ("S1", "gram", expected.run_steps)
    assert one["experiment"]["noise_dim"] == expected.experiment.noise_dim
    assert one["run_steps_per_second"] == pytest.approx(one["run_steps"] / one["seconds"])
    assert one["share_of_own_rate"] == pytest.approx(one["operations"] / one["seconds"] / one["own_rate"])
    assert 0 < one["signal_reach"] < 1
    assert one["peak_bytes"] > one["imported_bytes"] > 2**24
    assert one["compile_seconds"] >= 0
    for peer in PEERS:
        if peer.missing:
            assert "promptfolio[" in found["skipped"][peer.title]
            continue
        times = one["peers"][peer.name]
        assert times["ratio"] == pytest.approx(times["seconds_extrapolated"] / one["seconds"])
        assert times["seconds_extrapolated"] == pytest.approx(
            times["seconds_per_run_step"] * one["run_steps"]
        )
        assert times["rounds_timed"] >= 1
    assert found["machine"]["cores"] >= 1
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| S1 |" in text
    assert (tmp_path / "speed.png").stat().st_size > 1000
    assert (tmp_path / "speed.pdf").stat().st_size > 1000


def test_cases_are_what_they_are_called() -> None:
    by_name = {case.name: case.experiment for case in cases()}
    assert tuple(by_name) == CASES
    first = by_name["S1"]
    assert (first.clients, first.samples[0], first.noise_dim, first.rounds) == (10, 20, 2000, 500)
    assert (len(first.theta), first.replicates, first.record) == (41, 64, (500,))
    assert (choose_engine(first).name, first.precision) == ("gram", "float32")
    assert by_name["S2"] == first.replace(signal_offset=NEAR)
    assert by_name["S2b"] == first.replace(signal_offset=NEAR, noise_offset=AMID_NOISE, replicates=8)
    assert (by_name["S3"].clients, by_name["S3"].noise_dim, by_name["S3"].replicates) == (100, 5000, 8)


def test_the_offsets_meet_the_engines_they_are_meant_for() -> None:
    _, signals, noise, _ = cases(quick=True)
    result = run(signals.experiment)
    assert engine_behind(result) == ("gram", 0)
    assert (abs(result.beta) > NEAR).any()
    result = run(noise.experiment)
    assert (result.phi_max > AMID_NOISE).any()
    assert engine_behind(result) == ("coefficient", noise.experiment.replicates)


def test_ratios_and_rates() -> None:
    one = case_time()
    assert one.run_steps_per_second == 64 * 41 * 500 / 2
    assert (one.training_seconds, one.rate) == (1.5, 5e10)
    assert one.training_rate == pytest.approx(1e11 / 1.5)
    torch = as_record(REPORT)["cases"][0]["peers"]["torch"]
    assert torch["ratio"] == 100
    assert torch["run_steps_per_second"] * 100 == pytest.approx(one.run_steps_per_second)


def test_training_too_short_to_be_told_has_no_rate() -> None:
    short = dataclasses.replace(case_time(), outside_seconds=2.5)
    report = dataclasses.replace(REPORT, comparison=Comparison((short,), {}))
    record = as_record(report)
    (one,) = record["cases"]
    assert (one["training_seconds"], one["share_of_own_rate_training"]) == (-0.5, None)
    assert json.loads(json.dumps(record, allow_nan=False, default=str))
    (row,) = tables(report)[1].rows
    assert row.count("–") == 2


def test_operations_are_those_of_the_products() -> None:
    experiment = sweep(**{**TINY, "clients": 3, "samples": 4}, local_steps=2)
    kernel, blocks = 12 * 12, 3 * 4 * 4  # multiplications, for each θ
    assert engine_named("gram").training_work(experiment) == 2 * 2 * (kernel + 3 * blocks)
    assert engine_named("coefficient").training_work(experiment) == 2 * 2 * 2 * 2 * 12 * (1 + 3 + 9)


@pytest.mark.parametrize("engine", ["gram", "coefficient"])
def test_products_do_what_they_count(engine: str) -> None:
    experiment = sweep(**TINY)
    products = own_products(experiment.replace(engine=engine), operations=1e4)
    vectors = np.concatenate(cast(list[Any], products.task()))
    seeds = vectors.shape[0]
    rounds = min(experiment.rounds, max(1, round(1e4 / (products.operations / experiment.rounds))))
    per_round = 2 * 4**2 * 2 if engine == "gram" else 2 * 2 * 2 * 2 * 12 * 2
    assert products.operations == per_round * seeds * rounds
    # Orthogonal matrices neither blow numbers up nor let them die away, which would change their speed.
    assert 0.01 < abs(vectors).max() < 10
    square = square_products("float64", 8, operations=5 * 8**3)
    for product in cast(list[Any], square.task()):  # a reflection is its own inverse
        np.testing.assert_allclose(np.asarray(product), np.eye(8), atol=1e-12)
    assert square.operations == 2 * 2 * 8**3


def test_tasks_take_turns() -> None:
    calls: list[str] = []
    times = in_turns({name: functools.partial(calls.append, name) for name in "abc"}, turns=3)
    assert "".join(calls) == "abcabcabc"
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_units_fill_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("promptfolio.bench.timing.time.perf_counter", lambda: clock[0])

    def run_units(units: int) -> None:
        clock[0] += 0.01 * units

    assert units_for(run_units, 1.0) == 100
    assert units_for(run_units, 1e-6) == 1


def test_curves_say_how_time_grows() -> None:
    square = Curve("clients", (5, 10, 20), (1.0, 4.0, 16.0))
    assert square.exponent == pytest.approx(2)
    line = Curve("seeds", (1, 2, 4, 8), (3.0, 5.0, 9.0, 17.0))
    assert line.line == pytest.approx((1, 2))
    assert line.last_exponent == pytest.approx(math.log(17 / 9) / math.log(2))
    assert line.deviation_from_proportion == pytest.approx(9 / 4 / (17 / 8) - 1)
    bent = Curve("seeds", (1, 2, 4, 8), (3.0, 5.0, 9.0, 34.0))
    assert bent.deviation_from_line > 0.1


def test_curves_pass_through_the_base() -> None:
    for base in ({**TINY, "thetas": 3, "clients": 4}, {**TINY, "rounds": 100}):
        for name, values in sizes_of(base).items():
            assert base[name] in values
            assert list(values) == sorted(set(values))


def test_scaling_measures_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def fake_fresh_run(
        experiment: Experiment, *, repetitions: int, virtual_devices: int
    ) -> fresh_run.FreshRun:
        asked.append((repetitions, virtual_devices))
        return fresh_run.FreshRun(9.0, (2.0 / virtual_devices, 5.0), 2, 1, virtual_devices, 0)

    ran: list[object] = []
    monkeypatch.setattr("promptfolio.bench.scaling.fresh_run", fake_fresh_run)
    monkeypatch.setattr("promptfolio.bench.scaling.run", ran.append)
    curves = measure_scaling(turns=3, quick=True, describe=lambda text: None, lose=nothing_is_lost)
    by_size = {curve.size: curve for curve in curves}
    assert list(by_size) == [*sizes_of(TINY), "devices"]
    assert asked == [(4, 1), (4, 2)]
    assert by_size["devices"].seconds == (2.0, 1.0)
    different = set(ran)
    assert len(ran) == 4 * len(different), "one warm-up and three turns, the common base but once"
    for curve in curves:
        assert len(curve.values) == len(curve.seconds)


def test_fresh_process_takes_the_devices_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake_process(module: str, request: bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
        seen.update(options, module=module, request=request)
        fields = json.dumps(dataclasses.asdict(fresh_run.FreshRun(2, (1,), 5, 4, 3, 6)))
        return subprocess.CompletedProcess(module, 0, stdout=f"chatter\n{fields}\n".encode(), stderr=b"")

    monkeypatch.setenv("XLA_FLAGS", "--a=1 --xla_force_host_platform_device_count=7")
    monkeypatch.setattr(fresh_run, "answer_of", fake_process)
    answer = fresh_run.fresh_run(sweep(**TINY), repetitions=2, virtual_devices=3)
    assert answer == fresh_run.FreshRun(2, (1,), 5, 4, 3, 6)
    assert seen["environment"]["XLA_FLAGS"] == "--a=1 --xla_force_host_platform_device_count=3"
    assert json.loads(seen["request"])["repetitions"] == 2
    assert seen["module"] == fresh_run.__name__


@pytest.mark.parametrize(
    ("status", "said"),
    [(1, "ended with status 1: MemoryError: no more"), (-9, "was killed by SIGKILL")],
)
def test_a_failed_process_says_why(monkeypatch: pytest.MonkeyPatch, status: int, said: str) -> None:
    failed = subprocess.CompletedProcess([], status, stdout=b"", stderr=b"Traceback\nMemoryError: no more\n")
    monkeypatch.setattr(fresh_run, "answer_of", lambda module, request, environment: failed)
    with pytest.raises(fresh_run.FreshRunError, match=said):
        fresh_run.fresh_run(sweep(**TINY))


def test_a_killed_process_costs_its_case_and_what_is_recorded_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(experiment: Experiment) -> fresh_run.FreshRun:
        raise fresh_run.FreshRunError("a fresh process was killed by SIGKILL")

    monkeypatch.setattr(comparison, "fresh_run", lost)
    path = tmp_path / "bench.json"
    assert Bench(cases=("S1",), quick=True, record=str(tmp_path), json=str(path)).execute() == 1
    assert json.loads(path.read_text())["cases"] == []
    assert "S1 is not measured: a fresh process was killed by SIGKILL" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["bench.json"]


def test_a_missing_package_is_said_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PEERS[0]._replace(needs="surely_not_installed")
    assert absent.missing == "surely_not_installed is not installed (pip install 'promptfolio[reference]')"
    quick = comparison.Effort(turns=1, peer_seconds=1e-3, operations=1e3, square=4)
    monkeypatch.setattr(comparison, "PEERS", (absent, PEERS[1]))
    monkeypatch.setattr("promptfolio.bench.report.PEERS", (absent, PEERS[1]))
    monkeypatch.setattr(comparison, "fresh_run", lambda experiment: fresh_run.FreshRun(5.0, (), 9, 8, 1, 0))
    case = Case("S1", "tiny", sweep(**{**TINY, "rounds": 5}, engine="gram"))
    found = comparison.compare([case], quick, lambda text: None, nothing_is_lost)
    assert found.skipped == {absent.title: absent.missing}
    assert [peer.name for peer in found.cases[0].peers] == ["numpy"]
    text = markdown(Report(MACHINE, False, 1, found), "caption")
    assert "× NumPy loop" in text
    assert "× PyTorch loop" not in text
    assert "PyTorch loop: left out, surely_not_installed" in text


def test_markdown_tables_are_whole() -> None:
    text = markdown(REPORT, "caption")
    for table in tables(REPORT):
        assert all(len(row) == len(table.columns) for row in table.rows)
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| S")}
    assert len(widths) == 2  # two tables name the cases
    assert "| seeds | 1, 2, 4, 8 | 3, 5, 9, 17 |" in text
    assert BEGIN not in text


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    once = replaced(blank_document(), "first")
    assert replaced(once, "second") == once.replace("first", "second")
    for broken in ("", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"):
        with pytest.raises(ConfigurationError, match="record"):
            replaced(broken, "part")


def test_bad_input_is_refused_before_any_work(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "_measure", lambda self: pytest.fail("measured"))
    (tmp_path / "README.md").write_text("no markers")
    (tmp_path / "file").write_text("in the way")
    for options in (
        {"cases": ()},
        {"cases": ("S1", "S1")},
        {"record": str(tmp_path)},
        {"record": str(tmp_path / "file" / "deeper")},
        {"json": str(tmp_path)},
    ):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            Bench(**options).execute()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "file"]
