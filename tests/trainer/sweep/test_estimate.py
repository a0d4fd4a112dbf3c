from __future__ import annotations

import dataclasses

import pytest

from trainer.config import TrainConfig
from trainer.recipes import choice
from trainer.runs.history import History
from trainer.sweep import estimate, trials
from trainer.sweep.config import SweepConfig
from trainer.sweep.grid import Trial
from trainer.sweep.trial_status import TrainingSet, TrialProgress
from trainer.sweep.trials import Entry

SWEEP = SweepConfig(data_dir="o", runs_dir="rs", grid="g.yaml")
OURS = {"model": "springfield_cnn", "epochs": 4}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate.cores, "usable", lambda: 2)


def config(**flags: object) -> TrainConfig:
    return TrainConfig(data_dir="o", run_dir="r", **flags)  # type: ignore[arg-type]  # Of a test.


def entry(pictures: int = 3000, done: int = 0, status: str = "", **flags: object) -> Entry:
    history = History({"epoch": list(range(1, done + 1))}) if done else History({})
    found = TrainingSet(3, pictures, 400, (160, 160))
    made = Entry(Trial("a", config(**flags)), found, TrialProgress(history))
    made.status = status or made.status
    return made


def seconds(*entries: Entry, sweep: SweepConfig = SWEEP) -> float:
    return estimate.seconds(sweep, entries)


def test_a_trial_alone_takes_what_its_recipe_does() -> None:
    for recipe in ("scratch", "head", "finetune"):
        alone = entry(recipe=recipe)
        expected = choice.seconds(recipe, estimate._situation(alone))
        assert seconds(alone) == pytest.approx(expected)


def _fitted(entry: Entry) -> float:
    """Returns seconds of a head whose features are there: a start, and the fit on two cores."""
    fit = choice.training_seconds("head", estimate._situation(entry), 0)
    assert fit > 0
    return choice.ALWAYS_SECONDS + fit / 2


def test_trials_add_up_and_features_count_once() -> None:
    ours = entry(**OURS)
    assert seconds(ours, ours) == pytest.approx(2 * seconds(ours))
    head = entry(recipe="head")
    more, small = _fitted(head), entry(100, recipe="head")
    assert seconds(head, head) == pytest.approx(seconds(head) + more)
    # The larger trial's features hold those of the smaller one.
    assert seconds(head, small) == pytest.approx(seconds(head) + _fitted(small))
    viewed = entry(recipe="head", feature_views=3)
    assert seconds(head, viewed) > seconds(viewed) + seconds(head) - 1.01 * choice.ALWAYS_SECONDS


def test_epochs_that_are_trained_are_left_out() -> None:
    work = seconds(entry(**OURS)) - choice.ALWAYS_SECONDS
    assert seconds(entry(done=3, **OURS)) == pytest.approx(choice.ALWAYS_SECONDS + work / 4)


def test_halving_trains_the_rungs_alone() -> None:
    sweep = dataclasses.replace(SWEEP, halving=2, rungs=1)
    work = seconds(entry(**OURS)) - choice.ALWAYS_SECONDS
    # Both train two of four epochs, and one of them the others.
    found = seconds(entry(**OURS), entry(**OURS), sweep=sweep)
    assert found == pytest.approx(3 * choice.ALWAYS_SECONDS + 1.5 * work)


def test_starts_of_trials_at_once_overlap() -> None:
    both = dataclasses.replace(SWEEP, parallel=9)
    ours = entry(**OURS)
    less = seconds(ours, ours) - seconds(ours, ours, sweep=both)
    assert less == pytest.approx(choice.ALWAYS_SECONDS)


def test_the_line_counts_what_is_left_and_what_is_not_known() -> None:
    others = entry(model="mobilenetv2"), entry(wide=True, **OURS)
    done = entry(status=trials.DONE, **OURS), entry(status=trials.REFUSED, **OURS)
    head = entry(recipe="head")
    said = estimate.line(SWEEP, [entry(**OURS), head, head, *others, *done], gpu=False)
    assert said.startswith("estimate: about ") and " for 3 trials, starts and reports" in said
    assert said.endswith(
        "; features that trials share are counted once; 2 trials of other networks not counted"
    )
    assert estimate.line(SWEEP, [entry(**OURS)], gpu=True) == ""
    assert estimate.line(SWEEP, [entry(device="cpu", **OURS)], gpu=True)
    assert estimate.line(SWEEP, [*others, *done], gpu=False) == ""
