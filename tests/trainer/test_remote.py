"""Data sets in ram://, a file system of TensorFlow's own that no path leads to."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.runs import tiny_run
from tests.support.runs.runs import final_state
from tfrecords import framing, ledger, reader
from tfrecords import manifest as manifests
from tfrecords.cli.run import USAGE
from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import ManifestError
from trainer import lineage, remote
from trainer.benchmark import measure
from trainer.config import TrainConfig
from trainer.data import selection as selections
from trainer.data import stream as data
from trainer.evaluate import run
from trainer.evaluate.config import EvaluateConfig
from trainer.lineage import LineageConfig
from trainer.remote import FarPath
from trainer.train.__main__ import COMMAND
from trainer.train.loop import RunResult
from trainer.train.run import run as train_run

SHARDS = 5
PARALLEL = 3  # Below the number of shards: it decides the order of records.


def upload(folder: Path, url: str) -> str:
    """Copies a folder's files to a URL."""
    tf.io.gfile.makedirs(url)
    for path in folder.iterdir():
        put(f"{url}/{path.name}", path.read_bytes())
    return url


def put(url: str, content: bytes) -> None:
    if tf.io.gfile.exists(url):
        tf.io.gfile.remove(url)  # ram:// adds to a file that is there.
    with tf.io.gfile.GFile(url, "wb") as file:
        file.write(content)


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, tiny_run.COUNTS, copies=2, shards=SHARDS)
    return folder


@pytest.fixture(scope="module")
def url(near: Path) -> str:
    return upload(near, "ram://bucket/shards")


@pytest.fixture
def own_url(near: Path) -> Iterator[str]:
    """A copy that a test may spoil."""
    yield upload(near, "ram://bucket/spoilt")
    tf.io.gfile.rmtree("ram://bucket/spoilt")


def config(data_dir: str, run_dir: Path, stop_after_epoch: int = 0) -> TrainConfig:
    return TrainConfig(
        data_dir=data_dir, run_dir=str(run_dir), model="tests.support.networks.tiny:network",
        batch_size="8", epochs=2, learning_rate=0.02, progress="none",
        read_parallelism=PARALLEL, stop_after_epoch=stop_after_epoch,
    )  # fmt: skip


def open_train(data_dir: str, parallel: int = PARALLEL) -> selections.Source:
    manifest = remote.load(data_dir)
    chosen = selections.select(manifest)
    return selections.open_split(manifest, data_dir, "train", chosen, read_parallelism=parallel)


def ids_of(data_dir: str, parallel: int) -> list[bytes]:
    stream = data.stream_source(open_train(data_dir, parallel), 7)
    return [id_ for _, _, ids in stream for id_ in ids.numpy()]


