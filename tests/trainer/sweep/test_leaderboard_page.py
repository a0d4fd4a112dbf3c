"""What the page of a sweep says of its numbers."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from trainer.config import TrainConfig
from trainer.runs.history import History
from trainer.sweep import leaderboard, leaderboard_page
from trainer.sweep.config import METRICS, SweepConfig
from trainer.sweep.fold_groups import groups_of
from trainer.sweep.grid import Trial
from trainer.sweep.trial_status import TrainingSet, TrialProgress
from trainer.sweep.trials import DONE, Entry


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ((4, 4), []),
        ((3, 3), ["3 of 4 classes"]),
        ((4, 2, 3), ["2 of 4 classes", "3 of 4 classes"]),
        ((None, 4), []),
    ],
)
def test_says_which_classes_the_means_are_over(
    judged: tuple[int | None, ...], said: list[str]
) -> None:
    entries = [
        Entry(
            Trial(f"t{i}", TrainConfig(data_dir="d", run_dir=f"r{i}")),
            TrainingSet(4, 40, 8, (8, 8), number),
            TrialProgress(History({"val_macro_f1": np.array([0.5])})),
            DONE,
        )
        for i, number in enumerate(judged)
    ]
    rows = leaderboard.rows(entries, "val_macro_f1")
    assert leaderboard_page._partly(rows) == said
    header, first, *_ = leaderboard.to_csv(rows).splitlines()
    cells = dict(zip(header.split(","), first.split(","), strict=True))
    assert cells["judged_classes"] == ("" if judged[0] is None else str(judged[0]))


def test_of_equal_trials_the_one_of_the_lower_loss_is_first() -> None:
    entries = [
        Entry(
            Trial(name, TrainConfig(data_dir="d", run_dir=name)),
            TrainingSet(4, 40, 8, (8, 8), 4),
            TrialProgress(
                History({"val_macro_f1": np.array([0.5, 0.5]), "val_loss": np.array([loss, 0.9])})
            ),
            DONE,
        )
        for name, loss in (("a", 0.3), ("b", 0.1), ("c", 0.2))
    ]
    assert [row.name for row in leaderboard.rows(entries, "val_macro_f1")] == ["b", "c", "a"]


@pytest.mark.parametrize("metric", METRICS)
def test_trials_of_versions_without_a_loss_are_drawn_behind_their_equals(
    tmp_path: Path, metric: str
) -> None:
    """Their order among themselves is that of the grid, whatever else there is."""
    manifest = fakes.write_dataset(tmp_path / "d")
    known = {"epoch": [1, 2, 3], "val_macro_f1": [0.5] * 3, "seconds": [1] * 3}
    columns = {
        "bare": known,
        "late": known | {"val_loss": [np.nan, np.nan, 0.2]},
        "unknown": known | {"val_loss": [np.nan] * 3, "val_ece": [np.nan] * 3},
        "full": known | {name: [0.5, 0.4, 0.3] for name in METRICS} | {"val_macro_f1": [0.5] * 3},
        "early": known | {"val_loss": [0.2, np.nan, np.nan], "val_macro_f1": [0.4, 0.5, 0.5]},
        "short": {"val_macro_f1": [0.5]},
        "none": {},
    }
    names = list(columns)
    random.Random(metric).shuffle(names)
    entries = [
        Entry(
            Trial(name, TrainConfig(data_dir=str(tmp_path / "d"), run_dir=name, fold=number % 2)),
            TrainingSet(3, 16, 4, (16, 16), None),
            TrialProgress(
                History({key: np.array(cells, float) for key, cells in columns[name].items()})
            ),
            DONE,
        )
        for number, name in enumerate(names)
    ]
    rows = leaderboard.rows(entries, metric)
    order = [row.name for row in rows]
    assert order == [row.name for row in leaderboard.rows(entries, metric)]
    if metric == "val_macro_f1":
        assert order[:2] == ["late", "full"] and order[-1] == "none"
        assert order[2:-1] == [
            name for name in names if name in ("bare", "unknown", "early", "short")
        ]
    groups = groups_of(rows, metric, 2)
    config = SweepConfig(
        data_dir=str(tmp_path / "d"), runs_dir=str(tmp_path / "s"), grid="g.yaml", metric=metric
    )
    page = leaderboard_page.write_page(config, entries, manifest, groups)
    assert not re.search(r"(?i)(?<![\w#-])nan(?![\w-])", page.read_text(encoding="utf-8"))
