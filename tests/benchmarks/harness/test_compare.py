from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import compare, processes
from benchmarks.harness.compare import Claim, Column, Competitor
from benchmarks.harness.processes import Milestone, Usage

MIB = 2**20


def usages(*walls: float, failure: str = "") -> list[Usage]:
    return [Usage(wall, 2 * wall, 100.0, failure=failure) for wall in walls]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compare, "BENCH", tmp_path / "bench")
    return tmp_path / "bench"


def run(code: str, log: Path, **more: object) -> Usage:
    return processes.run([sys.executable, "-c", code], log, **more)  # type: ignore[arg-type]  # Values of a table.


def test_memory_and_cpu_are_of_the_whole_tree(tmp_path: Path) -> None:
    child = f"import time; kept = bytearray(b'x') * (40 * {MIB}); time.sleep(3)"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"kept = bytearray(b'x') * (40 * {MIB})\n"
        "end = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\n"
        "child.wait()"
    )
    usage = run(code, tmp_path / "log")
    assert not usage.failure
    assert 80 < usage.peak_mib < 160
    assert 0.3 <= usage.cpu
    assert usage.wall >= 3


def test_reports_milestones_and_failures(tmp_path: Path) -> None:
    lines = tmp_path / "metrics.csv"
    code = (
        f"import time; file = open({str(lines)!r}, 'w', buffering=1); print('head', file=file)\n"
        "time.sleep(0.3); print('row', file=file); time.sleep(0.1)\n"
        "print('BENCH {\"rate\": 1}'); print('BENCH {\"rate\": 7.5}')"
    )
    waited = (Milestone("head", tmp_path, "metrics.csv", 1), Milestone("row", tmp_path, "m*", 2),
              Milestone("never", tmp_path, "absent"))  # fmt: skip
    usage = run(code, tmp_path / "log", milestones=waited)
    assert usage.report == {"rate": 7.5}
    assert set(usage.milestones) == {"head", "row"}
    assert usage.milestones["row"] >= usage.milestones["head"] + 0.2
    assert "exit code 3" in run("import sys; print('why'); sys.exit(3)", tmp_path / "log").failure
    assert "why" in run("import sys; print('why'); sys.exit(3)", tmp_path / "log").failure
    late = run("import time; time.sleep(60)", tmp_path / "log", timeout=0.3)
    assert late.failure.startswith("killed after") and late.wall < 30


def test_competitors_take_turns_and_a_failed_one_is_left_out(tmp_path: Path, folder: Path) -> None:
    order = tmp_path / "order"
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(sys.argv[2])"
    made = tmp_path / "made"

    def competitor(name: str, code: str = code, **more: object) -> Competitor:
        argv = (sys.executable, "-c", code, str(order), name)
        return Competitor(name, argv, **more)  # type: ignore[arg-type]  # Values of a table.

    runs = compare.compete(
        [
            competitor("a", collect=lambda: {"extra": 5.0}, clears=(made,)),
            competitor("b", f"import os; os.mkdir({str(made)!r})\n{code}"),
            competitor("c", f"{code}; sys.exit(1)"),
        ],
        rounds=2,
        name="turns",
    )
    assert order.read_text() == "abcab"
    assert [len(runs[name]) for name in "abc"] == [2, 2, 1]
    assert runs["a"][0].report == {"extra": 5.0}
    assert (folder / "logs" / "turns" / "02-0.log").exists()


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The machine was three times slower in the second round: no ratio shows it.
    runs = {"ours": usages(1.1, 3.3, 1.0), "floor": usages(1.0, 3.0, 1.0)}
    verdict = Claim("x", "ours", "floor", at_most=1.10).judged(runs)
    assert verdict.ratio == pytest.approx(1.1)
    assert verdict.ratios == pytest.approx((1.1, 1.1, 1.0))


@pytest.mark.parametrize(
    ("bounds", "met"),
    [({"at_most": 2.0}, True), ({"at_most": 1.9}, False), ({"at_least": 2.0}, True),
     ({"at_least": 2.1}, False), ({}, None)],
)  # fmt: skip
def test_bounds(bounds: dict[str, float], met: bool | None) -> None:
    verdict = Claim("x", "a", "b", **bounds).judged({"a": usages(2.0), "b": usages(1.0)})
    assert verdict.met is met
    assert ("MISSED" in str(verdict)) is (met is False)


def test_a_claim_on_a_failed_run_is_not_judged() -> None:
    runs = {"a": usages(1.0), "b": usages(1.0, failure="exit code 1")}
    verdict = Claim("x", "a", "b", at_most=1).judged(runs)
    assert verdict.ratio is None and verdict.met is None
    assert str(verdict).endswith("not measured")
    assert Claim("x", "a", "absent").judged(runs).ratio is None


def test_show_prints_and_writes_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = {"floor": usages(1.0, 1.0), "ours": usages(1.0, 1.4), "bad": usages(1, failure="no")}
    columns = [Column("wall s", compare.wall, spread=True), Column("x", compare.reported("x"))]
    claims = [Claim("ours / floor", "ours", "floor", at_most=1.1)]
    kept = compare.show("Bake, of 2 kinds", runs, columns, claims, about={"pictures": 3})
    out = capsys.readouterr().out
    assert not kept
    assert "1.20 ±17%" in out and "target ≤ 1.1: MISSED" in out and "no" in out
    stored = json.loads((folder / "results" / "bake-of-2-kinds.json").read_text())
    assert stored["about"] == {"pictures": 3}
    assert stored["machine"]["cores"] >= 1 and "tensorflow" in stored["machine"]["packages"]
    assert stored["claims"][0]["ratio"] == pytest.approx(1.2)
    assert [usage["wall"] for usage in stored["runs"]["ours"]] == [1.0, 1.4]


def test_cpu_of_a_process_only_grows() -> None:
    """In a process of its own: children that other tests left here may end meanwhile."""
    program = (
        "from benchmarks.harness import processes\n"
        "before = processes.tree_cpu()\n"
        "sum(i * i for i in range(2_000_000))\n"
        "assert processes.tree_cpu() > before"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
