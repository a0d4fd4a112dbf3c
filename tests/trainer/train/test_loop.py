"""Whole runs of a network of a few hundred parameters."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.runs.runs import (
    assert_same_end,
    command,
    config,
    final_state,
    fine_tuning,
    read_metrics,
)
from tfrecords import example, framing
from tfrecords.errors import TrainerError, UsageError
from tfrecords.system.locks import LockedError
from trainer.config import TrainConfig
from trainer.data.stream import evaluation_stream
from trainer.metrics import inference
from trainer.runs import checkpoints, directory, tensorboard
from trainer.runs.config_file import RunConfig
from trainer.runs.load import load_run
from trainer.train import loop, state
from trainer.train.__main__ import COMMAND
from trainer.train.loop import RunResult
from trainer.train.prepare import prepare
from trainer.train.run import run
from trainer.train.step import to_host as steps_to_host

FIRST_COLUMNS = (
    "epoch,step,loss,top1,macro_f1,val_loss,val_top1,val_macro_f1,val_balanced_accuracy,"
    "learning_rate,images_per_second,input_wait"
)
STEPS = 4  # An epoch: 31 records in batches of 8.
EXECUTE = loop._execute


def train(settings: TrainConfig) -> RunResult:
    """Trains; the report of `finished` is enough, since drawing one takes longer than training."""
    return run(settings, report=False)


def test_the_run_directory_holds_what_it_should(finished: RunResult) -> None:
    assert (finished.status, finished.epochs, finished.step) == ("completed", 3, 3 * STEPS)
    folder = finished.run_dir
    for name in (
        "config.json", "metrics.csv", "model.keras", "per_class.csv", "confusion.png",
        "curves.png", "predictions.parquet", "report/index.html", "checkpoints/best.ckpt",
    ):  # fmt: skip
        assert (folder / name).stat().st_size > 0, name
    assert not list(folder.rglob("*tmp*"))
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert header.startswith(FIRST_COLUMNS + ",")
    rows = read_metrics(folder)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "4"), ("2", "8"), ("3", "12")]
    for row in rows:
        assert 0 <= float(row["val_top1"]) <= 1 and float(row["loss"]) > 0
        assert float(row["images_per_second"]) > 0 and 0 <= float(row["input_wait"]) <= 1


def test_config_describes_the_run(finished: RunResult, data_dir: Path) -> None:
    stored = json.loads((finished.run_dir / "config.json").read_text())
    assert stored["flags"]["model"] == "tests.support.networks.tiny:network"
    manifest = json.loads((data_dir / "manifest.json").read_text())
    assert stored["dataset"]["digest"] == manifest["digests"]["dataset"]
    assert stored["selection"]["classes"] == list(fakes.CLASSES)
    assert stored["versions"]["tensorflow"] == tf.__version__
    assert stored["device"]["kind"] == "cpu" and stored["device"]["deterministic"] is True


def test_best_is_what_is_saved_and_loaded(finished: RunResult, data_dir: Path) -> None:
    loaded = load_run(finished.run_dir)
    assert loaded.selection.classes == fakes.CLASSES and loaded.size == (16, 16)
    assert loaded.train_counts == (12, 8, 5)
    stream = evaluation_stream(
        loaded.manifest, data_dir, "validation", loaded.selection, loaded.size, 4
    )
    predictions = inference.predict(loaded.model, stream)
    assert len(predictions.ids) == 9
    top1 = float((predictions.predicted == predictions.labels).mean())
    assert top1 == pytest.approx(finished.best["val_top1"])
    saved = keras.saving.load_model(finished.run_dir / "model.keras")
    again = inference.predict(saved, stream)
    np.testing.assert_array_equal(again.logits, predictions.logits)


def test_tensorboard_has_the_epochs_as_keras_writes_them(finished: RunResult) -> None:
    last = read_metrics(finished.run_dir)[-1]
    expected = {
        "train": {"epoch_loss": "loss", "epoch_accuracy": "top1", "epoch_macro_f1": "macro_f1"},
        "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_top1"},
    }
    for part, tags in expected.items():
        path = finished.run_dir / "tensorboard" / part / tensorboard.FILENAME
        events = [tf.compat.v1.Event.FromString(data) for data in framing.read_records(str(path))]
        assert events[0].file_version == "brain.Event:2"
        epochs = [e for e in events[1:] if e.summary.value[0].tag.startswith("epoch_")]
        assert [event.step for event in epochs] == [0, 1, 2]
        values = {value.tag: value.simple_value for value in epochs[-1].summary.value}
        for tag, column in tags.items():
            assert values[tag] == pytest.approx(float(last[column]))
        images = {v.tag for e in events[1:] for v in e.summary.value if v.image.height}
        assert images == ({"samples"} if part == "train" else {"confusion"})


def test_the_same_command_again_changes_nothing(finished: RunResult, data_dir: Path) -> None:
    before = (finished.run_dir / "metrics.csv").read_text()
    weights = final_state(finished.run_dir)
    again = train(config(data_dir, finished.run_dir))
    assert again == finished
    assert (finished.run_dir / "metrics.csv").read_text() == before
    for name, values in final_state(finished.run_dir).items():
        np.testing.assert_array_equal(values, weights[name])


def test_a_run_of_another_configuration_is_refused(finished: RunResult, data_dir: Path) -> None:
    with pytest.raises(UsageError) as refused:
        train(config(data_dir, finished.run_dir, epochs=2, augment=()))
    assert "--epochs was 3, is now 2" in str(refused.value)
    assert "--augment was auto, is now empty" in str(refused.value)


def test_a_run_on_other_data_is_refused(finished: RunResult, tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path)
    with pytest.raises(UsageError, match="the data set was .*, is now "):
        train(config(tmp_path, finished.run_dir))


def test_a_training_of_one_epoch_is_told_in_the_singular(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config(data_dir, tmp_path / "r", epochs=1, progress="lines"))
    assert f"; 1 epoch of {STEPS} steps of 8" in "".join(capsys.readouterr())


def test_the_report_is_named_by_the_run_dir_as_typed(
    finished: RunResult,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("trainer.train.run.run", lambda config: finished)
    argv = command(config(data_dir, Path("runs/a")))[3:]
    assert COMMAND.run(argv) == 0
    assert "\nreport: runs/a/report/index.html\n" in capsys.readouterr().out


def test_noresume_starts_anew(finished: RunResult, data_dir: Path, tmp_path: Path) -> None:
    train(config(data_dir, tmp_path / "r", seed=4, epochs=1))
    train(config(data_dir, tmp_path / "r", resume=False))
    assert_same_end(finished.run_dir, tmp_path / "r")


def test_accumulated_gradients_are_those_of_the_large_batch(data_dir: Path, tmp_path: Path) -> None:
    settings = {"model": "tests.support.networks.tiny:plain", "optimizer": "sgd", "epochs": 2}
    train(config(data_dir, tmp_path / "one", **settings))
    train(config(data_dir, tmp_path / "four", grad_accum=4, **settings))
    whole, parts = final_state(tmp_path / "one"), final_state(tmp_path / "four")
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_steps_in_one_execution_are_the_same_steps(
    finished: RunResult, data_dir: Path, tmp_path: Path
) -> None:
    train(config(data_dir, tmp_path / "r", steps_per_execution=3))
    assert_same_end(finished.run_dir, tmp_path / "r")


def test_the_host_reads_what_a_step_found_two_steps_later(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, read_after = [0], []

    def execute(*arguments: Any) -> Any:
        given[0] += 1
        return EXECUTE(*arguments)

    def to_host(packed: tf.Tensor) -> Any:
        read_after.append(given[0])
        return steps_to_host(packed)

    monkeypatch.setattr(loop, "_execute", execute)
    monkeypatch.setattr(state, "to_host", to_host)
    train(config(data_dir, tmp_path / "r", epochs=2, checkpoint_steps=0))
    # The first compiles and is waited for; at the end of an epoch all are.
    assert read_after == [1, 4, 4, 4, 7, 8, 8, 8]


@pytest.mark.parametrize(
    "flags", [{}, {"steps_per_execution": 3}, {"grad_accum": 2}], ids=["plain", "stacked", "parts"]
)
def test_augmenting_in_the_step_trains_on_the_same_pictures(
    flags: dict[str, Any], data_dir: Path, tmp_path: Path
) -> None:
    """To rounding, so the networks are alike; killed and resumed, the run ends in the same bits."""
    flags = {"augment": ("flip", "crop", "color", "mixup", "cutmix"), "epochs": 2, **flags}
    flags |= {"model": "tests.support.networks.tiny:plain", "optimizer": "sgd"}
    train(config(data_dir, tmp_path / "host", augment_on="host", **flags))
    settings = config(data_dir, tmp_path / "device", augment_on="device", **flags)
    train(settings)
    host, device = final_state(tmp_path / "host"), final_state(tmp_path / "device")
    for name, values in host.items():
        np.testing.assert_allclose(device[name], values, rtol=2e-3, atol=2e-4, err_msg=name)
    assert (host["tally/actual"] == device["tally/actual"]).all()
    cut = tmp_path / "cut"
    train(dataclasses.replace(settings, run_dir=str(cut), stop_after_epoch=1))
    train(dataclasses.replace(settings, run_dir=str(cut)))
    assert_same_end(tmp_path / "device", cut)


def test_what_the_device_cannot_do_is_refused_before_anything_is_written(
    data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--augment_on=device does not go with --augment=rotate"):
        train(config(data_dir, tmp_path / "r", augment=("rotate",), augment_on="device"))
    assert not (tmp_path / "r").exists()


def test_it_learns(data_dir: Path, tmp_path: Path) -> None:
    result = train(config(data_dir, tmp_path / "r", epochs=6, learning_rate=0.1, augment=("flip",)))
    assert result.best["val_top1"] > 0.8


def test_a_diverging_loss_stops_the_run(data_dir: Path, tmp_path: Path) -> None:
    settings = config(data_dir, tmp_path / "r", model="tests.support.networks.tiny:diverging")
    with pytest.raises(TrainerError, match=r"the loss became (nan|inf) at step 1 \(epoch 1\)"):
        train(settings)
    assert not list((tmp_path / "r").rglob("*.ckpt"))


def test_weights_that_are_not_finite_are_never_saved(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = EXECUTE

    def execute(task: Any, state: Any, batch: Any) -> Any:
        tally = real(task, state, batch)
        if state.step == 2:
            variable = state.stepper.model.trainable_variables[0]
            variable.assign(np.full(variable.shape, np.nan))
        return tally

    monkeypatch.setattr(loop, "_execute", execute)
    with pytest.raises(TrainerError, match="kernel is not finite .* step 2 is kept"):
        train(config(data_dir, tmp_path / "r", checkpoint_steps=1))
    assert checkpoints.first_not_finite(final_state(tmp_path / "r")) is None


def test_a_second_process_is_kept_out(finished: RunResult, data_dir: Path) -> None:
    with (
        directory.locked(finished.run_dir),
        pytest.raises(LockedError, match="another process trains in"),
    ):
        train(config(data_dir, finished.run_dir))


def test_early_stopping(data_dir: Path, tmp_path: Path) -> None:
    flags = {"epochs": 30, "learning_rate": 0.0, "early_stopping": 2, "monitor": "val_macro_f1"}
    result = train(config(data_dir, tmp_path / "r", **flags))
    assert result.status == "stopped_early"
    rows = read_metrics(tmp_path / "r")
    scores = [float(row["val_macro_f1"]) for row in rows]
    assert result.epochs == scores.index(max(scores)) + 1 + 2
    equals = [row for row in rows if float(row["val_macro_f1"]) == max(scores)]
    lowest = min(equals, key=lambda row: float(row["val_loss"]))
    assert result.best_epoch == int(lowest["epoch"])


def test_weights_that_an_earlier_version_kept_are_called_by_their_epoch(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It kept the first of equals; the checkpoint says which epoch its weights are of."""
    settings = config(data_dir, tmp_path / "r", epochs=3, learning_rate=0.0)
    result = train(settings)
    kept = checkpoints.Store(tmp_path / "r" / "checkpoints").best()
    assert kept is not None and result.best_epoch is not None
    other = result.best_epoch % 3 + 1
    latest = checkpoints.Store(tmp_path / "r" / "checkpoints").latest()
    assert latest is not None
    first = dataclasses.replace(kept, epoch=other - 1, history=latest.history[:other])
    checkpoints.Store(tmp_path / "r" / "checkpoints").save_best(first)
    again = train(dataclasses.replace(settings, progress="lines"))
    assert (again.best_epoch, again.best["epoch"]) == (other, other)
    assert f"the weights are those of epoch {other}" in capsys.readouterr().err


