from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import arrays as accuracy_arrays
from benchmarks.accuracy import table
from benchmarks.accuracy.__main__ import Bench, Problem
from benchmarks.accuracy.table import Row
from tests.support.datasets import fakes
from tfrecords.cli import parsing
from trainer.config import TrainConfig

PROBLEM = Problem("town", 16)


def row(
    recipe: str, seed: int, macro_f1: float, top1: float = 0.8, tail: float | None = 0.5
) -> Row:
    return Row("town", recipe, seed, 30.0, 1000, 3, macro_f1, top1, 0.9, 0.7, tail)


def bench(work: Path, pictures: int = 0) -> Bench:
    return Bench(work, work, 30.0, pictures, Path("python"))


def test_the_table_has_means_and_spreads() -> None:
    rows = [row("story", 0, 0.3), row("story", 1, 0.5), row("default", 0, 0.7, tail=None)]
    lines = table.markdown(rows).splitlines()
    assert lines[2].startswith("| town | story | 0.400 (0.300 to 0.500) | 0.800 (0.800 to 0.800) |")
    assert "0.90 / 0.70 / 0.50 | 1,000 | 30 |" in lines[2]
    assert lines[3].startswith("| town | default | 0.700 | 0.800 | 0.90 / 0.70 / – |")


def test_the_verdict_is_the_share_of_error_gone() -> None:
    rows = [row("story", 0, 0.4, 0.6), row("default", 0, 0.7, 0.9), row("torch", 0, 0.75, 0.9)]
    lines = table.verdict(rows).splitlines()
    assert "town, macro_f1: +50% of the error of story gone" in lines
    assert "town, top1: +75% of the error of story gone" in lines
    assert "town, macro_f1: -20% of the error of torch gone" in lines
    assert table.verdict(rows[:1]) == ""


def test_a_matrix_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, int]] = []

    def run(bench: Bench, problem: Problem, name: str, seed: int, rows: list[Row]) -> list[Row]:
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append((name, seed))
        return [row(name, seed, 0.5)]

    monkeypatch.setattr(accuracy, "run", run)
    with pytest.raises(KeyboardInterrupt):
        accuracy.matrix(bench(tmp_path), [PROBLEM], ["story", "default"], seeds=2)
    monkeypatch.setattr(accuracy, "run", lambda b, p, name, seed, rows: [row(name, seed, 0.6)])
    rows = accuracy.matrix(bench(tmp_path), [PROBLEM], ["story", "default"], seeds=2)
    assert [(r.recipe, r.seed, r.macro_f1) for r in rows] == [
        ("story", 0, 0.5), ("default", 0, 0.5), ("story", 1, 0.5), ("default", 1, 0.6),
    ]  # fmt: skip
    stored = json.loads((tmp_path / "results-30s.json").read_text())
    assert stored["machine"]["cores"] >= 1 and len(stored["rows"]) == 4


@pytest.mark.parametrize("name", accuracy.ABLATION)
def test_every_row_of_the_ablation_is_a_run_that_trainer_takes(name: str) -> None:
    kind, given = accuracy.ABLATION[name]
    assert kind in accuracy.BAKES
    config = parsing.parse(TrainConfig, ["--data_dir=o", "--run_dir=r", *given])
    assert config.loss in ("cross_entropy", "logit_adjusted", "balanced_softmax", "focal")


def test_epochs_fill_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first epoch of 5 s, of which 2 compile, and 25 s more at 3 s an epoch."""
    monkeypatch.setattr(accuracy, "call", lambda *arguments, **options: None)
    monkeypatch.setattr(table, "epoch_seconds", lambda run_dir: [5.0, 3.0])
    assert accuracy.fitting_epochs(bench(tmp_path), tmp_path, (), tmp_path / "run") == 9
    fakes.write_dataset(tmp_path / "data")  # 16 records.
    by_pictures = bench(tmp_path, pictures=100)
    assert accuracy.fitting_epochs(by_pictures, tmp_path / "data", (), tmp_path / "run") == 6


def test_arrays_hold_each_record_once_and_test_in_order(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data", copies=2)
    accuracy_arrays.write(tmp_path / "data", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.bincount(arrays["train_labels"]).tolist() == [10, 7, 5]
        assert arrays["train_images"].shape == (22, 16, 16, 3)
        assert len(np.unique(arrays["train_images"], axis=0)) == 22
        assert arrays["train_originals"].tolist() == [8, 5, 3]
        assert len(set(arrays["test_ids"])) == 6 == len(arrays["test_labels"])


def test_logits_are_judged_as_a_run_is(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 2])
    np.savez(
        tmp_path / "a.npz", test_ids=list("abcd"), test_labels=labels, train_originals=[150, 30, 3]
    )
    np.save(tmp_path / "logits.npy", np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
    (tmp_path / "result.json").write_text('{"seconds": 3.5, "pictures": 64, "parameters": 9}')
    found = table.judge_logits(tmp_path, tmp_path / "a.npz", "town", "story", 1)
    assert (found.top1, found.head, found.medium, found.tail) == (0.75, 1.0, 1.0, 0.5)
    assert (found.seconds, found.pictures, found.seed) == (3.5, 64, 1)
