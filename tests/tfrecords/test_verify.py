from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.datasets import fakes
from tfrecords import example, framing, ledger, manifest
from tfrecords.checks.shards import MAX_PROBLEMS_PER_FILE, Images, Problem
from tfrecords.manifest import Manifest
from tfrecords.schema import ImageRecord
from tfrecords.verify import COMMAND, problem_lines, verify

TRAIN_0 = "fake-train.tfrecord-00000-of-00002"
TRAIN_1 = "fake-train.tfrecord-00001-of-00002"
TEST_0 = "fake-test.tfrecord-00000-of-00002"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    fakes.write_dataset(tmp_path / "data", copies=9)
    return tmp_path / "data"


def problems(data_dir: Path, images: Images = Images.ALL, **options: str) -> list[str]:
    return [str(problem) for problem in verify(data_dir, images=images, **options).problems]  # type: ignore[arg-type]  # Values of a table.


def run(data_dir: Path, *flags: str) -> int:
    return COMMAND.run([str(data_dir), *flags])


def edit_bytes(path: Path, edit: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)


def edit_records(data_dir: Path, name: str, edit: Callable[[list[ImageRecord]], object]) -> None:
    """Rewrites a shard with sound frames, and the manifest to match the new file."""
    records = [example.decode(data) for data in framing.read_records(str(data_dir / name))]
    edit(records)
    replace_shard(
        data_dir, name, b"".join(framing.frame(example.encode(record)) for record in records)
    )


def replace_shard(data_dir: Path, name: str, data: bytes) -> None:
    """Writes a shard, and whatever describes its file."""
    (data_dir / name).write_bytes(data)
    found = manifest.load(data_dir)
    info = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    splits = tuple(
        dataclasses.replace(
            split,
            shards=tuple(
                dataclasses.replace(shard, **info) if shard.filename == name else shard
                for shard in split.shards
            ),
        )
        for split in found.splits
    )
    digests = {**found.digests, "dataset": manifest.digest_of_shards(splits)}
    fakes.write_manifest(data_dir, dataclasses.replace(found, splits=splits, digests=digests))


def edit_manifest(data_dir: Path, edit: Callable[[dict], object]) -> None:
    path = data_dir / manifest.MANIFEST
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(Manifest.from_json(json.dumps(fields)).sealed().to_json())


def edit_ledger(data_dir: Path, edit: Callable[[list[dict]], object]) -> None:
    rows = ledger.read(data_dir).to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, ledger.SCHEMA), data_dir / manifest.SOURCES)
    fakes.write_manifest(data_dir, manifest.load(data_dir))


def offsets(path: Path) -> list[int]:
    with open(path, "rb") as file:
        return [offset for offset, _ in framing.read_frames(file, path.name)]


def test_a_sound_data_set_gives_one_line_and_the_next_command(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data_dir, "--images=all") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 2
    assert out.splitlines()[1].startswith("next: evenshard train --data_dir=")
    assert "sound. 53 records in 6 shards (train, validation, test)" in out


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_other_encodings_are_sound(tmp_path: Path, encoding: str) -> None:
    spec = fakes.ImageSpec(8, 12, encoding=encoding)  # type: ignore[arg-type]  # A name is converted.
    fakes.write_dataset(tmp_path, spec=spec)
    assert problems(tmp_path) == []


def test_processes_find_what_one_finds(data_dir: Path) -> None:
    edit_bytes(data_dir / TRAIN_0, lambda data: data.__setitem__(100, data[100] ^ 1))
    edit_bytes(data_dir / TEST_0, lambda data: data.__delitem__(slice(-1, None)))
    alone = verify(data_dir, workers=1)
    assert alone.problems
    assert verify(data_dir, workers=2) == alone


def test_progress_covers_every_byte(data_dir: Path) -> None:
    done: list[int] = []
    verdict = verify(data_dir, advance=done.append)
    assert sum(done) == sum(split.bytes for split in verdict.splits)


# Damage to bytes.


def test_every_flipped_byte_of_a_shard_is_named(data_dir: Path) -> None:
    path = data_dir / TEST_0
    sound = path.read_bytes()
    starts = offsets(path)
    for position in range(0, len(sound), 37):
        edit_bytes(path, lambda data, at=position: data.__setitem__(at, data[at] ^ 0x10))
        start = max(offset for offset in starts if offset <= position)
        found = problems(data_dir)
        assert len(found) == 1
        assert found[0].startswith(f"{TEST_0}: byte {start}: damaged record: CRC of the ")
        path.write_bytes(sound)


