"""The whole bake on real files: without Beam, and through its local runner."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords import example, framing, manifest
from tfrecords.images import canonicalise, kernels
from tfrecords.schema import TRAIN, source_key

PREPARE = "beam_pipelines.prepare"
FLAGS = ("--image_size=16", "--per_class=30", "--encoding=png")


def bake(
    input_dir: Path,
    output_dir: Path,
    *flags: str,
    workers: int = 0,
    command: Callable[..., Any] = commands.call,
) -> str:
    """Bakes and returns what the command told its user."""
    directories = f"--input_dir={input_dir}", f"--output_dir={output_dir}"
    done = command(PREPARE, *directories, f"--workers={workers}", *FLAGS, *flags)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = fakes.write_folders(tmp_path_factory.mktemp("in"), {"apu": 60, "bart": 20, "carl": 3})
    (root / "bart" / "broken.jpg").write_bytes(b"not a picture")
    (root / "bart" / "again.jpg").write_bytes((root / "bart" / "0001.jpg").read_bytes())
    return root


@pytest.fixture(scope="module")
def baked(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("out") / "shards"
    bake(folders, output_dir, "--keep_cache")
    return output_dir


def records(data_dir: Path, split: str) -> list:
    return [
        example.decode(payload)
        for shard in manifest.load(data_dir).split(split).shards
        for payload in framing.read_records(str(data_dir / shard.filename))
    ]


def test_the_data_set_is_what_its_manifest_says(baked: Path) -> None:
    found = manifest.load(baked)
    assert found.classes == ("apu", "bart", "carl")
    assert found.split(TRAIN).originals == (30, 16, 3)
    assert found.split(TRAIN).copies == (0, 14, 27)
    assert found.statuses == {"capped": 18, "duplicate": 1, "kept": 65, "rejected": 1}
    assert commands.run("tfrecords.verify", str(baked)).returncode == 0


def test_every_input_file_is_in_the_ledger(folders: Path, baked: Path) -> None:
    rows = {row["key"]: row for row in pq.read_table(baked / "sources.parquet").to_pylist()}
    files = {path.relative_to(folders).as_posix() for path in folders.rglob("*") if path.is_file()}
    assert rows.keys() == files
    assert (rows["bart/broken.jpg"]["status"], rows["bart/broken.jpg"]["reason"]) == (
        "rejected",
        "not_an_image",
    )
    assert {rows["bart/again.jpg"]["status"], rows["bart/0001.jpg"]["status"]} >= {"duplicate"}


def test_the_ledger_leads_to_each_record_and_each_record_to_its_source(
    folders: Path, baked: Path
) -> None:
    found = manifest.load(baked)
    rows = {row["key"]: row for row in pq.read_table(baked / "sources.parquet").to_pylist()}
    for split in found.splits:
        for shard in split.shards:
            payloads = framing.read_records(str(baked / shard.filename))
            for position, payload in enumerate(payloads):
                record = example.decode(payload)
                row = rows[source_key(record.id, record.copy)]
                assert found.classes[record.label] == row["class"]
                if record.copy == 0:
                    assert (row["shard"], row["position"]) == (shard.filename, position)
                    data = (folders / row["key"]).read_bytes()
                    assert (
                        record.image
                        == canonicalise.canonicalise(
                            data, found.image, canonicalise.PixelLimits()
                        ).data
                    )


@pytest.mark.parametrize("runner", ["local", "FnApiRunner"])
@pytest.mark.parametrize("workers", [2, 0])
def test_any_number_of_workers_on_either_local_runner_gives_the_same_bytes(
    folders: Path, baked: Path, tmp_path: Path, workers: int, runner: str
) -> None:
    command = commands.run if workers else commands.call
    out = tmp_path / "out"
    told = bake(folders, out, f"--runner={runner}", workers=workers, command=command)
    assert "decoded 85 of 85 files, made 41 of 41 copies, wrote" in told
    assert commands.digests(tmp_path / "out") == commands.digests(baked)


@pytest.mark.parametrize("kernel", kernels.available())
def test_any_code_that_resizes_gives_the_same_bytes(
    folders: Path, baked: Path, tmp_path: Path, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernels.VARIABLE, kernel)
    bake(folders, tmp_path / "out")
    assert commands.digests(tmp_path / "out") == commands.digests(baked)


def test_code_that_cannot_resize_here_is_refused_before_work_begins(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "abacus")
    flags = (f"--input_dir={folders}", f"--output_dir={tmp_path / 'out'}", *FLAGS)
    done = commands.call(PREPARE, *flags)
    assert done.returncode == 2
    assert "EVENSHARD_RESIZE_KERNEL=abacus: expected auto or one of numpy" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_archive_gives_the_same_bytes(folders: Path, baked: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "in"), "zip", folders)
    bake(Path(archive), tmp_path / "out")
    assert commands.digests(tmp_path / "out") == commands.digests(baked)


def test_another_number_a_class_decodes_nothing_again(
    folders: Path, baked: Path, tmp_path: Path
) -> None:
    output_dir = tmp_path / "shards"
    shutil.copytree(baked, output_dir)
    told = bake(folders, output_dir, "--per_class=50", "--overwrite", "--keep_cache")
    assert "8 of 8 bundles are decoded already" in told
    # Ranks are nested: the 41 copies of the first bake are among those of the second.
    copies = sum(manifest.load(output_dir).split(TRAIN).copies)
    assert f"decoded 0 of 85 files, made {copies - 41} of {copies} copies" in told
    bake(folders, tmp_path / "fresh", "--per_class=50")
    assert commands.digests(output_dir) == commands.digests(tmp_path / "fresh")
    ids = {record.id for record in records(baked, TRAIN)}
    assert {r.id for r in records(output_dir, TRAIN) if r.rank < 30} == ids


def test_added_pictures_alone_are_decoded(folders: Path, baked: Path, tmp_path: Path) -> None:
    output_dir, input_dir = tmp_path / "shards", tmp_path / "in"
    shutil.copytree(baked, output_dir)
    shutil.copytree(folders, input_dir)
    for number in range(4):
        (input_dir / "apu" / f"new{number}.jpg").write_bytes(fakes.picture_bytes(f"new {number}"))
    (input_dir / "apu" / "notes.txt").write_text("No picture: neither decoded nor counted.")
    (input_dir / "apu" / ".hidden.jpg").write_bytes(b"")
    told = bake(input_dir, output_dir, "--overwrite", "--keep_cache")
    assert "decoded 4 of 89 files" in told
    bake(input_dir, tmp_path / "fresh")
    assert commands.digests(output_dir) == commands.digests(tmp_path / "fresh")


@pytest.mark.slow
def test_kills_at_any_time_change_nothing(folders: Path, baked: Path, tmp_path: Path) -> None:
    flags = (f"--input_dir={folders}", f"--output_dir={tmp_path / 'out'}", *FLAGS, "--workers=2")
    for kill in range(10):
        process = commands.start(PREPARE, *flags)
        time.sleep(0.6 + 0.35 * kill)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    if not (tmp_path / "out" / "manifest.json").exists():
        assert commands.run(PREPARE, *flags).returncode == 0
    assert commands.digests(tmp_path / "out") == commands.digests(baked)


def test_readers_of_the_field_read_it(baked: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to

    shards = [str(baked / shard.filename) for shard in manifest.load(baked).split(TRAIN).shards]
    payloads = [payload for shard in shards for payload in framing.read_records(shard)]
    assert [bytes(item.numpy()) for item in tf.data.TFRecordDataset(shards)] == payloads
    with beam.Pipeline(runner="FnApiRunner") as root:
        read = root | beam.io.ReadFromTFRecord(str(baked / "dataset-train.tfrecord-*"))
        assert_that(read, equal_to(payloads))


def test_tfds_reads_it(baked: Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    data = tfds.builder_from_directory(baked).as_dataset(split="train", as_supervised=True)
    pairs = [(image.shape, int(label)) for image, label in data]
    assert len(pairs) == 90
    assert {shape for shape, _ in pairs} == {(16, 16, 3)}
    assert {label for _, label in pairs} == {0, 1, 2}


def test_a_complete_data_set_is_not_overwritten_unasked(folders: Path, baked: Path) -> None:
    done = commands.call(PREPARE, f"--input_dir={folders}", f"--output_dir={baked}")
    assert done.returncode == 2
    assert "holds a complete data set, baked otherwise (" in done.stderr
    assert "give --overwrite to replace it" in done.stderr


def test_too_many_rejects_fail_after_the_ledger_is_written(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"apu": 4, "bart": 4})
    for number in range(4):
        (root / "apu" / f"bad{number}.jpg").write_bytes(b"")
    flags = (f"--input_dir={root}", f"--output_dir={tmp_path / 'out'}", "--workers=0", *FLAGS)
    done = commands.call(PREPARE, *flags)
    assert done.returncode == 1
    assert "4 of 12 files were rejected (4 empty), more than --max_reject_fraction" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert len(pq.read_table(tmp_path / "out" / "sources.parquet")) == 12
    assert commands.call(PREPARE, *flags, "--max_reject_fraction=0.5").returncode == 0


def test_a_second_bake_on_one_output_is_refused(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / ".cache").mkdir(parents=True)
    with (tmp_path / "out" / ".cache" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = commands.call(PREPARE, f"--input_dir={folders}", f"--output_dir={tmp_path / 'out'}")
    assert done.returncode == 1
    assert "another bake is writing to" in done.stderr


def test_help_is_grouped_and_misspelt_flags_name_the_right_one() -> None:
    told = commands.run(PREPARE, "--help")
    assert told.returncode == 0
    for group in ("Input and output:", "Pictures:", "Balance of the train split:", "Running:"):
        assert group in told.stdout
    for wrong, right in {
        "--per_clas=3": "--per_class",
        "--input_dri=x": "--input_dir",
        "--job_nam=x": "--job_name",
    }.items():
        done = commands.call(PREPARE, "--input_dir=i", "--output_dir=o", wrong)
        assert done.returncode == 2, wrong
        assert f"did you mean {right}?" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--image_size=0",), "N or HxW in pixels is expected"),
        (("--image_size=big",), "--image_size=big: N or HxW"),
        (("--splits=train:0.5,test:0.4",), "add up to 0.9"),
        (("--per_class=5", "--min_per_class=2"), "give it or them"),
        (("--augment=flip,spin",), "crop, flip, rotate, color, cutout, or none, is expected"),
        (("--group_by=(",), "is not a regular expression"),
        (("--name=Not-Good",), "--name must be lower-case"),
        (("--resize=short_side", "--encoding=raw"), "needs images of one size"),
        (("--resize=tile",), "one of squash, pad, crop, short_side is expected"),
    ],
)
def test_usage_errors_are_one_line(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = commands.call(PREPARE, "--input_dir=i", f"--output_dir={tmp_path / 'o'}", *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()
