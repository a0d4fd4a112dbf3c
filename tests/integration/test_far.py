"""Training from gs:// by TensorFlow's own client, asking `benchmarks.train.fake_gcs`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.train import fake_gcs
from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.support.runs import tiny_run
from tfrecords import ledger
from tfrecords.errors import TrainerError
from tfrecords.manifest import ManifestError
from trainer import remote
from trainer.data import selection as selections
from trainer.data import stream
from trainer.runs.checkpoints import Store

BUCKET = "gs://somewhere"
SHARDS = 6
FLAGS = (
    "--model=tests.support.networks.tiny:network", "--batch_size=8", "--epochs=2", "--device=cpu",
    "--read_parallelism=4", "--progress=none",
)  # fmt: skip


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bucket") / "shards"
    fakes.write_dataset(folder, tiny_run.COUNTS, copies=2, shards=SHARDS)
    return folder


@pytest.fixture(scope="module", autouse=True)
def bucket(near: Path) -> Iterator[str]:
    """URL of the data set; the environment leads there, of this process and of its children."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    with fake_gcs.serving(near.parent) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield f"{BUCKET}/{near.name}"


def ids_of(data_dir: str) -> list[bytes]:
    manifest = remote.load(data_dir)
    source = selections.open_split(manifest, data_dir, "train", selections.select(manifest))
    return [id_ for _, _, ids in stream.stream_source(source, 7) for id_ in ids.numpy()]


def test_a_bucket_streams_as_a_folder_does(bucket: str, near: Path) -> None:
    found = ids_of(bucket)
    assert found == ids_of(str(near)) and len(set(found)) == 31
    assert ledger.read(remote.folder(bucket)).equals(ledger.read(near))


def test_a_shard_larger_than_the_read_ahead_arrives_whole(bucket: str, near: Path) -> None:
    """Longer than one request of TensorFlow's default of 64 MB, and no multiple of it."""
    content = np.random.default_rng(0).bytes((64 << 20) + 12_345)
    (near / "large").write_bytes(content)
    with (remote.folder(bucket) / "large").open("rb") as file:
        assert file.read() == content
        file.seek((64 << 20) - 7)
        assert file.read(20) == content[(64 << 20) - 7 :][:20]
    (near / "large").unlink()


def test_what_a_bucket_lacks_is_named(near: Path) -> None:
    with pytest.raises(
        ManifestError, match=f"no manifest.json in {BUCKET}/nothing: not a data set"
    ):
        remote.load(f"{BUCKET}/nothing")
    copy = near.parent / "spoilt"
    shutil.copytree(near, copy)
    shard = remote.load(str(copy)).split("train").shards[-1].filename
    (copy / shard).unlink()
    with pytest.raises(TrainerError, match=f"cannot read shard {BUCKET}/spoilt/{shard}: no such"):
        ids_of(f"{BUCKET}/spoilt")


@pytest.mark.slow
def test_the_commands_train_judge_and_trace_from_a_bucket(
    bucket: str, near: Path, tmp_path: Path
) -> None:
    """Cut short from the bucket, carried on from the disk: as if it had never left the bucket."""
    runs = {name: tmp_path / name for name in ("far", "near")}
    for run, data_dir, more in (
        (runs["far"], bucket, ()),
        (runs["near"], bucket, ("--stop_after_epoch=1",)),
        (runs["near"], str(near), ()),
    ):
        done = commands.run(
            "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run}", *FLAGS, *more
        )
        assert done.returncode == 0, done.stderr
    first, second = (Store(run / "checkpoints").latest() for run in runs.values())
    assert first is not None and second is not None
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(values, second.arrays[name], err_msg=name)
    for module, *flags in (
        ("trainer.evaluate",),
        ("trainer.lineage", "--mistakes=1"),
        ("trainer.export", "--format=saved_model", "--parity_pictures=4"),
    ):
        done = commands.run(module, f"--run_dir={runs['far']}", *flags)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_sweep_plans_on_a_bucket(bucket: str, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "base: {model: 'tests.support.networks.tiny:network'}\ngrid: {per_class: [4, 8]}\n"
    )
    done = commands.run(
        "trainer.sweep", f"--data_dir={bucket}", f"--runs_dir={tmp_path / 'runs'}",
        f"--grid={grid}", "--plan_only",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "per_class=4" in done.stdout + done.stderr
