"""Trials that differ by fold alone: how a grid makes them, and how they are put together."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import numpy as np
import pytest

from tfrecords.cli import parsing
from tfrecords.errors import TrainerError, UsageError
from trainer import predict
from trainer.evaluate.config import EvaluateConfig
from trainer.metrics import predictions
from trainer.metrics.metrics import Predictions
from trainer.predicting import together
from trainer.runs.history import History
from trainer.sweep import __main__ as sweep_main
from trainer.sweep import grid, grid_file, leaderboard, out_of_fold, trials
from trainer.sweep import run as sweep_run
from trainer.sweep.fold_groups import FoldGroup, groups_of, over_folds
from trainer.sweep.out_of_fold import OutOfFold
from trainer.sweep.run import SweepResult
from trainer.sweep.trial_status import TrainingSet, TrialProgress
from trainer.sweep.trials import Entry

METRIC = "val_macro_f1"


def names(text: str, folds: int = 3) -> list[tuple[str, int | None]]:
    found = grid.expand(grid_file.parse(text, folds), "data", "runs")
    return [(trial.name, trial.config.fold) for trial in found]


def test_all_folds_multiply_every_trial() -> None:
    text = "{grid: {epochs: [1, 2]}, trials: {wide: {wide: true}}, folds: all}"
    assert names(text, 2) == [
        ("epochs=1,fold=0", 0), ("epochs=1,fold=1", 1), ("epochs=2,fold=0", 0),
        ("epochs=2,fold=1", 1), ("wide,fold=0", 0), ("wide,fold=1", 1),
    ]  # fmt: skip


def test_folds_alone_are_a_grid() -> None:
    assert names("{base: {epochs: 1}, folds: all}") == [("fold=0", 0), ("fold=1", 1), ("fold=2", 2)]
    assert names("folds: [0, 2]") == [("fold=0", 0), ("fold=2", 2)]
    assert names("grid: {fold: [1, 2]}") == [("fold=1", 1), ("fold=2", 2)]


@pytest.mark.parametrize(
    ("text", "folds", "message"),
    [
        ("folds: all", 0, "bake with --folds=5"),
        ("folds: some", 3, "a list of numbers"),
        ("folds: [true]", 3, "a list of numbers"),
        ("{folds: all, base: {fold: 1}}", 3, "leave one out"),
    ],
)
def test_folds_that_cannot_be_are_refused(text: str, folds: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        names(text, folds)


def entries(folder: Path, text: str, scores: list[float], folds: int = 3) -> list[Entry]:
    made = []
    loaded = grid.expand(grid_file.parse(text, folds), "data", str(folder))
    for trial, score in zip(loaded, scores, strict=True):
        history = {} if math.isnan(score) else {METRIC: np.array([score]), "seconds": np.ones(1)}
        status = trials.FAILED if math.isnan(score) else trials.DONE
        progress = TrialProgress(History(history))
        made.append(Entry(trial, TrainingSet(3, 30, 6, (8, 8)), progress, status))
    return made


def groups(folder: Path, text: str, scores: list[float]) -> tuple[FoldGroup, ...]:
    return groups_of(leaderboard.rows(entries(folder, text, scores), METRIC), METRIC, 3)


def test_groups_have_mean_and_spread_and_the_best_is_first(tmp_path: Path) -> None:
    text = "{grid: {epochs: [1, 2]}, folds: all}"
    nan = math.nan
    found = groups(tmp_path, text, [0.1, 0.9, 0.2, 0.5, nan, 0.7])
    assert [group.name for group in found] == ["epochs=2", "epochs=1"]
    second, first = found
    assert first.scores == (0.1, 0.9, 0.2) and first.complete
    assert first.mean == pytest.approx(0.4)
    assert first.spread == pytest.approx(np.std([0.1, 0.9, 0.2], ddof=1))
    assert second.scores == (0.5, 0.7) and not second.complete
    rows = leaderboard.rows(entries(tmp_path, text, [0.1, 0.9, 0.2, 0.5, nan, 0.7]), METRIC)
    header, *lines = leaderboard.to_csv(rows, over_folds(found)).splitlines()
    assert "group,mean_over_folds,spread_over_folds" in header
    assert all("epochs=1,0.400000," in line for line in lines if '"epochs=1' in line)
    assert "mean_over_folds" not in leaderboard.to_csv(rows)


def test_what_follows_a_sweep_over_folds_takes_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best fold is the luckiest one, not the best training."""
    found = groups(tmp_path, "folds: all", [0.1, 0.9, 0.2])
    ended = SweepResult(
        tuple(entries(tmp_path, "folds: all", [0.1, 0.9, 0.2])), 0, tmp_path / "page.html", found
    )
    monkeypatch.setattr(sweep_run, "run", lambda config: ended)
    argv = ["--data_dir=data", f"--runs_dir={tmp_path}", "--grid=g.yaml"]
    assert sweep_main.COMMAND.run(argv) == 0
    said = capsys.readouterr().out
    assert "folds: val_macro_f1 0.4000 ± 0.4359 over 3 folds\n" in said
    runs = ",".join(found[0].run_dirs)
    assert f"next: evenshard predict --run_dir={runs} --input=PICTURES" in said


