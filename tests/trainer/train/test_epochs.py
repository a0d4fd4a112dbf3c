from __future__ import annotations

import pytest

from tests.support.train_configs import config
from trainer.train import epochs

ROW = {
    "loss": 1.5, "top1": 0.4, "val_loss": 1.25, "val_top1": 0.5, "val_macro_f1": 0.375,
    "images_per_second": 1234.5, "input_wait": 0.03,
}  # fmt: skip


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
    assert epochs.best_epoch([{monitor: value} for value in values], monitor) == best


def test_patience_counts_from_the_best() -> None:
    history = [{"val_top1": value} for value in (0.1, 0.3, 0.2, 0.2)]
    patient = config(monitor="val_top1", early_stopping=3)
    assert not epochs.stopped_early(history, patient)
    assert epochs.stopped_early(history, config(monitor="val_top1", early_stopping=2))
    assert not epochs.stopped_early(history, config(monitor="val_top1"))


def test_the_line_of_an_epoch_tells_rate_and_wait() -> None:
    line = epochs.summary(ROW, config())
    assert "1,234 img/s  input-bound 3%" in line
    assert "holds the device up" not in line


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
    line = epochs.summary(ROW | {"input_wait": 0.25}, config(**changes))
    assert "input-bound 25% (the input holds the device up: " in line and advice in line