def test_a_truncated_shard(data_dir: Path) -> None:
    last = offsets(data_dir / TRAIN_1)[-1]
    edit_bytes(data_dir / TRAIN_1, lambda data: data.__delitem__(slice(-5, None)))
    size, damage = problems(data_dir)
    assert size.startswith(f"{TRAIN_1}: has ") and "bytes, the manifest says" in size
    assert damage.startswith(f"{TRAIN_1}: byte {last}: damaged record: ")


def test_a_shard_cut_between_records(data_dir: Path) -> None:
    last = offsets(data_dir / TRAIN_1)[-1]
    edit_bytes(data_dir / TRAIN_1, lambda data: data.__delitem__(slice(last, None)))
    found = problems(data_dir)
    assert [line.split(" ")[:2] for line in found] == [
        [f"{TRAIN_1}:", "has"],
        [f"{TRAIN_1}:", "has"],
        [f"{TRAIN_1}:", "sha256"],
    ]


def test_a_missing_shard(data_dir: Path) -> None:
    (data_dir / TRAIN_0).unlink()
    assert problems(data_dir) == [f"{TRAIN_0}: is missing"]


def test_an_empty_shard_file(data_dir: Path) -> None:
    (data_dir / TEST_0).write_bytes(b"")
    size, count, sha256 = problems(data_dir)
    assert size.startswith(f"{TEST_0}: has 0 bytes, the manifest says ")
    assert count == f"{TEST_0}: has 0 records, the manifest says 3"
    assert sha256.startswith(f"{TEST_0}: sha256 is e3b0c44298fc…, ")


def test_a_directory_in_place_of_a_shard(data_dir: Path) -> None:
    (data_dir / TEST_0).unlink()
    (data_dir / TEST_0).mkdir()
    assert problems(data_dir) == [f"{TEST_0}: cannot be read: Is a directory"]


def test_swapped_shards(data_dir: Path) -> None:
    a, b = (data_dir / name for name in (TRAIN_0, TRAIN_1))
    first = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(first)
    found = problems(data_dir)
    for name in (TRAIN_0, TRAIN_1):
        assert any(line.startswith(f"{name}: sha256 is ") for line in found)
    assert {line.partition(":")[0] for line in found} == {TRAIN_0, TRAIN_1}


def test_a_shard_in_anothers_place(data_dir: Path) -> None:
    data = (data_dir / TRAIN_0).read_bytes()
    (data_dir / TRAIN_1).write_bytes(data)
    assert {line.partition(":")[0] for line in problems(data_dir)} == {TRAIN_1}


def test_ids_that_occur_twice(data_dir: Path) -> None:
    records = [example.decode(data) for data in framing.read_records(str(data_dir / TRAIN_0))]
    edit_records(data_dir, TRAIN_1, replaced(id=records[0].id, copy=records[0].copy))
    twice = [line for line in problems(data_dir) if " is also at byte " in line]
    start = offsets(data_dir / TRAIN_1)[1]
    assert twice == [
        f"{TRAIN_1}: byte {start}: id {records[0].id!r} is also at byte 0 of {TRAIN_0}"
    ]


def test_records_in_another_order_than_the_ledger_says(data_dir: Path) -> None:
    edit_records(data_dir, TEST_0, lambda records: records.reverse())
    found = problems(data_dir)
    assert len(found) == 2 and all("is another picture" in line for line in found)


@pytest.mark.parametrize(
    "name",
    ["fake-train.tfrecord-00002-of-00003", "old-test.tfrecord-00000-of-00001", ".tmp-x.tfrecord-1"],
)
def test_a_stale_shard(data_dir: Path, name: str) -> None:
    (data_dir / name).write_bytes(b"")
    assert problems(data_dir) == [
        f"{name}: is not in the manifest: left by another bake, delete it"
    ]


def test_stale_tfds_metadata(data_dir: Path) -> None:
    (data_dir / "features.json").unlink()
    (data_dir / "label.labels.txt").write_text("other\n")
    assert [line.partition(":")[0] for line in problems(data_dir)] == [
        "features.json",
        "label.labels.txt",
    ]


# Sound frames, wrong contents.