def test_of_equal_groups_the_one_of_the_lower_loss_is_first(tmp_path: Path) -> None:
    made = entries(tmp_path, "{grid: {epochs: [1, 2]}, folds: all}", [0.5] * 6)
    for entry in made:
        loss = np.array([1.0 / entry.trial.config.epochs])
        columns = {**entry.progress.history.columns, "val_loss": loss}
        entry.progress = TrialProgress(History(columns))
    found = groups_of(leaderboard.rows(made, METRIC), METRIC, 3)
    assert [group.name for group in found] == ["epochs=2", "epochs=1"]


def test_trials_without_a_fold_are_in_no_group(tmp_path: Path) -> None:
    assert groups(tmp_path, "grid: {epochs: [1, 2]}", [0.5, 0.6]) == ()


def write(run_dir: Path, ids: list[str], classes: tuple[str, ...], **about: str) -> None:
    labels = np.array([int(id_[0] == "b") for id_ in ids])
    logits = np.log(np.where(np.eye(len(classes))[labels] > 0, 0.8, 0.2))
    known = {"split": "validation", "dataset": "d" * 64} | about
    path = run_dir / predictions.FILENAME
    predictions.write(path, Predictions(tuple(ids), labels, logits), classes, known)


def test_predictions_of_all_folds_are_one_table(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, "folds: all", [0.5, 0.6, 0.7])
    for fold, run_dir in enumerate(group.run_dirs):
        write(Path(run_dir), [f"b/{fold}", f"a/{fold}"], ("a", "b"))
    found = OutOfFold.of(group, "d" * 64)
    table = found.to_table("d" * 64)
    assert table["key"].to_pylist() == ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"]
    assert table["fold"].to_pylist() == [0, 1, 2, 0, 1, 2]
    assert table["label"].to_pylist() == ["a"] * 3 + ["b"] * 3
    assert (found.top1, found.macro_f1) == (1.0, 1.0) and not found.issues
    out_of_fold.write(tmp_path, [group], [found], "d" * 64)
    assert (tmp_path / "out_of_fold" / "folds.parquet").exists()
    assert (tmp_path / "folds.csv").read_text().splitlines()[1].startswith("folds,3,3,0.600000,")
    runs = ",".join(group.run_dirs)
    assert f"--run_dir={runs}" in out_of_fold.predict_command(group)


def test_runs_with_a_comma_in_their_names_are_found_again(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, "{grid: {epochs: [2]}, folds: all}", [0.5, 0.6, 0.7])
    assert all("," in Path(run_dir).name for run_dir in group.run_dirs)
    for run_dir in group.run_dirs:
        Path(run_dir).mkdir(parents=True, exist_ok=True)
    command = shlex.split(out_of_fold.predict_command(group))
    config = parsing.parse(predict.PredictConfig, command[2:])
    assert together.named(config.run_dir) == list(group.run_dirs)
    command = shlex.split(out_of_fold.evaluate_command(group, tmp_path))
    judging = parsing.parse(EvaluateConfig, command[2:])
    assert together.named(judging.run_dir) == list(group.run_dirs)
    assert (judging.split, Path(judging.output_dir).parent) == ("test", tmp_path / "out_of_fold")


def test_what_does_not_belong_together_is_told(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, "folds: all", [0.5, 0.6, 0.7])
    first, second, _ = map(Path, group.run_dirs)
    write(first, ["a/0"], ("a", "b"))
    with pytest.raises(TrainerError, match="no out-of-fold predictions of folds"):
        OutOfFold.of(group, "d" * 64)
    write(second, ["a/1"], ("a", "c"))
    with pytest.raises(TrainerError, match="different classes"):
        OutOfFold.of(group, "d" * 64)
    write(second, ["a/1"], ("a", "b"), dataset="e" * 64)
    with pytest.raises(TrainerError, match="no validation predictions of this data set"):
        OutOfFold.of(group, "d" * 64)
