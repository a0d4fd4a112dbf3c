"""Which pictures a run was trained on, as the run itself keeps it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords import ledger
from tfrecords.errors import TrainerError
from trainer.data.selection import Selection, select
from trainer.runs import trained_on
from trainer.runs.trained_on import SCHEMA, TrainedOn


@pytest.fixture
def selection(tmp_path: Path) -> Selection:
    return select(fakes.write_dataset(tmp_path, copies=2), per_class=4, classes=("apu", "lisa"))


def test_it_has_the_selected_originals(tmp_path: Path, selection: Selection) -> None:
    found = trained_on.of(tmp_path, "d", "train", selection).pictures
    rows = [
        row
        for row in ledger.read(tmp_path).to_pylist()
        if row["split"] == "train" and row["class"] != "bart" and row["rank"] < 4
    ]
    assert len(rows) == 7 and found.schema == SCHEMA
    assert found["key"].to_pylist() == [row["key"] for row in rows]
    for name in ("phash", "group"):
        assert found[name].to_pylist() == [row[name] for row in rows]
    last = [int(row["sha256"][-16:], 16) for row in rows]
    assert found["sha256"].to_pylist() == last
    digest = hashlib.sha256(rows[0]["key"].encode()).digest()
    assert last[0] == int.from_bytes(digest[-8:], "big")


def test_what_is_written_is_read_back(tmp_path: Path, selection: Selection) -> None:
    assert trained_on.read(tmp_path) is None
    of_run = trained_on.of(tmp_path, "a" * 64, "train", selection)
    trained_on.write(tmp_path, of_run)
    found = trained_on.read(tmp_path)
    assert found is not None and found.digest == "a" * 64
    assert found.pictures.equals(of_run.pictures)


def test_nothing_selected_is_an_empty_table(tmp_path: Path, selection: Selection) -> None:
    assert trained_on.of(tmp_path, "d", "elsewhere", selection).pictures.num_rows == 0


def test_no_damage_gives_another_content(tmp_path: Path, selection: Selection) -> None:
    """500 seeded damages: each is noticed, or is where nothing is read from."""
    of_run = trained_on.of(tmp_path, "a" * 64, "train", selection)
    trained_on.write(tmp_path, of_run)
    path = tmp_path / trained_on.FILENAME
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for at, bit in zip(rng.integers(len(data), size=500), rng.integers(8, size=500), strict=True):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
        try:
            found = trained_on.read(tmp_path)
        except TrainerError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            continue
        assert isinstance(found, TrainedOn)
        assert found.pictures.equals(of_run.pictures) and len(found.digest) == 64
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(TrainerError, match=f"{trained_on.FILENAME} is damaged"):
            trained_on.read(tmp_path)
