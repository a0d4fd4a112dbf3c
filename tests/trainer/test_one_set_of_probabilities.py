"""A picture has the same probabilities in evaluate, in predict, in Python and in an export."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import evenshard
from tests.support.runs import tiny_run
from tfrecords import example, framing
from tfrecords import manifest as manifests
from tfrecords.images import canonicalise
from trainer.evaluate import __main__ as evaluate
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.export import run as exporting
from trainer.export.config import ExportConfig
from trainer.metrics import predictions
from trainer.predicting import run as predicting
from trainer.runs.load import open_run

TEMPERATURE = 1.7
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("one")
    trained = tiny_run.train(tiny_run.write_data(root / "data"), root / "run")
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.trust_temperature(patch, trained, TEMPERATURE)
        yield trained


@pytest.fixture(scope="module")
def evaluated(run_dir: Path) -> dict[str, np.ndarray]:
    """Record id → float32[classes], from the table that evaluate writes."""
    evaluation.run(EvaluateConfig(run_dir=str(run_dir)))
    found, _, about = predictions.read(run_dir / "evaluation" / "test" / predictions.FILENAME)
    assert about["temperature"] == TEMPERATURE
    return dict(zip(found.ids, found.probabilities(), strict=True))


@pytest.fixture(scope="module")
def pictures(run_dir: Path) -> dict[str, np.ndarray]:
    """Record id → uint8[height, width, 3] of the test split."""
    data_dir = run_dir.parent / "data"
    manifest = manifests.load(data_dir)
    records = (
        example.decode(data)
        for shard in manifest.split("test").shards
        for data in framing.read_records(str(data_dir / shard.filename))
    )
    return {r.id: canonicalise.decode_record(r.image, manifest.image) for r in records}


def test_they_are_the_calibrated_ones(
    run_dir: Path, evaluated: dict[str, np.ndarray], pictures: dict[str, np.ndarray]
) -> None:
    opened = open_run(run_dir)
    logits = opened.model(np.stack(list(pictures.values())), training=False).numpy()
    expected = tf.nn.softmax(logits.astype(np.float64) / TEMPERATURE).numpy()
    for id_, row in zip(pictures, expected, strict=True):
        np.testing.assert_allclose(evaluated[id_], row, atol=TOLERANCE)
    assert np.abs(expected - tf.nn.softmax(logits).numpy()).max() > 1e-3


def test_the_loss_is_that_of_them(
    run_dir: Path, evaluated: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    """On the console, in evaluation.json, on the page and in Python."""
    found, _, _ = predictions.read(run_dir / "evaluation" / "test" / predictions.FILENAME)
    true = [evaluated[id_][label] for id_, label in zip(found.ids, found.labels, strict=True)]
    loss = float(-np.log(true).mean())
    result = evenshard.load_run(run_dir).evaluate()
    stored = json.loads((run_dir / "evaluation" / "test" / "evaluation.json").read_text())
    assert result.metrics == stored["metrics"]
    assert result.metrics["loss"] == pytest.approx(loss, rel=1e-5)
    raw = result.metrics["loss_uncalibrated"]
    assert raw is not None and abs(raw - loss) > 1e-3
    assert evaluate.COMMAND.run([f"--run_dir={run_dir}"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith(f"loss {loss:.4f} (without the temperature {raw:.4f})")
    assert second.startswith("its own validation") and second.endswith(" without the temperature")
    card = f'{loss:.3f}</div><div class="note">cross-entropy, nats; without temperature {raw:.3f}<'
    assert card in result.report.read_text(encoding="utf-8")
    # What a run calls val_loss has none.
    run = evenshard.load_run(run_dir)
    validated = run.evaluate("validation").metrics["loss_uncalibrated"]
    assert validated == pytest.approx(run.best["val_loss"], rel=1e-4)


def test_of_predict(
    run_dir: Path,
    evaluated: dict[str, np.ndarray],
    pictures: dict[str, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    names = {f"{number}.png": id_ for number, id_ in enumerate(pictures)}
    for name, id_ in names.items():
        Image.fromarray(pictures[id_]).save(tmp_path / "in" / name)
    output = tmp_path / "s.csv"
    predicting.run(str(run_dir), str(tmp_path / "in"), str(output), top_k=3, workers=1)
    assert "probabilities at temperature 1.700" in capsys.readouterr().err
    classes = open_run(run_dir).selection.classes
    with open(f"{output}.top_k.csv", newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    assert len(rows) == len(evaluated)
    for name, *cells in rows:
        shares = dict(zip(cells[::2], map(float, cells[1::2]), strict=True))
        expected = evaluated[names[name]]
        np.testing.assert_allclose([shares[c] for c in classes], expected, atol=1e-6)


def test_of_python(
    run_dir: Path, evaluated: dict[str, np.ndarray], pictures: dict[str, np.ndarray]
) -> None:
    found = evenshard.load_run(run_dir).predict(list(pictures.values()))
    for id_, row in zip(pictures, found.probabilities, strict=True):
        np.testing.assert_allclose(row, evaluated[id_], atol=TOLERANCE)


def test_of_an_export(
    run_dir: Path, evaluated: dict[str, np.ndarray], pictures: dict[str, np.ndarray], tmp_path: Path
) -> None:
    result = exporting.run(ExportConfig(run_dir=str(run_dir), output=str(tmp_path)))
    assert "probabilities at temperature 1.700" in exporting.describe(result)
    served = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["pixels"]
    found = served(pixels=tf.constant(np.stack(list(pictures.values()))))["probabilities"].numpy()
    for id_, row in zip(pictures, found, strict=True):
        np.testing.assert_allclose(row, evaluated[id_], atol=TOLERANCE)
