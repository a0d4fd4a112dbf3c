"""predictions.parquet, there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import fake_run
from trainer.metrics import metrics, predictions
from trainer.metrics.probabilities import Temperature

NAMES = ("apu", 'a "quoted", one', "猫")


def test_comes_back_as_it_went(tmp_path: Path) -> None:
    case = fake_run.predictions([5, 3, 2])
    predictions.write(tmp_path / "p.parquet", case, NAMES, {"split": "test"})
    found, classes, about = predictions.read(tmp_path / "p.parquet")
    assert (found.ids, classes, about) == (case.ids, NAMES, {"split": "test"})
    np.testing.assert_array_equal(found.labels, case.labels)
    np.testing.assert_allclose(found.probabilities(), case.probabilities(), rtol=1e-5)
    mine, theirs = (metrics.evaluate(p, [200, 50, 9]).summary() for p in (case, found))
    assert mine == pytest.approx(theirs, rel=1e-4)


def test_stored_probabilities_are_calibrated_and_lead_back_to_the_logits(tmp_path: Path) -> None:
    case, temperature = fake_run.predictions([5, 3, 2]), Temperature(1.7)
    predictions.write(tmp_path / "p.parquet", case, NAMES, temperature=temperature)
    found, _, about = predictions.read(tmp_path / "p.parquet")
    np.testing.assert_allclose(found.probabilities(), case.probabilities(1.7), rtol=1e-5)
    stored = predictions.stored_temperature(about)
    assert stored == temperature
    raw = found.at(1 / stored.value)
    np.testing.assert_allclose(raw.probabilities(), case.probabilities(), rtol=1e-4)


def test_a_file_of_an_earlier_version_has_no_temperature() -> None:
    assert predictions.stored_temperature({"split": "test"}) is None


def test_a_row_reads_without_us(tmp_path: Path) -> None:
    case = fake_run.predictions([2, 1, 1])
    predictions.write(tmp_path / "p.parquet", case, NAMES)
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["id"] for row in rows] == list(case.ids)
    assert [row["label"] for row in rows] == ["apu", "apu", 'a "quoted", one', "猫"]
    for row, probabilities in zip(rows, case.probabilities(), strict=True):
        assert row["predicted"] == NAMES[int(probabilities.argmax())]
        assert row["probability"] == pytest.approx(probabilities.max())
        assert row["probabilities"] == pytest.approx(probabilities.tolist())
        true = row["probabilities"][NAMES.index(row["label"])]
        assert row["loss"] == pytest.approx(-np.log(true), rel=1e-4)


def test_leaves_no_half_file(tmp_path: Path) -> None:
    case = fake_run.predictions([1, 1, 1])
    with pytest.raises(ValueError, match="2 class names for 3 classes"):
        predictions.write(tmp_path / "p.parquet", case, NAMES[:2])
    assert list(tmp_path.iterdir()) == []


def test_says_that_a_file_is_another_ones(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("id\n")
    for name in ("other.parquet", "text.parquet"):
        with pytest.raises(predictions.PredictionsError, match="evaluate the run again"):
            predictions.read(tmp_path / name)