def replaced(**changes: object) -> Callable[[list[ImageRecord]], None]:
    def edit(records: list[ImageRecord]) -> None:
        records[1] = dataclasses.replace(records[1], **changes)  # type: ignore[arg-type]  # Values of a table.

    return edit


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"label": 3}, "label 3 of '"),
        ({"image": b"\x89PNG"}, "not a png image: "),
        ({"copy": 2}, "the id of copy 2 must end in '#2', got "),
        ({"rank": 2**40}, "rank 1099511627776, copy 0 of "),
    ],
)
def test_a_record_that_is_wrong_by_itself(
    data_dir: Path, changes: dict[str, object], text: str
) -> None:
    edit_records(data_dir, TEST_0, replaced(**changes))
    start = offsets(data_dir / TEST_0)[1]
    prefix = f"{TEST_0}: byte {start}: "
    assert any(line.startswith(prefix) and text in line for line in problems(data_dir))


def test_a_payload_that_is_no_example(data_dir: Path) -> None:
    replace_shard(data_dir, TEST_0, framing.frame(b"\xff\xff\xff"))
    assert any(
        line.startswith(f"{TEST_0}: byte 0: not a tf.train.Example") for line in problems(data_dir)
    )


@pytest.mark.parametrize(
    "images, found", [(Images.NONE, False), (Images.SAMPLE, False), (Images.ALL, True)]
)
def test_images_are_decoded_as_asked(data_dir: Path, images: Images, found: bool) -> None:
    edit_records(data_dir, TEST_0, replaced(image=b"no picture"))
    assert any("not a png" in line for line in problems(data_dir, images)) == found


def test_sampling_decodes_the_first_image(data_dir: Path) -> None:
    def edit(records: list[ImageRecord]) -> None:
        records[0] = dataclasses.replace(records[0], image=b"no picture")

    edit_records(data_dir, TEST_0, edit)
    assert any("byte 0: not a png" in line for line in problems(data_dir, Images.SAMPLE))


def test_ranks_with_a_gap(data_dir: Path) -> None:
    edit_records(data_dir, TRAIN_0, replaced(rank=99))
    assert any("ranks should be 0 to " in line for line in problems(data_dir))


def test_copies_before_originals(data_dir: Path) -> None:
    # Class apu has 8 originals and 9 copies: ranks 0 to 16.
    def swap(records: list[ImageRecord]) -> None:
        for index, record in enumerate(records):
            if record.label == 0 and record.rank in (0, 16):
                records[index] = dataclasses.replace(record, rank=16 - record.rank)

    for name in (TRAIN_0, TRAIN_1):
        edit_records(data_dir, name, swap)
    assert any("rank 1 is an earlier round than rank 0" in line for line in problems(data_dir))


def test_a_copy_outside_train(data_dir: Path) -> None:
    def edit(records: list[ImageRecord]) -> None:
        records[0] = dataclasses.replace(records[0], copy=1, id=f"{records[0].id}#1")

    edit_records(data_dir, TEST_0, edit)
    assert any("only train may hold any" in line for line in problems(data_dir))


# The manifest.


def test_an_edited_config_shows_in_its_digest(data_dir: Path) -> None:
    edit_manifest(data_dir, lambda fields: fields["config"].update(seed=1))
    assert [line.partition(",")[0][:36] for line in problems(data_dir)] == [
        "manifest.json: digest 'config' is " + manifest.digest_of_config({"seed": 0})[:2]
    ]


def test_an_edited_sha256_shows_in_shard_and_digest(data_dir: Path) -> None:
    edit_manifest(
        data_dir, lambda fields: fields["splits"][0]["shards"][0].update(sha256="ab" * 32)
    )
    digest, shard = problems(data_dir)
    assert digest.startswith("manifest.json: digest 'dataset' is ")
    assert shard.startswith(f"{TRAIN_0}: sha256 is ") and "says abababababab…" in shard


def test_moved_counts(data_dir: Path) -> None:
    def edit(fields: dict) -> None:
        fields["splits"][0]["originals"] = [7, 6, 3]

    edit_manifest(data_dir, edit)
    found = problems(data_dir)
    assert (
        "manifest.json: split 'train', class 'apu': shards hold 8 originals and 9 copies, "
        "the manifest says 7 and 9" in found
    )
    assert any(line.startswith("sources.parquet: split 'train', class 'bart'") for line in found)


def test_shards_listed_out_of_order(data_dir: Path) -> None:
    edit_manifest(data_dir, lambda fields: fields["splits"][0]["shards"].reverse())
    assert f"manifest.json: lists {TRAIN_1} where {TRAIN_0} is expected" in problems(data_dir)


