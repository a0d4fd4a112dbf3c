"""An epoch's totals, its line on the screen, and the advice."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.runs.train_configs import config
from trainer.train import epoch
from trainer.train.epoch import Meter
from trainer.train.step import Tally, empty_tally

ROW = {
    "loss": 1.5, "top1": 0.4, "val_loss": 1.25, "val_top1": 0.5, "val_macro_f1": 0.375,
    "images_per_second": 1234.5, "input_wait": 0.03,
}  # fmt: skip


def test_the_line_of_an_epoch_tells_rate_and_wait() -> None:
    line = epoch.summary(ROW, config())
    assert "1,234 img/s  input-bound 3%" in line
    assert "waits for input" not in line


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "--cache=decoded"),
        ({"cache": "encoded"}, "--cache=decoded"),
        ({"cache": "decoded", "augment": ("flip", "rotate")}, "--augment without rotate"),
        ({"cache": "decoded"}, "fewer --augment"),
        ({"cache": "decoded", "augment": ()}, "more CPU cores"),
    ],
)
def test_advice_names_what_is_not_yet_done(changes: dict[str, object], advice: str) -> None:
    line = epoch.summary(ROW | {"input_wait": 0.25}, config(**changes))
    assert "input-bound 25% (the device waits for input: " in line and advice in line


def steps(*pictures: int) -> list[Tally]:
    return [Tally(np.array(1.5 * n), *(np.full(2, n / 2) for _ in range(3))) for n in pictures]


def test_rate_and_wait_leave_out_the_step_that_compiles() -> None:
    meter = Meter(empty_tally(2))
    assert meter.rate == 0 and meter.input_wait == 0
    assert meter.add(steps(8), timed=False) == 8
    meter.spend(waited=3.0, seconds=10.0, timed=False)
    assert meter.rate == pytest.approx(0.8)  # All there is so far.
    meter.add(steps(8, 4), timed=True)
    meter.spend(waited=0.5, seconds=2.0, timed=True)
    assert meter.rate == pytest.approx(6)
    assert meter.input_wait == pytest.approx(0.25)
    assert meter.seconds == pytest.approx(12) and meter.pictures == 20


def test_what_a_checkpoint_keeps_makes_the_meter_whole_again() -> None:
    meter = Meter(empty_tally(2))
    meter.add(steps(8), timed=True)
    meter.spend(waited=0.1, seconds=1.0, timed=True)
    again = Meter(meter.tally, **meter.counters())
    assert again.counters() == meter.counters() and again.rate == meter.rate
    np.testing.assert_array_equal(again.tally.actual, meter.tally.actual)
