from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.train import step as steps
from trainer.train.step import Tally


def test_train_metrics_are_those_of_a_confusion_matrix() -> None:
    confusion = np.array([[5, 1, 0, 0], [2, 3, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    tally = Tally(
        np.asarray(24.0), np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    )
    found = steps.train_metrics(tally)
    assert found["loss"] == pytest.approx(2.0) and found["top1"] == pytest.approx(8 / 12)
    f1 = [2 * 5 / (6 + 8), 2 * 3 / (5 + 4), 0]  # Of the classes that have pictures, as for others.
    assert found["macro_f1"] == pytest.approx(np.mean(f1))


def test_train_macro_f1_leaves_out_a_class_that_was_only_predicted() -> None:
    confusion = np.array([[3, 1], [0, 0]])
    tally = Tally(np.asarray(1.0), np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1))
    assert steps.train_metrics(tally)["macro_f1"] == pytest.approx(6 / 7)


def test_tallies_add() -> None:
    one = Tally(np.float32(1.5), *(np.array([1, 2], np.float32),) * 3)
    total = steps.add_tallies(steps.add_tallies(steps.empty_tally(2), one), one)
    assert total.loss == 3.0 and total.right.dtype == np.float64
    np.testing.assert_array_equal(total.actual, [2, 4])


@pytest.mark.parametrize("rows", [None, 1, 3])
def test_a_packed_tally_is_taken_apart_for_each_step(rows: int | None) -> None:
    packed = np.arange(7 * (rows or 1), dtype=np.float32).reshape([*([rows] if rows else []), 7])
    found = steps.to_host(tf.constant(packed))
    assert len(found) == steps.steps_in(tf.constant(packed)) == (rows or 1)
    last = found[-1]
    assert last.loss == packed.flat[-7]
    np.testing.assert_array_equal(np.concatenate(last[1:]), packed.flat[-6:])