def test_copies_promised_outside_train(data_dir: Path) -> None:
    def edit(fields: dict) -> None:
        fields["splits"][1].update(originals=[1, 1, 1], copies=[1, 0, 0])

    edit_manifest(data_dir, edit)
    assert any("counts copies in split 'validation'" in line for line in problems(data_dir))


def test_no_manifest_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "no manifest.json" in err


# The ledger.


def test_a_missing_ledger(data_dir: Path) -> None:
    (data_dir / manifest.SOURCES).unlink()
    assert problems(data_dir) == ["sources.parquet: is missing: bake again with --overwrite"]


def test_a_damaged_ledger(data_dir: Path) -> None:
    (data_dir / manifest.SOURCES).write_bytes(b"PAR1 no more")
    (line,) = problems(data_dir)
    assert line.startswith("sources.parquet: not a Parquet file: ")


def test_a_ledger_without_a_column(data_dir: Path) -> None:
    table = ledger.read(data_dir).drop_columns(["rank"])
    pq.write_table(table, data_dir / manifest.SOURCES)
    (line,) = problems(data_dir)
    assert line.startswith("sources.parquet: column 'rank' is missing; there are key, class, ")


def test_a_lost_row(data_dir: Path) -> None:
    edit_ledger(data_dir, lambda rows: rows.pop(0))
    found = problems(data_dir)
    assert "sources.parquet: statuses are 25 kept; the manifest says 26 kept" in found
    assert any("its digest is " in line for line in found)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"position": 77}, "position 77 of fake-test"),
        ({"shard": "fake-gone"}, "kept in shard 'fake-gone', which the manifest does not list"),
        ({"class": "nobody"}, "kept with class 'nobody', which the manifest does not name"),
        ({"rank": 1}, "has (label, rank, copy) (0, 0, 0), the row says (0, 1, 0)"),
        ({"status": "lost"}, "status 'lost'; expected one of kept, capped, "),
        ({"status": "rejected", "reason": "empty"}, "status 'rejected', yet in shard "),
        ({"status": "rejected", "shard": None}, "status 'rejected' without a reason"),
    ],
)
def test_a_wrong_row(data_dir: Path, changes: dict[str, object], text: str) -> None:
    def edit(rows: list[dict]) -> None:
        row = next(row for row in rows if row["split"] == "test" and row["rank"] == 0)
        row.update(changes)

    edit_ledger(data_dir, edit)
    wrong = [line for line in problems(data_dir) if line.startswith("sources.parquet: row 'apu/")]
    assert len(wrong) == 1 and text in wrong[0]


def test_rows_out_of_order(data_dir: Path) -> None:
    edit_ledger(data_dir, lambda rows: rows.reverse())
    assert any("not in key order, or twice" in line for line in problems(data_dir))


# The command.


def test_one_split_is_read_alone(data_dir: Path) -> None:
    (data_dir / TEST_0).unlink()
    assert problems(data_dir, split="train") == []
    assert problems(data_dir, split="test") == [f"{TEST_0}: is missing"]


def test_failure_prints_a_line_each_and_exits_1(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / TRAIN_0).unlink()
    edit_bytes(data_dir / TEST_0, lambda data: data.__setitem__(50, data[50] ^ 1))
    assert run(data_dir) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{TRAIN_0}: is missing",
        f"{TEST_0}: byte 0: damaged record: CRC of the payload differs",
    ]
    assert err.startswith("error: 2 problems in 2 files of ") and err.count("\n") == 1


def test_an_unknown_split_names_those_there_are(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data_dir, "--split=dev") == 1
    assert "no split 'dev'" in capsys.readouterr().err


def test_a_misspelt_flag(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data_dir, "--splt=train") == 2
    assert capsys.readouterr().err == "error: unknown flag --splt; did you mean --split?\n"


def test_many_problems_of_one_file_are_summed_up() -> None:
    many = [Problem("a", "bad", offset) for offset in range(MAX_PROBLEMS_PER_FILE + 5)]
    lines = list(problem_lines([*many, Problem("b", "worse")]))
    assert len(lines) == MAX_PROBLEMS_PER_FILE + 2
    assert lines[-2:] == ["b: worse", "a: and 5 more like these"]


def test_a_manifest_round_trip_stays_sound(data_dir: Path) -> None:
    path = data_dir / manifest.MANIFEST
    path.write_text(Manifest.from_json(path.read_text()).to_json())
    assert problems(data_dir) == []