def assert_same_weights(run_dir: Path, other: Path) -> None:
    first, second = final_state(run_dir), final_state(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.tobytes() == second[name].tobytes(), name


@pytest.fixture(scope="module")
def finished(url: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run from far shards, paused after its first epoch and taken up again."""
    run_dir = tmp_path_factory.mktemp("run") / "far"
    assert train_run(config(url, run_dir, stop_after_epoch=1)).status == "paused"
    return train_run(config(url, run_dir))


def test_a_far_run_ends_with_the_weights_of_a_local_one(
    finished: RunResult, near: Path, tmp_path: Path
) -> None:
    assert finished.status == "completed"
    train_run(config(str(near), tmp_path / "near"))
    assert_same_weights(finished.run_dir, tmp_path / "near")


def test_the_report_shows_far_pictures(finished: RunResult) -> None:
    page = (finished.run_dir / "report" / "index.html").read_text()
    assert "data:image/" in page and "ram://bucket/shards" in page


def test_a_far_run_is_judged_and_traced_where_it_was_trained(finished: RunResult) -> None:
    run_dir = str(finished.run_dir)
    result = run.run(EvaluateConfig(run_dir=run_dir))
    assert len(result.predictions.ids) == sum(tiny_run.COUNTS["test"]) and not result.leaks
    stored = (finished.run_dir / "evaluation" / "test" / "evaluation.json").read_text()
    assert '"data_dir": "ram://bucket/shards"' in stored
    (origin,) = lineage.run(LineageConfig(run_dir=run_dir, row=0))
    assert origin.shard is not None and origin.prediction is not None


def test_a_run_moves_between_near_and_far(finished: RunResult, near: Path, tmp_path: Path) -> None:
    """The place of the data is no part of what a run is: one begun far is resumed near."""
    moved = tmp_path / "moved"
    shutil.copytree(finished.run_dir, moved)
    assert train_run(config(str(near), moved)).status == "completed"
    assert_same_weights(finished.run_dir, moved)


@pytest.mark.parametrize("parallel", [1, 2, PARALLEL, SHARDS, 100])
def test_the_order_is_that_of_local_shards(url: str, near: Path, parallel: int) -> None:
    found = ids_of(url, parallel)
    assert found == ids_of(str(near), parallel)
    assert len(set(found)) == len(found) == remote.load(url).split("train").records


@pytest.mark.parametrize("cache", ["none", "encoded", "decoded"])
def test_a_far_stream_restarts_anywhere(url: str, cache: str) -> None:
    source = open_train(url)

    def labels(start: tuple[int, int]) -> list[list[int]]:
        stream = data.training_stream(source, 8, 2, 5, start=start, cache=cache)
        return [batch.labels.numpy().tolist() for batch in stream]

    per_epoch = data.steps_per_epoch(source, 8)
    unbroken = labels((0, 0))
    assert labels((0, 2)) == unbroken[2:] and labels((1, 1)) == unbroken[per_epoch + 1 :]


def test_read_parallelism_is_part_of_what_a_run_is(url: str, finished: RunResult) -> None:
    other = config(url, finished.run_dir).to_dict() | {"read_parallelism": PARALLEL + 1}
    with pytest.raises(UsageError, match="--read_parallelism was 3, is now 4"):
        train_run(TrainConfig.from_dict(other))


def test_the_doctor_reads_far_shards(url: str, near: Path) -> None:
    source = open_train(url)
    assert measure.sample(source) == measure.sample(open_train(str(near)))
    assert measure.disk_rate(source.shard_paths, 1.0) > 0


def test_pictures_are_found_with_and_without_the_ledger(own_url: str) -> None:
    manifest = remote.load(own_url)
    wanted = ["apu/validation001.png", "lisa/validation000.png", "no/such.png"]
    with_ledger = reader.find_images(remote.folder(own_url), manifest, "validation", wanted)
    tf.io.gfile.remove(f"{own_url}/sources.parquet")
    without = reader.find_images(remote.folder(own_url), manifest, "validation", wanted)
    assert set(with_ledger) == set(without) == set(wanted[:2])
    for id_, picture in with_ledger.items():
        assert picture.tobytes() == without[id_].tobytes()


def test_the_ledger_is_read_where_it_is(url: str, own_url: str, near: Path) -> None:
    there = ledger.read(remote.folder(url))
    assert there.equals(ledger.read(near))
    of_test = pc.field("split") == "test"
    assert ledger.select(remote.folder(url), ["key"], of_test).num_rows == 9
    tf.io.gfile.remove(f"{own_url}/sources.parquet")
    with pytest.raises(ledger.LedgerError, match="ram://bucket/spoilt/sources.parquet: is missing"):
        ledger.read(remote.folder(own_url))


def test_a_far_file_reads_as_a_file_does(url: str, near: Path) -> None:
    name = manifests.load(near).split("train").shards[0].filename
    content = (near / name).read_bytes()
    with (remote.folder(url) / name).open("rb") as file:
        assert file.read(10) == content[:10] and file.tell() == 10
        assert file.seek(-20, io.SEEK_END) == len(content) - 20
        assert file.read() == content[-20:] and file.read(1) == b""
        file.seek(3)
        file.seek(4, io.SEEK_CUR)
        assert file.read(5) == content[7:12]


def test_a_missing_shard_is_named(own_url: str) -> None:
    shard = remote.load(own_url).split("train").shards[2].filename
    tf.io.gfile.remove(f"{own_url}/{shard}")
    said = f"cannot read shard {own_url}/{shard}: no such file; the manifest lists it"
    with pytest.raises(TrainerError, match=said):
        open_train(own_url)


def test_a_short_shard_is_named(own_url: str) -> None:
    shard = remote.load(own_url).split("train").shards[0]
    put(f"{own_url}/{shard.filename}", b"short")
    with pytest.raises(TrainerError, match=f"{shard.filename} has 5 bytes, the manifest says"):
        open_train(own_url)


def test_damage_is_named(own_url: str) -> None:
    shard = FarPath(own_url) / remote.load(own_url).split("train").shards[1].filename
    with shard.open("rb") as file:
        content = bytearray(file.read())
    content[len(content) // 2] ^= 0xFF
    put(str(shard), bytes(content))
    source = open_train(own_url)
    with pytest.raises(tf.errors.OpError) as failed:
        list(data.stream_source(source, 4))
    assert f"{shard}: damaged record at byte" in str(data.explain(failed.value, source))
    with pytest.raises(framing.DamagedRecordError, match=str(shard)):
        list(framing.read_records(shard))


def test_no_data_set_there() -> None:
    with pytest.raises(ManifestError, match="no manifest.json in ram://nowhere/shards: not a data"):
        remote.load("ram://nowhere/shards/")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "s3://b/shards",
            r"reads paths and .*gs://.*, not s3://.*`aws s3 sync s3://b/shards /",
        ),
        ("http://h/shards", r"not http://. Copy the shards to a disk first, or mount them"),
    ],
)
def test_what_tensorflow_does_not_read_is_refused_in_one_line(
    given: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=said):
        remote.folder(given)
    flags = [f"--data_dir={given}", f"--run_dir={tmp_path / 'run'}"]
    assert COMMAND.run(flags) == USAGE
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "build",
    [
        lambda: TrainConfig(data_dir="d", run_dir="gs://b/run"),
        lambda: EvaluateConfig(run_dir="gs://b/run"),
        lambda: EvaluateConfig(run_dir="r", output_dir="gs://b/run"),
        lambda: LineageConfig(run_dir="gs://b/run", row=0),
    ],
)
def test_results_are_written_here(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="_dir=gs://b/run: results are written to a directory of"):
        build()


def test_paths_are_what_they_were(tmp_path: Path) -> None:
    assert remote.folder("data/shards") == Path("data/shards")
    assert remote.folder(f"file://{tmp_path}") == tmp_path
    assert remote.folder(tmp_path) is tmp_path
    assert str(remote.folder("gs://bucket/a/b/") / "c") == "gs://bucket/a/b/c"
    assert not remote.is_far(tmp_path) and remote.is_far(remote.folder("RAM://bucket"))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("classes", lambda found: found[::-1]),
        ("name", lambda found: found + "2"),
        ("splits", lambda found: [found[0] | {"originals": found[0]["originals"][::-1]},
                                  *found[1:]]),
        ("splits", lambda found: found[:2]),
        ("image", lambda found: found | {"resize": "pad"}),
        ("config", lambda found: found | {"seed": 7}),
    ],
)  # fmt: skip
def test_a_manifest_that_was_edited_is_refused(
    tmp_path: Path, field: str, change: Callable[[Any], Any]
) -> None:
    """Sound shards under other class names would make a wrong network, and a wrong result."""
    fakes.write_dataset(tmp_path, tiny_run.COUNTS)
    path = tmp_path / manifests.MANIFEST
    document = json.loads(path.read_text())
    assert remote.load(tmp_path).classes == tuple(document["classes"])
    path.write_text(json.dumps(document))  # Other spaces are no other manifest.
    assert remote.load(tmp_path).classes == tuple(document["classes"])
    path.write_text(json.dumps(document | {field: change(document[field])}))
    manifests.load(tmp_path)  # As verify reads it, to say what else is wrong.
    with pytest.raises(ManifestError, match=r"is not as the bake wrote it: .* restore the file"):
        remote.load(tmp_path)


def test_a_manifest_of_an_earlier_version_has_no_seal_to_break(tmp_path: Path) -> None:
    sealed = fakes.write_dataset(tmp_path, tiny_run.COUNTS)
    earlier = {name: value for name, value in sealed.digests.items() if name != manifests.SEAL}
    old = dataclasses.replace(sealed, digests=earlier, files={})
    (tmp_path / manifests.MANIFEST).write_text(old.to_json())
    assert remote.load(tmp_path) == old
