from __future__ import annotations

import io

import numpy as np
import pytest

from trainer.config import TrainConfig
from trainer.runs.history import History
from trainer.sweep import display, trials
from trainer.sweep.display import Display
from trainer.sweep.grid import Trial
from trainer.sweep.trial_status import TrialProgress
from trainer.sweep.trials import Entry


def entry(name: str, status: str, epochs: int = 0, reason: str = "") -> Entry:
    columns = {
        "val_macro_f1": np.linspace(0.1, 0.5, epochs),
        "seconds": np.full(epochs, 60.0),
    }
    history = History(columns if epochs else {})
    config = TrainConfig("data", f"runs/{name}", epochs=9)
    return Entry(Trial(name, config), None, TrialProgress(history), status, reason, "core 0")


ENTRIES = [
    entry("per_class=155", trials.DONE, 9),
    entry("per_class=300", trials.RUNNING, 3),
    entry("a" * 120, trials.FAILED, 0, "out of memory " * 30),
    *(entry(f"later{n}", trials.WAITING) for n in range(30)),
]


def test_the_table_says_where_each_trial_is() -> None:
    lines = display.table(ENTRIES, "val_macro_f1", 120, 50)
    assert len(lines) == 1 + len(ENTRIES) + 1
    assert lines[0].split() == ["trial", "epoch", "macro_f1", "time"]
    assert lines[1].split()[:5] == ["✓", "per_class=155", "9/9", "0.5000", "9:00"]
    assert lines[2].split()[:5] == ["▶", "per_class=300", "3/9", "0.5000", "3:00"]
    assert lines[-1].strip() == "33 trials: 30 waiting, 1 running, 1 done, 1 failed"


@pytest.mark.parametrize(("width", "height"), [(40, 6), (60, 10), (200, 24), (80, 80)])
def test_the_table_fits_the_terminal(width: int, height: int) -> None:
    lines = display.table(ENTRIES, "val_macro_f1", width, height)
    assert len(lines) <= height and max(map(len, lines)) <= width
    shown = "\n".join(lines)
    assert "▶" in shown and "✗" in shown  # What matters is never among the hidden.


def test_without_a_terminal_there_are_plain_lines() -> None:
    stream = io.StringIO()
    shown = Display(ENTRIES, "val_macro_f1", "auto", stream)
    shown.started(ENTRIES[1])
    shown.tick()
    shown.ended(ENTRIES[0])
    shown.ended(ENTRIES[2])
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[2/33] per_class=300: started from epoch 4, core 0"
    assert lines[1].endswith("done, val_macro_f1 0.5000 after 9 of 9 epochs, 9:00")
    assert lines[2].endswith(f"failed, {'out of memory ' * 30}")
    assert "\033" not in stream.getvalue()


def test_a_redrawn_table_takes_the_place_of_the_last() -> None:
    stream = io.StringIO()
    shown = Display(ENTRIES[:2], "val_macro_f1", "table", stream)
    shown.tick()
    shown.tick()
    shown.say("a line")
    text = stream.getvalue()
    assert text.count("\033[4F\033[J") == 2 and text.endswith("a line\n")
