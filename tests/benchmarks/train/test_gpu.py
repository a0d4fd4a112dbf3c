"""The benchmark of a GPU, which runs at toy size anywhere, so that it runs where there is one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.train.gpu import __main__ as gpu
from benchmarks.train.gpu import children, data, plan, runs, suite, table
from benchmarks.train.gpu.cases import Case, measure_each, timed
from tfrecords import manifest
from tfrecords.cli import parsing
from trainer.config import TrainConfig

PRINTS_ONE = """
import json, sys, time
print(json.dumps({"case": "one", "rate": 1.5}), flush=True)
"""


def settings(dry: bool = False, torch: str | None = "python-with-torch") -> plan.Settings:
    return plan.Settings(Path("small"), Path("large"), 1.0, torch, dry)


def every_case(torch: str | None = "t") -> list[str]:
    return [name for part in plan.parts(settings(torch=torch)) for name in part.cases]


def test_cases_are_their_text_and_none_comes_twice() -> None:
    names = every_case()
    assert len(names) == len(set(names))
    steps = [Case.parse(name) for name in names if name.count(":") == 5]
    assert [str(case) for case in steps] == [name for name in names if name.count(":") == 5]
    assert {case.way for case in steps} == {
        "ours", "sync", "unfused", "nolayout", "augment", "spe8", "fit", "torch",
    }  # fmt: skip
    assert all(case.jit == "auto" for case in steps if case.way == "fit")


def test_all_that_is_to_be_proved_is_measured() -> None:
    """Both networks in three precisions, with XLA and without, against both rivals; whole runs."""
    names = set(every_case())
    for network in (plan.LARGE, plan.SMALL):
        for precision in plan.PRECISIONS:
            for jit, way in (("on", "ours"), ("off", "ours"), ("auto", "fit"), ("on", "torch")):
                assert str(Case(*network, precision, jit, way)) in names
    assert {
        plan.PROBE, plan.DEFAULT, plan.GROWTH_OFF, plan.LIMITED, plan.AUTO, plan.KILLED,
        suite.NAME, "run, ResNet-50, augment on device", "run, ResNet-50, augment on host",
        "input, augment none", "input, augment host", "input, augment device",
    } <= names  # fmt: skip
    assert not [name for name in every_case(torch=None) if name.endswith(":torch")]


def test_what_matters_most_comes_first_and_fits_a_quarter_of_an_hour() -> None:
    """As far as its own guesses go: what all aims need, within 14 minutes."""
    spent, done = 0.0, []
    for part in plan.parts(settings()):
        if spent + part.need <= 840:
            spent += part.need
            done += part.cases
    assert done[:2] == [plan.PROBE, plan.DEFAULT]
    assert str(Case(*plan.LARGE, "float32", "on", "ours")) in done
    assert {suite.NAME, plan.LIMITED, plan.KILLED, plan.AUTO} <= set(done)


def test_its_runs_have_flags_of_the_trainer() -> None:
    parts = [part for part in plan.parts(settings()) if part.argv[2].endswith(".runs")]
    assert len(parts) > 8
    for part in parts:
        flags = [flag for flag in part.argv[5:] if flag.partition("=")[0] not in runs.OWN]
        config = parsing.parse(TrainConfig, ["--data_dir=d", "--run_dir=r", *flags])
        assert config.gpu_memory_limit_mb in (0, plan.LIMIT_MB)


def test_a_time_is_filled_after_warming_up() -> None:
    calls: list[str] = []
    count, spent = timed(lambda: calls.append("run"), lambda: calls.append("wait"), seconds=0.0)
    assert count == 3 and spent >= 0
    assert calls == ["run", "run", "wait", "run", "run", "run", "wait"]


def test_a_case_that_fails_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Case("m", 8, 1, "float32", "on", "ours"), Case("m", 8, 2, "float32", "on", "ours")

    def measured(case: Case) -> dict[str, object]:
        if case == bad:
            raise ValueError("no kernel image\nand more")
        return {"rate": 1}

    measure_each([str(bad), str(good)], measured)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"] == "ValueError: no kernel image" and second["rate"] == 1


@pytest.mark.parametrize(
    ("rest", "limit", "said"),
    [("sys.exit('no driver')", 60, "exit code 1: no driver"),
     ("time.sleep(600)", 1.5, "not done within 2 s"),
     ("print('not JSON')", 60, "exit code 0: nothing said")],
    ids=["fails", "hangs", "ends early"],
)  # fmt: skip
def test_what_a_program_found_before_it_ended_is_kept(rest: str, limit: float, said: str) -> None:
    argv = [sys.executable, "-c", PRINTS_ONE + rest]
    began = time.monotonic()
    found = dict(children.results(argv, ["one", "two"], limit))
    assert found == {"one": {"rate": 1.5}, "two": {"error": said}}
    assert time.monotonic() - began < 300


def test_results_are_on_disk_as_they_come(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    results = gpu.Results(out, {"cores": 2, "python": "3", "commit": "c"}, dry=False)
    results.add("run, default flags", {"rate": 5.0, "input_wait": 0.25})
    assert len(out.read_text().splitlines()) == 2
    assert "| run, default flags | 5 | **0.25** |" in out.with_suffix(".md").read_text()


def test_a_run_that_was_cut_goes_on_but_not_that_of_another_commit(tmp_path: Path) -> None:
    out, machine = tmp_path / "o.jsonl", {"cores": 2, "python": "3", "commit": "c"}
    before = gpu.Results(out, machine, dry=False)
    before.add("a", {"rate": 1.0})
    before.add("b", {"error": "hung"})
    part = plan.Part(("a",), (sys.executable, "-c", "raise SystemExit(3)"), 60, 0)
    again = gpu.Results(out, machine, dry=False)
    gpu.measure([part], again, time.monotonic() + 300)
    assert again.found == {"a": {"rate": 1.0}} and not again.failed
    assert not gpu.Results(out, {**machine, "commit": "d"}, dry=False).found
    again.add("a", {"rate": 2.0})
    assert not gpu.Results(out, machine, dry=False, anew=True).found


def test_nothing_is_measured_without_a_card_or_time(tmp_path: Path) -> None:
    def part(name: str, need: float) -> plan.Part:
        return plan.Part((name,), (sys.executable, "-c", "import sys; sys.exit('none')"), 60, need)

    results = gpu.Results(tmp_path / "o.jsonl", {"cores": 2, "python": "3", "commit": "c"}, False)
    gpu.measure([part("long", 500), part(plan.PROBE, 0), part("x", 0)], results,
                time.monotonic() + 300)  # fmt: skip
    assert set(results.found) == {plan.PROBE} and results.failed
    assert results.left_out == ["long", "x"]
    assert "No time was left for, or no card: long; x." in results.page()


def test_the_page_has_ratios_and_says_which_aims_are_missed() -> None:
    def step(jit: str, way: str, rate: float, mib: int = 1000) -> tuple[str, dict[str, object]]:
        found = {"rate": rate, "ms": 1.0, "first_s": 2.0, "peak_mib": mib}
        return str(Case(*plan.LARGE, "mixed_bfloat16", jit, way)), found

    results = dict([step("on", "ours", 2400, 1100), step("auto", "fit", 2000),
                    step("on", "torch", 3000), step("off", "ours", 1500)])  # fmt: skip
    results[plan.LIMITED] = {"rate": 100.0, "card_mib": 5000}
    lines = table.page(["H100"], results, []).splitlines()
    (row,) = [line for line in lines if line.startswith("| ResNet-50, 224 px, 128 | bfloat16")]
    assert row == (
        "| ResNet-50, 224 px, 128 | bfloat16 | 2,400 | 1,500 | 2,000 | 3,000 | – | 1.20 | "
        "**0.80** | **1.10** |"
    )
    assert f"**missed** by {plan.LIMITED}" in lines[-1]
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("ss\n25 passed, 3 skipped in 2s", {"passed": 25, "skipped": 3}),
     ("FAILED t/x.py::test_a[b] - boom\n1 failed, 2 passed in 3s",
      {"failed": 1, "passed": 2, "error": "1 failed: test_a[b]"}),
     ("", {"error": "0 failed: "})],
)  # fmt: skip
def test_the_outcome_of_tests_is_read(output: str, expected: dict[str, object]) -> None:
    assert suite.found_in(output) == expected


@pytest.mark.parametrize("same", [True, False])
def test_a_run_is_killed_at_its_first_checkpoint_and_its_end_compared(
    same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of programs that stand in for a run: what a real one does is tested with the trainer."""
    trained: list[str] = []

    def command(data_dir: str, run_dir: Path, flags: Sequence[str]) -> list[str]:
        folder = run_dir / "checkpoints"
        code = f"import os, time; os.makedirs('{folder}/step-1'); time.sleep(600)"
        return [sys.executable, "-c", code, run_dir.name]

    class Store:
        def __init__(self, folder: Path) -> None:
            cut = folder.parent.name == "cut"
            self._arrays = {"kernel": np.ones(3), "bias": np.full(2, float(cut and not same))}

        def latest(self) -> SimpleNamespace:
            return SimpleNamespace(arrays=self._arrays)

    monkeypatch.setattr(runs, "command", command)
    monkeypatch.setattr(runs, "train", lambda argv: trained.append(argv[-1]))
    monkeypatch.setattr("trainer.runs.checkpoints.Store", Store)
    if same:
        assert runs.of_killed("d", []) == {"killed": True, "equal_arrays": 2}
    else:
        with pytest.raises(runs.Failed, match="1 of 2 arrays differ, bias first"):
            runs.of_killed("d", [])
    assert trained == ["whole", "cut"]


