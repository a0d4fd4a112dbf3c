"""The benchmark of a GPU, which runs at toy size anywhere, so that it runs where there is one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.train.gpu import __main__ as gpu
from benchmarks.train.gpu.cases import Case, timed


def flags(data: Path | None = None, dry: bool = False) -> argparse.Namespace:
    return argparse.Namespace(dry=dry, seconds=1.0, data=data)


def test_cases_are_their_text() -> None:
    every = [*gpu.step_cases(dry=False), *gpu.torch_cases(dry=False)]
    assert len(every) == len(set(every)) and all(Case.parse(str(case)) == case for case in every)
    assert {case.way for case in every} == {
        "ours", "sync", "unfused", "augment", "spe8", "fit", "torch",
    }  # fmt: skip
    assert all(case.jit == "auto" for case in every if case.way == "fit")


def test_ours_and_fit_come_first_and_data_is_measured_if_named() -> None:
    names = [name for name, _ in gpu.commands(flags())]
    assert [name.split(":")[5] for name in names[:2]] == ["ours", "fit"]
    with_data = [name for name, _ in gpu.commands(flags(data=Path("d")))]
    assert [name for name in with_data if name not in names] == [
        "input, augment none", "input, augment host", "input, augment device",
        "run, augment host", "run, augment device",
    ]  # fmt: skip


def test_a_time_is_filled_after_warming_up() -> None:
    calls: list[str] = []
    count, spent = timed(lambda: calls.append("run"), lambda: calls.append("wait"), seconds=0.0)
    assert count == 3 and spent >= 0
    assert calls == ["run", "run", "wait", "run", "run", "run", "wait"]


def test_what_fails_is_in_the_table_and_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = ["python", "-c", "import sys; sys.exit('no kernel image')"]
    monkeypatch.setattr(gpu, "commands", lambda flags: iter([("bad", program)]))
    assert gpu.main([f"--out={tmp_path}/o.jsonl", "--dry"]) == 1
    assert "error no kernel image" in capsys.readouterr().out


def test_the_dry_run_measures_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """About 20 s of CPU: each way traces a network in a process of its own."""
    out = tmp_path / "out.jsonl"
    assert gpu.main(["--dry", f"--out={out}"]) == 0, capsys.readouterr().err
    machine, *lines = map(json.loads, out.read_text().splitlines())
    assert machine["dry"] is True
    assert [line["case"].split(":")[5] for line in lines if "torch" not in line["case"]] == [
        "ours", "sync", "augment", "spe2", "fit",
    ]  # fmt: skip
    assert all(line["rate"] > 0 and line["peak_mib"] == 0 for line in lines)