def test_freezing_then_training_everything(
    finished: RunResult, data_dir: Path, tmp_path: Path
) -> None:
    weights = finished.run_dir / "model.keras"
    settings = config(
        data_dir, tmp_path / "r", weights=str(weights), freeze_epochs=2, keep_checkpoints=9
    )
    train(settings)
    start = keras.saving.load_model(weights).trainable_variables[0].numpy()
    kernels = [
        checkpoints.read(path).arrays["model/0000/kernel"]
        for path in sorted((tmp_path / "r" / "checkpoints").glob("step-*"))
    ]
    np.testing.assert_array_equal(kernels[0], start)
    np.testing.assert_array_equal(kernels[1], start)
    assert (kernels[2] != start).any()
    loaded = RunConfig.read(tmp_path / "r").loaded
    assert re.fullmatch(rf"loaded (\d+) of \1 weights from {re.escape(str(weights))}", loaded)


def test_loaded_normalisation_keeps_its_statistics_unless_asked(
    finished: RunResult, data_dir: Path, tmp_path: Path
) -> None:
    before = {v.path: v.numpy() for v in load_run(finished.run_dir).model.variables}
    (mean,) = (value for path, value in before.items() if path.endswith("moving_mean"))
    for asked in (False, True):
        run_dir = tmp_path / str(asked)
        flags = fine_tuning(finished.run_dir) | {"epochs": 2, "train_batch_norm": asked}
        train(config(data_dir, run_dir, **flags))
        (after,) = (v for name, v in final_state(run_dir).items() if name.endswith("moving_mean"))
        assert np.array_equal(after, mean) != asked