def test_a_data_set_is_written_without_a_bake(tmp_path: Path) -> None:
    folder = data.write(tmp_path / "d", 16, 180, 60)
    found = manifest.load(folder)
    assert [(split.name, split.records) for split in found.splits] == [
        ("train", 180), ("validation", 60),
    ]  # fmt: skip
    before = (folder / manifest.MANIFEST).stat().st_mtime_ns
    assert (data.write(folder, 16, 180, 60) / manifest.MANIFEST).stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_dry_run_measures_one_of_each_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """About 30 s of CPU: four processes import TensorFlow, as they will where a GPU is paid for."""
    out = tmp_path / "out.jsonl"
    assert gpu.main(["--dry", f"--out={out}"]) == 0, capsys.readouterr().err
    machine, *lines = map(json.loads, out.read_text().splitlines())
    assert machine["dry"] is True
    found = {line.pop("case"): line for line in lines}
    steps = [name for name in found if name.count(":") == 5 and not name.endswith(":torch")]
    assert [name.split(":")[5] for name in steps] == ["ours", "augment", "spe2", "fit"]
    assert all(found[name]["rate"] > 0 and found[name]["peak_mib"] == 0 for name in steps)
    assert found[steps[0]]["layout"].endswith("NHWC")
    assert found[plan.DEFAULT]["rate"] > 0 and found[plan.DEFAULT]["batch"] == 32
    assert out.with_suffix(".md").read_text() in capsys.readouterr().out
