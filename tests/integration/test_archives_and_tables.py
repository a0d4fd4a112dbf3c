"""Bakes of what people bring: tables, archives and special files, through the real runner."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.datasets import fakes
from tests.support.inputs.archives import entries_of, patch
from tests.support.processes import commands

FLAGS = ("--image_size=16", "--encoding=png", "--workers=0", "--near_duplicates=off")


def bake(output_dir: Path, *flags: str) -> str:
    """Bakes and returns what the command told its user."""
    done = commands.call("beam_pipelines.prepare", f"--output_dir={output_dir}", *FLAGS, *flags)
    assert done.returncode == 0, done.stderr
    return done.stderr


def ledger(output_dir: Path) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(output_dir / "sources.parquet").to_pylist()
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: row for row in rows}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return fakes.write_folders(tmp_path / "in", {"apu": 12, "bart": 12})


def test_a_compressed_tar_gives_the_bytes_of_its_folder(folders: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(folders, "in")
    (tmp_path / "in.tgz").write_bytes(gzip.compress((tmp_path / "in.tar").read_bytes()))
    bake(tmp_path / "a", f"--input_dir={folders}")
    told = bake(tmp_path / "b", f"--input_dir={tmp_path / 'in.tgz'}")
    assert "in.tgz is compressed, and was decompressed to" in told
    shards = {name: digest for name, digest in commands.digests(tmp_path / "a").items()
              if "tfrecord" in name}  # fmt: skip
    assert shards.items() <= commands.digests(tmp_path / "b").items()
    assert not (tmp_path / "b" / ".cache").exists()


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [("keep_first", {"kept", "duplicate"}), ("drop_all", {"rejected"})],
)
def test_a_path_under_two_classes_is_a_label_conflict(
    folders: Path, tmp_path: Path, policy: str, statuses: set[str]
) -> None:
    lines = [f"apu/{n:04d}.jpg,zebra\nbart/{n:04d}.jpg,ant" for n in range(12)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *lines, "./apu/0003.jpg,ant", ""]))
    told = bake(
        tmp_path / "out",
        f"--input_dir={folders}",
        f"--input_csv={table}",
        f"--label_conflicts={policy}",
        "--max_reject_fraction=0.1",
    )
    assert "line 26: './apu/0003.jpg' is 'zebra' and 'ant'" in told
    rows = ledger(tmp_path / "out")
    both = [rows["apu/0003.jpg"], rows["apu/0003.jpg (2)"]]
    assert [row["class"] for row in both] == ["zebra", "ant"]
    assert {row["status"] for row in both} == statuses
    if policy == "keep_first":
        assert both[0]["status"] == "kept"
    else:
        assert {row["reason"] for row in both} == {"label_conflict"}
    assert commands.call("tfrecords.verify", str(tmp_path / "out")).returncode == 0


def test_what_is_no_file_or_too_large_costs_its_row(folders: Path, tmp_path: Path) -> None:
    os.mkfifo(folders / "apu" / "pipe.jpg")
    os.symlink("/dev/zero", folders / "apu" / "zero.jpg")
    with open(folders / "bart" / "sparse.jpg", "wb") as file:
        file.truncate(3 << 30)
    bake(tmp_path / "out", f"--input_dir={folders}", "--max_reject_fraction=0.2")
    rows = ledger(tmp_path / "out")
    assert {key: row["reason"] for key, row in rows.items() if row["status"] != "kept"} == {
        "apu/pipe.jpg": "not_a_file",
        "apu/zero.jpg": "not_a_file",
        "bart/sparse.jpg": "too_many_bytes",
    }


def test_a_zip_that_lies_costs_its_rows(folders: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folders.rglob("*.jpg")):
            archive.write(file, file.relative_to(folders).as_posix())
        archive.writestr("apu/bomb.jpg", bytes(64 << 20))
        archive.writestr("apu/huge.jpg", bytes(3_000_001))
    data = bytearray(path.read_bytes())
    patch(data, entries_of(data)[-2], 24, "<I", 1000)
    path.write_bytes(data)
    bake(tmp_path / "out", f"--input_dir={path}", "--max_file_mb=3", "--max_reject_fraction=0.2")
    rows = {k: row for k, row in ledger(tmp_path / "out").items() if row["status"] != "kept"}
    assert {key: row["reason"] for key, row in rows.items()} == {
        "apu/bomb.jpg": "unreadable",
        "apu/huge.jpg": "too_many_bytes",
    }
    assert "more than the 1000 bytes listed" in rows["apu/bomb.jpg"]["detail"]
