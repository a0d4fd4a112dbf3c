"""What people meet: damaged shards, full disks, too little memory; a run is told, never lost."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.runs.runs import assert_same_end, command, config, read_metrics
from tfrecords.errors import OutOfMemoryError, TrainerError
from tfrecords.manifest import Manifest, ManifestError
from tfrecords.system.disk import DiskError
from trainer import devices
from trainer.config import TrainConfig
from trainer.metrics.metrics import Predictions
from trainer.runs.checkpoints import Store
from trainer.train import batch_size, failures, loop
from trainer.train.loop import RunResult
from trainer.train.run import run

SMALL_STEPS = {"batch_size": "2", "epochs": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a data set and a run on it, of `SMALL_STEPS`, that nothing happened to."""
    root = tmp_path_factory.mktemp("undisturbed")
    fakes.write_dataset(root / "data")
    train(config(root / "data", root / "run", **SMALL_STEPS))
    return root / "data", root / "run"


def train(settings: TrainConfig) -> RunResult:
    """Trains without a report: drawing one takes longer than training."""
    return run(settings, report=False)


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Manifest]:
    folder = tmp_path / "data"
    return folder, fakes.write_dataset(folder)


def damage(data_dir: Path, manifest: Manifest, split: str) -> Callable[[], None]:
    """Flips a bit of a split's last shard; returns what restores it."""
    shard = data_dir / manifest.split(split).shards[-1].filename
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    return lambda: shard.write_bytes(whole) and None


