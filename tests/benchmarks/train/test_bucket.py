"""The data set of the benchmark, the bucket it is put into, and one epoch from there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.train import bucket, fake_gcs
from tfrecords import verify


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bucket, "SHARDS", 3)
    monkeypatch.setattr(bucket, "RECORDS", 70)
    bucket.write(tmp_path / "far")
    return tmp_path / "far"


def test_it_writes_a_good_data_set_once(small: Path) -> None:
    shard = next(small.glob("*.tfrecord*"))
    before = shard.stat().st_mtime_ns
    bucket.write(small)
    assert shard.stat().st_mtime_ns == before
    files = {problem.file for problem in verify.verify(small).problems}
    assert "sources.parquet" in files and not any("tfrecord" in name for name in files)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_an_epoch_from_a_bucket(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_gcs.serving(small.parent, fake_gcs.Distance(0.01, 50e6)) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert bucket.read("gs://bucket/far", 2)["rate"] > 0


def test_a_distance_is_not_negative() -> None:
    with pytest.raises(ValueError, match="not negative"):
        fake_gcs.Distance(latency=-1.0)
