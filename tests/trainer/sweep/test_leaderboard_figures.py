from __future__ import annotations

import numpy as np

from tests.support.runs import train_configs
from trainer.runs.history import History
from trainer.sweep import leaderboard, leaderboard_figures, trials
from trainer.sweep.grid import Trial
from trainer.sweep.trial_status import TrainingSet, TrialProgress
from trainer.sweep.trials import Entry


def entry(name: str, epochs: int) -> Entry:
    columns = {
        column: np.full(epochs, value)
        for column, value in (("val_macro_f1", 0.5), ("val_loss", 1.0), ("seconds", 2.0))
    }
    history = History({"epoch": np.arange(1, epochs + 1), **columns})
    trial = Trial(name, train_configs.config(run_dir=name, epochs=epochs))
    progress = TrialProgress(history, finished=True)
    return Entry(trial, TrainingSet(3, 30, 6, (8, 8)), progress, trials.DONE)


def test_a_trial_of_one_epoch_is_a_dot() -> None:
    rows = leaderboard.rows([entry("one", 1), entry("three", 3)], "val_macro_f1")
    (axes,) = leaderboard_figures.curves(rows, "val_loss").axes
    markers = {len(line.get_xdata()): line.get_marker() for line in axes.get_lines()}
    assert markers == {1: "o", 3: "None"}
