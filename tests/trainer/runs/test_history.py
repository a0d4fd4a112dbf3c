"""metrics.csv read back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import fake_run
from trainer.runs import history
from trainer.runs.history import History


def test_reads_what_a_run_wrote(tmp_path: Path) -> None:
    found = history.load(fake_run.write_history(tmp_path / "metrics.csv", 5))
    assert len(found) == 5
    assert found.epochs.tolist() == [1, 2, 3, 4, 5]
    assert found["step"].tolist() == [10, 20, 30, 40, 50]
    assert list(found.columns) == fake_run.COLUMNS


def test_the_best_epoch_is_the_first_of_the_best(tmp_path: Path) -> None:
    found = history.load(fake_run.write_history(tmp_path / "metrics.csv", 5))
    assert found.best("val_macro_f1") == 3
    assert found.best("val_loss") == 3
    assert found.best("val_unheard_of") is None
    flat = history.History({"val_top1": np.array([0.5, 0.7, 0.7, np.nan])})
    assert flat.best("val_top1") == 1


@pytest.mark.parametrize(
    ("name", "less"),
    [("val_loss", True), ("val_ece", True), ("val_top1", False), ("val_macro_f1", False)],
)
def test_knows_what_is_better(name: str, less: bool) -> None:
    assert history.less_is_better(name) is less


def test_empty_cells_and_absent_columns_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,top1\n1,\n2,0.5\n")
    found = history.load(path)
    assert np.isnan(found["top1"][0])
    assert found.has("top1")
    assert not found.has("input_wait")
    assert len(found["input_wait"]) == 2


def test_leaves_out_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,top1,loss\n1,0.5,2\n2,0.")
    assert history.load(path).epochs.tolist() == [1]


@pytest.mark.parametrize("text", ["", "epoch,top1\n"])
def test_no_epoch_yet(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    found = history.load(path)
    assert len(found) == 0
    assert found.best("val_top1") is None


def test_names_the_line_that_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,top1\n1,0.5\n2,oops\n")
    with pytest.raises(history.HistoryError, match="line 3: a number expected, not 'oops'"):
        history.load(path)


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val_top1", [0.1, 0.3, 0.3, 0.2], 2),
        ("val_loss", [3.0, 1.0, 2.0], 2),
        ("val_loss", [], None),
    ],
)
def test_the_best_epoch_is_the_first_of_equals(
    monitor: str, values: list[float], best: int | None
) -> None:
    assert history.best_epoch([{monitor: value} for value in values], monitor) == best


@pytest.mark.parametrize(
    ("monitor", "values", "losses", "best"),
    [
        ("val_macro_f1", [0.5, 0.5, 0.5, 0.5], [0.166, 0.168, 0.141, 0.101], 4),
        ("val_macro_f1", [0.5, 0.9, 0.9, 0.9], [0.1, 0.3, 0.2, 0.2], 3),
        ("val_macro_f1", [0.9, 0.5], [0.3, 0.1], 1),
        ("val_macro_f1", [0.5, 0.5, 0.5], [None, 0.4, math.nan], 2),
        ("val_macro_f1", [0.5, 0.5], [None, None], 1),
        ("val_loss", [0.2, 0.1, 0.1], None, 2),
    ],
)
def test_of_equals_the_lowest_loss_is_the_best(
    monitor: str, values: list[float], losses: list[float | None] | None, best: int
) -> None:
    """The same by the rows of a checkpoint and by the columns of metrics.csv."""
    columns: dict[str, Sequence[float | None]] = {monitor: values}
    if losses is not None:
        columns["val_loss"] = losses
    names = list(columns)
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    assert history.best_epoch(rows, monitor) == best
    read = History({name: np.array(column, float) for name, column in columns.items()})
    assert read.best(monitor) == best - 1


@given(
    st.lists(st.tuples(st.sampled_from([0.25, 0.5]), st.sampled_from([0.1, 0.2])), min_size=1),
    st.sampled_from(["val_macro_f1", "val_loss"]),
)
def test_an_epoch_is_the_best_from_when_it_ends(
    epochs: list[tuple[float, float]], monitor: str
) -> None:
    """What is kept at the end of each epoch is what the whole history calls the best."""
    rows = [{"val_macro_f1": score, "val_loss": loss} for score, loss in epochs]
    kept = [n for n in range(1, len(rows) + 1) if history.best_epoch(rows[:n], monitor) == n]
    assert kept[-1] == history.best_epoch(rows, monitor)


def test_a_lower_loss_alone_is_no_progress_to_early_stopping() -> None:
    rows = [{"val_top1": 1.0, "val_loss": 1 / n} for n in range(1, 4)]
    assert history.best_epoch(rows, "val_top1") == 3
    assert history.stopped_early(rows, "val_top1", 2)
    assert not history.stopped_early(rows, "val_loss", 2)


@pytest.mark.parametrize(
    ("patience", "since", "stopped"),
    [(3, 0, False), (2, 0, True), (0, 0, False), (2, 2, True), (2, 3, False)],
)
def test_patience_counts_from_the_best_or_from_an_extension(
    patience: int, since: int, stopped: bool
) -> None:
    rows = [{"val_top1": value} for value in (0.1, 0.3, 0.2, 0.2)]
    assert history.stopped_early(rows, "val_top1", patience, since) == stopped


def test_a_history_behind_another_counts_back_from_0() -> None:
    own = History({"epoch": np.array([1.0, 2.0]), "loss": np.array([0.3, 0.2])})
    before = History({"epoch": np.array([1.0, 2.0, 1.0]), "loss": np.array([0.9, 0.8, 0.7])})
    whole = own.after(before, [(2, "a"), (3, "b")])
    assert whole.epochs.tolist() == [-2, -1, 0, 1, 2]
    assert whole["loss"].tolist() == [0.9, 0.8, 0.7, 0.3, 0.2]
    assert whole.marks == ((-1, "a"), (0, "b"))