@pytest.mark.parametrize("cache", ["none", "encoded", "decoded"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_damaged_shard_is_named_wherever_it_is_read(
    dataset: tuple[Path, Manifest], tmp_path: Path, split: str, cache: str
) -> None:
    damage(*dataset, split)
    with pytest.raises(TrainerError, match=rf"fake-{split}.*: damaged record at byte"):
        train(config(dataset[0], tmp_path / "r", cache=cache, epochs=1))


def test_a_shard_damaged_amid_an_epoch_costs_no_step(
    undisturbed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, whole = undisturbed
    settings = config(data_dir, tmp_path / "r", checkpoint_steps=0, **SMALL_STEPS)
    real: Callable[..., Any] = loop._next

    def fails(task: Any, state: Any, batches: Any) -> Any:
        broken = tf.data.Dataset.range(1).map(lambda _: tf.io.decode_png(b"junk"))
        failing = state.epoch == 1 and state.step == 3
        return real(task, state, iter(broken) if failing else batches)

    monkeypatch.setattr(loop, "_next", fails)
    with pytest.raises(TrainerError, match="cannot read split 'train'"):
        train(settings)
    latest = Store(tmp_path / "r" / "checkpoints").latest()
    assert latest is not None and (latest.epoch, latest.step) == (1, 3)
    monkeypatch.setattr(loop, "_next", real)
    train(settings)
    assert_same_end(whole, tmp_path / "r")


def test_shards_of_another_schema_are_refused(
    dataset: tuple[Path, Manifest], tmp_path: Path
) -> None:
    path = dataset[0] / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(ManifestError, match="99"):
        train(config(dataset[0], tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("kilobytes", [1, 24])  # Fails on config.json; on a checkpoint.
def test_a_full_disk_stops_in_one_line_and_the_run_goes_on_later(
    undisturbed: tuple[Path, Path], tmp_path: Path, kilobytes: int
) -> None:
    """A real one: the kernel refuses every file to grow beyond a limit."""
    data_dir, whole = undisturbed
    settings = config(data_dir, tmp_path / "r", checkpoint_steps=1, **SMALL_STEPS)
    limit = kilobytes * 1024
    done = subprocess.run(
        command(settings),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "r").rglob("*.tmp"))
    train(settings)
    assert_same_end(whole, tmp_path / "r")


def test_a_full_disk_is_not_called_out_of_memory(tmp_path: Path) -> None:
    """TensorFlow has one error for both."""
    settings = config(tmp_path / "d", tmp_path / "r")

    def error(text: str) -> tf.errors.OpError:
        return tf.errors.ResourceExhaustedError(None, None, text)

    for block in (failures.stepping(settings, deterministic=False),
                  failures.stepping(settings, deterministic=True)):  # fmt: skip
        with pytest.raises(DiskError, match="cannot write /o/x: No space left"), block:
            raise error("/o/x; No space left on device")
    with (
        pytest.raises(OutOfMemoryError, match="out of memory at --batch_size=8"),
        failures.stepping(settings, deterministic=False),
    ):
        raise error("OOM when allocating tensor")


def test_a_network_that_diverges_in_validation_stops_the_run(
    dataset: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(*arguments: object) -> Predictions:
        return Predictions(("a", "b"), np.array([0, 1]), np.full((2, 3), np.nan))

    monkeypatch.setattr(loop.inference, "predict", predict)
    with pytest.raises(TrainerError, match=r"not finite at step 2 \(epoch 1\); no checkpoint"):
        train(config(dataset[0], tmp_path / "r"))


def out_of_memory_above(
    monkeypatch: pytest.MonkeyPatch, limit: int, errors: Mapping[int, tf.errors.OpError] = {}
) -> list[int]:
    """Makes steps of more than `limit` pictures fail, of some sizes by an error of their own.

    Returns:
      The sizes tried.
    """
    usual = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    real: Callable[..., Any] = loop.Stepper._gradients
    tried: list[int] = []

    def gradients(self: Any, batch: Any, variables: Any) -> Any:
        tried.append(int(batch.labels.shape[0]))
        if tried[-1] > limit:
            raise errors.get(tried[-1], usual)
        return real(self, batch, variables)

    monkeypatch.setattr(loop.Stepper, "_gradients", gradients)
    return tried


def test_an_automatic_batch_backs_off(
    dataset: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the error is called: of 8 pictures by TensorFlow, of 6 by cuDNN."""
    monkeypatch.setattr(batch_size, "find", lambda *arguments: 8)
    cudnn = tf.errors.NotFoundError(None, None, NO_ALGORITHM)
    tried = out_of_memory_above(monkeypatch, limit=4, errors={6: cudnn})
    settings = config(dataset[0], tmp_path / "r", batch_size="auto", epochs=1)
    assert train(settings).status == "completed"
    assert sorted(set(tried), reverse=True) == [8, 6, 4]
    stored = json.loads((tmp_path / "r" / "config.json").read_text())
    assert stored["flags"]["batch_size"] == "4"
    assert train(settings).step == 4  # The same command finds the same run.


NO_ALGORITHM = "No algorithm worked! Error messages: Profiling failure on CUDNN engine"


@pytest.mark.parametrize(
    ("kind", "text", "memory"),
    [
        (tf.errors.ResourceExhaustedError, "OOM when allocating tensor", True),
        (tf.errors.NotFoundError, NO_ALGORITHM, True),
        (tf.errors.UnknownError, "CUDNN_STATUS_ALLOC_FAILED in cudnnCreate", True),
        (tf.errors.InternalError, "failed to create cublas: ALLOC_FAILED", True),
        (tf.errors.InternalError, "Failed to allocate 512 bytes for new constant", True),
        (tf.errors.InternalError, "CUDA_ERROR_OUT_OF_MEMORY: out of memory", True),
        (tf.errors.InternalError, "CUDA_ERROR_ILLEGAL_ADDRESS", False),
        (tf.errors.NotFoundError, "no file fake-train-00000", False),
        (tf.errors.InvalidArgumentError, "failed to allocate", False),
    ],
)
def test_memory_runs_out_under_many_names(
    kind: type[tf.errors.OpError], text: str, memory: bool
) -> None:
    error = kind(None, None, text)
    assert failures.is_out_of_memory(error) == memory
    expected = OutOfMemoryError if memory else kind
    with pytest.raises(expected), failures.stepping(config("d", "r"), deterministic=False):
        raise error


def test_memory_of_the_host_is_memory_too() -> None:
    assert failures.is_out_of_memory(MemoryError())
    assert not failures.is_out_of_memory(ValueError("out of memory"))


def test_a_given_batch_never_changes_by_itself(
    dataset: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_memory_above(monkeypatch, limit=4)
    with pytest.raises(OutOfMemoryError, match="at --batch_size=8: .*--batch_size=auto"):
        train(config(dataset[0], tmp_path / "r"))


def test_the_cost_of_the_cache_is_told_before_it_is_filled(
    dataset: tuple[Path, Manifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(*dataset, "train")  # So that filling it fails.
    with pytest.raises(TrainerError, match="damaged"):
        train(config(dataset[0], tmp_path / "r", cache="decoded", progress="lines"))
    assert "--cache=decoded will hold about 12.0 KiB in memory, of " in capsys.readouterr().err


def test_the_best_epoch_is_the_monitors(dataset: tuple[Path, Manifest], tmp_path: Path) -> None:
    result = train(config(dataset[0], tmp_path / "r", epochs=4, monitor="val_loss"))
    losses = [float(row["val_loss"]) for row in read_metrics(tmp_path / "r")]
    assert result.best_epoch == losses.index(min(losses)) + 1
    best = Store(tmp_path / "r" / "checkpoints").best()
    assert best is not None and best.epoch == result.best_epoch - 1


def test_xla_gives_the_same_to_rounding(dataset: tuple[Path, Manifest], tmp_path: Path) -> None:
    settings = {"model": "tests.support.networks.tiny:plain", "epochs": 1, "optimizer": "sgd"}
    plain = train(config(dataset[0], tmp_path / "plain", **settings))
    compiled = train(config(dataset[0], tmp_path / "xla", jit_compile=True, **settings))
    assert compiled.best["loss"] == pytest.approx(plain.best["loss"], rel=1e-4)


def test_what_xla_lacks_is_told(dataset: tuple[Path, Manifest], tmp_path: Path) -> None:
    asked = config(
        dataset[0], tmp_path / "r", model="tests.support.networks.tiny:pooled", epochs=1,
        jit_compile=True, deterministic="on",
    )  # fmt: skip
    with pytest.raises(TrainerError, match=r"--jit_compile: .*MaxPool.*--deterministic=off"):
        train(asked)


def test_xla_that_was_not_asked_for_is_left_out_where_it_cannot_compile(
    dataset: tuple[Path, Manifest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As on a GPU, where auto is on: here max pooling has no deterministic gradient for it."""
    settings = {"model": "tests.support.networks.tiny:pooled", "epochs": 1, "deterministic": "on"}
    plain = train(config(dataset[0], tmp_path / "plain", **settings))
    monkeypatch.setattr(devices, "uses_xla", lambda *arguments, **names: True)
    left = train(config(dataset[0], tmp_path / "left", **settings))
    note = "note: the step runs without XLA, which cannot compile it: "
    assert capsys.readouterr().err.count(note) == 1
    assert left.best["loss"] == plain.best["loss"]


@pytest.mark.slow
def test_xla_compiles_the_default_network(dataset: tuple[Path, Manifest], tmp_path: Path) -> None:
    """In a process of its own: what is deterministic in this one stays so."""
    asked = config(dataset[0], tmp_path / "r", model="springfield_cnn", epochs=1, jit_compile=True)
    done = subprocess.run(command(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(read_metrics(tmp_path / "r")) == 1
