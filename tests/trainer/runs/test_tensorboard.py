"""Event files: as Keras lays them out, with true times, and readable by TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrecords import framing
from trainer.runs import tensorboard
from trainer.runs.tensorboard import Epoch

FLAGS = {"model": "tiny", "epochs": 3, "wide": True, "learning_rate": 0.02}


def epoch(number: int) -> Epoch:
    train = {"epoch_loss": 2.0 - number, "epoch_accuracy": 0.25 * number}
    return Epoch(train, {"epoch_loss": 2.5 - number}, seconds=10.0)


def events(path: Path) -> list[tf.compat.v1.Event]:
    data = framing.read_records(str(path / tensorboard.FILENAME))
    return [tf.compat.v1.Event.FromString(each) for each in data]


def times(folder: Path, part: str = tensorboard.TRAIN) -> list[float]:
    found = [e for e in events(folder / part)[1:] if e.summary.value[0].tag == "epoch_loss"]
    assert [e.step for e in found] == list(range(len(found)))
    return [e.wall_time for e in found]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the module is told; tests move it on."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(tensorboard.time, "time", lambda: now[0])
    return now


def train(folder: Path, clock: list[float], first: int, last: int) -> None:
    """Does what a run does that has `first` epochs behind it and goes on to `last`."""
    tensorboard.restart(folder, [epoch(i) for i in range(first)], FLAGS)
    for number in range(first, last):
        clock[0] += 100
        tensorboard.append(folder, number, epoch(number))


def test_a_resumed_run_keeps_the_times_of_its_epochs(tmp_path: Path, clock: list[float]) -> None:
    train(tmp_path, clock, 0, 3)
    before = times(tmp_path)
    assert before == [1_700_000_100, 1_700_000_200, 1_700_000_300]
    clock[0] += 10_000
    train(tmp_path, clock, 2, 4)  # The third is trained again.
    assert times(tmp_path) == [*before[:2], clock[0] - 100, clock[0]]
    assert times(tmp_path, tensorboard.VALIDATION) == times(tmp_path)


@pytest.mark.parametrize("cut", [0, 40, 200])
def test_lost_times_are_estimated(tmp_path: Path, clock: list[float], cut: int) -> None:
    train(tmp_path, clock, 0, 3)
    before = times(tmp_path)
    path = tmp_path / tensorboard.TRAIN / tensorboard.FILENAME
    path.write_bytes(path.read_bytes()[:cut])
    clock[0] += 50
    tensorboard.restart(tmp_path, [epoch(i) for i in range(3)], FLAGS)
    found = times(tmp_path)
    assert found[2] == clock[0]
    assert found == sorted(found)
    assert found[1] in (clock[0] - 10, before[1])


def test_samples_outlive_a_resume_and_the_confusion_is_the_last(
    tmp_path: Path, clock: list[float]
) -> None:
    train(tmp_path, clock, 0, 1)
    images = np.arange(10 * 4 * 6 * 3, dtype=np.uint8).reshape(10, 4, 6, 3)
    tensorboard.add_samples(tmp_path, images, 0)
    Image.new("RGB", (30, 20)).save(tmp_path / "c.png")
    png = (tmp_path / "c.png").read_bytes()
    for _ in range(2):
        tensorboard.restart(tmp_path, [epoch(0)], FLAGS)
        tensorboard.finish(tmp_path, png, 0)
    by_part = {
        part: [e.summary.value[0] for e in events(tmp_path / part)[1:]]
        for part in (tensorboard.TRAIN, tensorboard.VALIDATION)
    }
    (sheet,) = [v.image for v in by_part["train"] if v.tag == "samples"]
    assert (sheet.height, sheet.width) == (2 * 4, 8 * 6)  # 8 side by side, 2 below.
    (matrix,) = [v.image for v in by_part["validation"] if v.tag == "confusion"]
    assert (matrix.height, matrix.width, matrix.encoded_image_string) == (20, 30, png)


def test_an_event_file_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    old = tf.compat.v1.Event(step=4, wall_time=3.0)
    old.summary.value.add(tag="train/loss", simple_value=1.0)
    (tmp_path / tensorboard.FILENAME).write_bytes(framing.frame(old.SerializeToString()))
    began = time.time()
    tensorboard.restart(tmp_path, [epoch(0)], FLAGS)
    assert "train/loss" not in {v.tag for e in events(tmp_path) for v in e.summary.value}
    assert times(tmp_path)[0] >= began


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    tensorboard.restart(tmp_path, [], FLAGS)
    for number in range(3):
        tensorboard.append(tmp_path, number, epoch(number))
    tensorboard.add_samples(tmp_path, np.zeros((3, 4, 6, 3), np.uint8), 0)
    Image.new("RGB", (30, 20)).save(tmp_path / "c.png")
    tensorboard.finish(tmp_path, (tmp_path / "c.png").read_bytes(), 2)
    parts = {}
    for part in (tensorboard.TRAIN, tensorboard.VALIDATION):
        parts[part] = EventAccumulator(str(tmp_path / part))
        parts[part].Reload()
    assert parts["train"].Tags()["scalars"] == ["epoch_loss", "epoch_accuracy"]
    assert parts["validation"].Tags()["scalars"] == ["epoch_loss"]
    found = parts["train"].Scalars("epoch_loss")
    assert [(s.step, s.value) for s in found] == [(0, 2.0), (1, 1.0), (2, 0.0)]
    assert abs(found[-1].wall_time - time.time()) < 3600
    assert parts["train"].Images("samples")[0].width == 18
    assert parts["validation"].Images("confusion")[0].height == 20
    root = EventAccumulator(str(tmp_path))
    root.Reload()
    content = root.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    started = metadata.parse_session_start_info_plugin_data(content)
    hparams = {name: value.WhichOneof("kind") for name, value in started.hparams.items()}
    assert hparams == {
        "model": "string_value", "epochs": "number_value", "wide": "bool_value",
        "learning_rate": "number_value",
    }  # fmt: skip
    assert started.hparams["epochs"].number_value == 3
    assert abs(started.start_time_secs - time.time()) < 3600
    content = root.summary_metadata["_hparams_/session_end_info"].plugin_data.content
    assert metadata.parse_session_end_info_plugin_data(content).status == 1  # SUCCESS
