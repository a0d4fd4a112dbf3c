"""What the page of a sweep says of its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.config import TrainConfig
from trainer.runs.history import History
from trainer.sweep import leaderboard, leaderboard_page
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
