"""Sweeps of real trainings, as their user runs them."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.processes import commands

GRID = """
base: {model: "tests.support.networks.tiny:network", epochs: 4, batch_size: 8, learning_rate: 0.02}
grid: {per_class: [4, 8]}
trials: {rotated: {augment: "flip,rotate"}}
"""
CLOCKS = ("seconds", "images_per_second", "input_wait")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    counts = {"train": (12, 8, 5), "validation": (4, 3, 2), "test": (1, 1, 1)}
    fakes.write_dataset(folder, counts, copies=2)
    return folder


def flags(data_dir: Path, runs_dir: Path, grid: str = GRID) -> list[str]:
    path = runs_dir.with_suffix(".yaml")
    path.write_text(grid)
    return [f"--data_dir={data_dir}", f"--runs_dir={runs_dir}", f"--grid={path}", "--parallel=2"]


def rows(path: Path) -> list[dict[str, str]]:
    """Returns the lines of a CSV without what differs from run to run: clocks and places."""
    with open(path, newline="") as file:
        return [
            {k: v for k, v in row.items() if k not in (*CLOCKS, "run_dir")}
            for row in csv.DictReader(file)
        ]


def test_a_child_trains_and_another_says_why_it_cannot(data_dir: Path, tmp_path: Path) -> None:
    grid = """
        base: {batch_size: 8, epochs: 1}
        trials:
          good: {model: "tests.support.networks.tiny:network"}
          bad: {model: "tests.support.networks.tiny:nothing"}
        """
    done = commands.run("trainer.sweep", *flags(data_dir, tmp_path / "runs", grid))
    assert done.returncode == 1, done.stderr
    found = {row["trial"]: row for row in rows(tmp_path / "runs" / "leaderboard.csv")}
    assert (found["good"]["status"], found["good"]["epochs"]) == ("done", "1")
    assert found["bad"]["status"] == "failed"
    assert "has no attribute 'nothing'" in found["bad"]["reason"]
    for page in ("report/index.html", "good/report/index.html", "good/model.keras"):
        assert (tmp_path / "runs" / page).stat().st_size > 0
    assert "not all trials are done" in done.stderr


def test_a_misspelt_flag_is_named_before_anything_starts(data_dir: Path, tmp_path: Path) -> None:
    done = commands.call(
        "trainer.sweep", *flags(data_dir, tmp_path / "runs", "grid: {epoch: [1, 2]}")
    )
    assert done.returncode == 2
    assert "evenshard train has no flag --epoch; did you mean --epochs?" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def whole(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("whole") / "runs"
    assert commands.run("trainer.sweep", *flags(data_dir, runs)).returncode == 0
    return runs


@pytest.mark.slow
def test_a_killed_sweep_ends_as_one_never_killed(
    data_dir: Path, tmp_path: Path, whole: Path
) -> None:
    runs = tmp_path / "runs"
    for kill in range(2):
        process = commands.start("trainer.sweep", *flags(data_dir, runs))
        deadline = time.monotonic() + 120
        # Once in the first two trials, once in the third.
        awaited = runs / ("per_class=4" if kill == 0 else "rotated") / "metrics.csv"
        while not awaited.exists() or len(rows(awaited)) < 2:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
    # At once: orphans may still be saving, and are waited for.
    done = commands.run("trainer.sweep", *flags(data_dir, runs))
    assert done.returncode == 0, done.stderr
    assert rows(runs / "leaderboard.csv") == rows(whole / "leaderboard.csv")
    for trial in ("per_class=4", "per_class=8", "rotated"):
        assert rows(runs / trial / "metrics.csv") == rows(whole / trial / "metrics.csv")


@pytest.mark.slow
def test_what_survives_halving_ends_as_if_never_paused(
    data_dir: Path, tmp_path: Path, whole: Path
) -> None:
    runs = tmp_path / "runs"
    done = commands.run("trainer.sweep", *flags(data_dir, runs), "--halving=3", "--rungs=1")
    assert done.returncode == 0, done.stderr
    epochs = {row["trial"]: int(row["epochs"]) for row in rows(runs / "leaderboard.csv")}
    assert sorted(epochs.values()) == [2, 2, 4]
    for trial, count in epochs.items():
        # The schedule of --epochs=4 from the first step on, also of those stopped after 2.
        paused = rows(runs / trial / "metrics.csv")
        assert paused == rows(whole / trial / "metrics.csv")[:count]
