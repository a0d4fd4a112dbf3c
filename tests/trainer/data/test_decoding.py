"""Decoding in processes: the bake's bytes, in order, whatever the pictures do."""

from __future__ import annotations

import multiprocessing
import os
import zipfile
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.processes import hanging
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import PixelLimits, RejectReason
from tfrecords.images.decode_pool import Watch
from tfrecords.inputs import listing
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, SourceFile
from tfrecords.schema import ImageSpec
from trainer.data import decoding
from trainer.data.decoding import Decoders, DecodeTask

SPEC = ImageSpec(16, 16)


def source(path: Path) -> SourceFile:
    return SourceFile(path.name, str(path), None, UNKNOWN_SIZE, 0)


def pictures(root: Path, count: int) -> list[SourceFile]:
    found = []
    for number in range(count):
        path = root / f"{number:03d}.jpg"
        path.write_bytes(fakes.picture_bytes(number, height=20, width=30))
        found.append(source(path))
    return found


def test_order_and_bytes_are_those_of_one_process(tmp_path: Path) -> None:
    asked = pictures(tmp_path, 3 * decoding.CHUNK + 1)
    (tmp_path / "007.jpg").write_bytes(b"not a picture")
    with Decoders(SPEC, 2) as decoders:
        found = list(decoders.run(asked))
    assert [item.source for item in found] == asked
    assert found[7].reason is RejectReason.NOT_AN_IMAGE
    for item in found[:7] + found[8:]:
        source = Path(item.source.path).read_bytes()
        assert item.data == canonicalise.canonicalise(source, SPEC, PixelLimits()).data


def test_a_zip_gives_the_same_as_the_files(tmp_path: Path) -> None:
    (asked,) = pictures(tmp_path, 1)
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(asked.path, "x/0.jpg")
    (inside_zip,) = listing.list_unlabelled(InputPath("--input", str(archive)))
    inside = decoding.decode(inside_zip, SPEC)
    assert inside.data == decoding.decode(asked, SPEC).data
    damaged = bytearray(archive.read_bytes())
    damaged[60] ^= 0xFF
    archive.write_bytes(damaged)
    (inside_zip,) = listing.list_unlabelled(InputPath("--input", str(archive)))
    bad = decoding.decode(inside_zip, SPEC)
    assert (bad.data, bad.reason) == (None, RejectReason.UNREADABLE)


def test_an_absent_file_is_unreadable(tmp_path: Path) -> None:
    found = decoding.decode(source(tmp_path / "x.jpg"), SPEC)
    assert found.reason is RejectReason.UNREADABLE
    assert found.detail == "No such file or directory"


def test_a_picture_that_hangs_or_kills_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "decode_all", hanging.decode_all)
    asked = pictures(tmp_path, 6)
    asked.insert(3, source(tmp_path / f"{hanging.HANGS}.jpg"))
    with Decoders(SPEC, 1, seconds=1.0) as decoders:
        found = list(decoders.run(asked))
    assert [item.source for item in found] == asked
    assert found[3].reason is RejectReason.DECODER_HUNG
    assert [item.data is not None for item in found] == [True] * 3 + [False] + [True] * 3


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (RejectReason.DECODER_CRASHED, "decoding it crashes the process"),
        (RejectReason.DECODER_HUNG, "reading or decoding it took more than 1.5 s"),
    ],
)
def test_what_broke_a_process_is_not_tried_again(reason: RejectReason, said: str) -> None:
    watch = Watch(seconds=1.5, blame={"a": reason})
    (blamed,) = decoding.decode_all(DecodeTask((source(Path("a")),), SPEC), watch)
    assert (blamed.data, blamed.reason, blamed.detail) == (None, reason, said)


def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    found = decoding.decode(source(tmp_path / "pipe.jpg"), SPEC)
    assert (found.data, found.reason) == (None, RejectReason.NOT_A_FILE)


def test_leaving_early_ends_the_processes(tmp_path: Path) -> None:
    others = multiprocessing.active_children()  # Of tests before this one.
    with Decoders(SPEC, 1) as decoders:
        first = next(decoders.run(pictures(tmp_path, 9 * decoding.CHUNK)))
    assert first.data is not None
    own = [child for child in multiprocessing.active_children() if child not in others]
    assert not [child for child in own if child.is_alive()]


def test_nothing_asked_starts_no_process() -> None:
    with Decoders(SPEC, 2) as decoders:
        assert list(decoders.run([])) == []
        assert decoders._pool._executor is None
