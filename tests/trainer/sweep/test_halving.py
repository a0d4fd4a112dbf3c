from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.runs.history import History
from trainer.sweep import halving

SCORES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.floats(0, 1) | st.just(math.nan),
    min_size=1,
    max_size=12,
)


def history(**columns: list[float]) -> History:
    return History({name: np.array(values) for name, values in columns.items()})


def test_rungs_are_fractions_of_a_trials_own_epochs() -> None:
    assert halving.rung_epochs(27, 3, 2) == (3, 9)
    assert halving.rung_epochs(30, 3, 3) == (2, 4, 10)
    assert halving.rung_epochs(1, 4, 2) == (1, 1)


def test_the_score_is_that_of_the_weights_kept() -> None:
    found = history(val_macro_f1=[0.2, 0.5, 0.4, 0.6], val_top1=[0.9, 0.3, 0.8, 0.7])
    assert halving.score(found, "val_top1", "val_macro_f1") == 0.7
    assert halving.score(found, "val_top1", "val_macro_f1", epochs=3) == 0.3
    assert math.isnan(halving.score(History({}), "val_top1", "val_macro_f1"))
    assert math.isnan(halving.score(found, "val_tail", "val_macro_f1"))


def test_order_is_by_worth_then_by_grid_with_the_unknown_last() -> None:
    scores = {"a": math.nan, "b": 0.5, "c": 0.7, "d": 0.5}
    assert halving.ranked(scores, "val_top1") == ["c", "b", "d", "a"]
    assert halving.ranked(scores, "val_loss") == ["b", "d", "c", "a"]
    assert halving.survivors(scores, "val_top1", 2) == ("b", "c")
    assert halving.survivors(scores, "val_loss", 4) == ("b",)


def test_equals_are_ordered_by_loss_then_by_grid_with_the_unknown_last() -> None:
    scores = {"a": 0.5, "b": 0.5, "c": 0.7, "d": 0.5, "e": math.nan, "f": 0.5}
    losses = {"a": math.nan, "b": 0.2, "c": 0.9, "d": 0.1, "e": 0.0, "f": 0.2}
    assert halving.ranked(scores, "val_top1", losses) == ["c", "d", "b", "f", "a", "e"]
    assert halving.survivors(scores, "val_top1", 3, losses) == ("c", "d")


@settings(deadline=None)
@given(scores=SCORES, eta=st.integers(2, 5))
def test_survivors_are_the_best_and_as_many_as_promised(scores: dict[str, float], eta: int) -> None:
    kept = halving.survivors(scores, "val_top1", eta)
    known = [value for value in scores.values() if not math.isnan(value)]
    assert len(kept) == min(len(known), math.ceil(len(scores) / eta))
    assert list(kept) == [name for name in scores if name in kept]
    beaten = [value for name, value in scores.items() if name not in kept]
    for name in kept:
        assert all(math.isnan(value) or value <= scores[name] for value in beaten)
