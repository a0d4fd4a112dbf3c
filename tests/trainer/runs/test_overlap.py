"""What a split shares with what was trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.support.datasets import fakes, ledgers
from tfrecords import ledger
from tfrecords.manifest import MANIFEST, SOURCES, Manifest
from trainer.data.selection import select
from trainer.runs import overlap, trained_on
from trainer.runs.overlap import Leak, Part
from trainer.runs.trained_on import TrainedOn

TRAINED, TESTED = "apu/train003.png", "bart/test001.png"


def _part(root: Path, manifest: Manifest, split: str, per_class: int | None = None) -> Part:
    return Part(root, manifest, split, select(manifest, per_class=per_class))


def _trained(part: Part) -> TrainedOn:
    return trained_on.of(part.data_dir, part.manifest.digest, part.split, part.selection)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return fakes.write_dataset(tmp_path)


def test_split_by_group_share_nothing(tmp_path: Path, manifest: Manifest) -> None:
    ledgers.write(tmp_path, manifest)
    train, test = (_part(tmp_path, manifest, split) for split in ("train", "test"))
    assert overlap.find([_trained(train)], test) == []


def test_finds_a_group_in_both(tmp_path: Path, manifest: Manifest) -> None:
    changes = {TRAINED: {"group": 999}, TESTED: {"group": 999}}
    ledgers.write(tmp_path, manifest, changes)
    train, test = (_part(tmp_path, manifest, split) for split in ("train", "test"))
    assert overlap.find([_trained(train)], test) == [Leak(TESTED, TRAINED, "group")]


@pytest.mark.parametrize("flag", ["group_by", "group_column"])
def test_a_group_that_a_flag_names_is_not_called_near_duplicates(
    tmp_path: Path, manifest: Manifest, flag: str
) -> None:
    ledgers.write(tmp_path, manifest, {TRAINED: {"group": 999}, TESTED: {"group": 999}})
    named = dataclasses.replace(manifest, config={**manifest.config, flag: "patient"})
    train, test = (_part(tmp_path, named, split) for split in ("train", "test"))
    found = overlap.find([_trained(train)], test)
    assert found == [Leak(TESTED, TRAINED, "named")]
    assert "1 pictures of split 'test' share a group (--group_by, --group_col" in (
        overlap.explain(found, "test")
    )


def test_what_was_not_selected_was_not_seen(tmp_path: Path, manifest: Manifest) -> None:
    changes = {TRAINED: {"group": 999}, TESTED: {"group": 999}}
    ledgers.write(tmp_path, manifest, changes)
    test = _part(tmp_path, manifest, "test")
    # `TRAINED` has rank 3 in its class.
    assert overlap.find([_trained(_part(tmp_path, manifest, "train", per_class=3))], test) == []
    assert len(overlap.find([_trained(_part(tmp_path, manifest, "train", per_class=4))], test)) == 1


def test_a_split_leaks_into_itself(tmp_path: Path, manifest: Manifest) -> None:
    ledgers.write(tmp_path, manifest)
    train = _part(tmp_path, manifest, "train")
    found = overlap.find([_trained(train)], train)
    assert len(found) == sum(manifest.split("train").originals)
    assert all(leak.key == leak.trained_key for leak in found)
    assert "16 pictures of split 'train' are near-duplicates" in overlap.explain(found, "train")


@pytest.mark.parametrize("column", ["sha256", "phash"])
def test_another_bake_is_compared_by_content(tmp_path: Path, column: str) -> None:
    first = fakes.write_dataset(tmp_path / "a")
    fakes.write_dataset(tmp_path / "b")
    # Of other contents as far as the digest tells.
    text = json.loads((tmp_path / "b" / MANIFEST).read_text())
    text["digests"]["dataset"] = "1" * 64
    second = Manifest.from_json(json.dumps(text))
    shared = "f" * 64 if column == "sha256" else 2**63 + 5
    ledgers.write(tmp_path / "a", first, {TRAINED: {column: shared}})
    distinct = {
        row["key"]: {"sha256": f"{i:064x}", "phash": i, "group": row["group"]}
        for i, row in enumerate(ledgers.write(tmp_path / "b", second), start=1000)
    }
    distinct[TESTED][column] = shared
    ledgers.write(tmp_path / "b", second, distinct)
    train, test = _part(tmp_path / "a", first, "train"), _part(tmp_path / "b", second, "test")
    # Equal group numbers of two bakes mean nothing.
    assert overlap.find([_trained(train)], test) == [Leak(TESTED, TRAINED, column)]


def test_cannot_tell_without_a_ledger(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / SOURCES).unlink(missing_ok=True)
    part = _part(tmp_path, manifest, "train")
    with pytest.raises(ledger.LedgerError, match="sources.parquet.* is missing"):
        _trained(part)