def test_a_fine_tuned_run_is_saved_as_trainable(
    finished: RunResult, data_dir: Path, tmp_path: Path
) -> None:
    flags = fine_tuning(finished.run_dir) | {"epochs": 1}
    saved = train(config(data_dir, tmp_path / "r", **flags)).run_dir / "model.keras"
    assert len(keras.saving.load_model(saved).trainable_variables) == 5


def test_out_of_memory_is_explained(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(batch: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(loop.Stepper, "_compile", lambda self: step)
    with pytest.raises(TrainerError, match="out of memory at --batch_size=8: .*--grad_accum"):
        train(config(data_dir, tmp_path / "r"))


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    manifest = fakes.write_dataset(tmp_path / "data")
    shard = tmp_path / "data" / manifest.split("train").shards[0].filename
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(TrainerError, match=f"{shard.name}: damaged record at byte"):
        train(config(tmp_path / "data", tmp_path / "r"))


def test_classes_without_a_record_are_named(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path, {"train": (4, 0, 3), "validation": (0, 1, 0)})
    with pytest.raises(TrainerError, match="1 selected classes have no record .* 'bart'"):
        train(config(tmp_path, tmp_path / "r"))
    with pytest.raises(TrainerError, match="has no picture of the selected classes"):
        train(config(tmp_path, tmp_path / "r", classes=("apu", "lisa")))


def test_validation_is_natural_and_uncopied(finished: RunResult, data_dir: Path) -> None:
    task = prepare(config(data_dir, finished.run_dir))
    ids = [id_ for _, _, ids in loop.validation_stream(task) for id_ in ids.numpy()]
    assert len(ids) == 9 and not any(b"#" in id_ for id_ in ids)


def test_metrics_columns_begin_as_agreed() -> None:
    assert ",".join(directory.COLUMNS[:12]) == FIRST_COLUMNS


def test_the_fakes_have_one_order(data_dir: Path) -> None:
    """What the other tests rely on: 31 records of rank 0 to 13, copies last."""
    records = [
        example.decode(record)
        for path in sorted(data_dir.glob("fake-train*"))
        for record in framing.read_records(str(path))
    ]
    assert len(records) == 31 == STEPS * 8 - 1
    assert {r.rank for r in records if r.copy} == {12, 13, 8, 9, 5, 6}


def test_the_best_checkpoint_of_another_run_is_none(data_dir: Path, tmp_path: Path) -> None:
    """Its weights would be written as this run's network."""
    settings = config(data_dir, tmp_path / "a", epochs=1)
    own = train(settings)
    other = train(config(data_dir, tmp_path / "b", epochs=1, seed=7))
    assert own.weights == "best"
    best = Path("checkpoints", "best.ckpt")
    (own.run_dir / best).write_bytes((other.run_dir / best).read_bytes())
    again = train(settings)
    assert (again.weights, again.best_epoch) == ("last", 1)
