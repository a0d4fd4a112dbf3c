"""The manifest: round trip, digests by their recipe, and what its errors tell a person."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import fakes
from tfrecords import manifest
from tfrecords.manifest import Manifest, ManifestError, ShardInfo, SplitInfo
from tfrecords.schema import SCHEMA_VERSION, Encoding, ImageSpec, Resize

SHARD = ShardInfo("pets-train.tfrecord-00000-of-00001", 5, 900, "ab" * 32)
FOUND = Manifest(
    name="pets",
    classes=("cat", "chien é"),
    image=ImageSpec(32, 48, Resize.PAD, Encoding.PNG),
    splits=(SplitInfo("train", (2, 1), (0, 2), (SHARD,)), SplitInfo("test", (0, 0), (0, 0), ())),
    statuses={"kept": 3, "rejected": 1},
    config={"seed": 0, "per_class": None, "augment": ["flip"]},
    digests={"sources": "1" * 64, "config": "2" * 64, "dataset": "3" * 64},
)


def test_json_round_trip() -> None:
    text = FOUND.to_json()
    assert Manifest.from_json(text) == FOUND
    assert Manifest.from_json(text).to_json() == text
    assert list(json.loads(text))[0] == "schema_version"
    assert "chien é" in text


def test_load_reads_what_a_data_set_holds(tmp_path: Path) -> None:
    written = fakes.write_dataset(tmp_path)
    assert manifest.load(tmp_path) == manifest.load(str(tmp_path)) == written


def test_totals_are_sums_over_shards() -> None:
    train = FOUND.split("train")
    assert (train.records, train.bytes) == (5, 900)
    assert FOUND.digest == "3" * 64


class TestDigests:
    def test_of_shards(self) -> None:
        line = f"{'ab' * 32}  pets-train.tfrecord-00000-of-00001\n"
        assert manifest.digest_of_shards(FOUND.splits) == hashlib.sha256(line.encode()).hexdigest()

    def test_of_a_config_is_that_of_its_json_in_key_order(self) -> None:
        expected = hashlib.sha256(b'{"a": "\xc3\xa9", "b": 1}\n').hexdigest()
        assert manifest.digest_of_config({"b": 1, "a": "é"}) == expected
        assert manifest.digest_of_config({"a": "é", "b": 1}) == expected
        assert manifest.digest_of_config({"a": "é", "b": 2}) != expected

    def test_of_sources_takes_any_name_and_unread_files(self) -> None:
        rows = [("a\udce9.jpg", "12"), ("b.jpg", None)]
        expected = hashlib.sha256(b"12  a\xe9.jpg\nNone  b.jpg\n").hexdigest()
        assert manifest.digest_of_sources(rows) == expected


class TestErrors:
    def test_no_manifest(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="`evenshard bake.* did not finish: then run that"):
            manifest.load(tmp_path)

    def test_not_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").mkdir()
        with pytest.raises(ManifestError, match=f"cannot read {re.escape(str(tmp_path))}"):
            manifest.load(tmp_path)

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"null", b"3", b'"text"'])
    def test_no_json_object_of_ours(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "manifest.json").write_bytes(data)
        with pytest.raises(ManifestError, match=r"manifest.json: not a manifest"):
            manifest.load(tmp_path)

    def test_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_bytes(b'{"name": "\xff"}')
        with pytest.raises(ManifestError, match="cannot read"):
            manifest.load(tmp_path)

    @pytest.mark.parametrize("version", [True, 1.0, "1", None, [1]])
    def test_a_schema_version_that_is_no_number(self, version: object) -> None:
        text = json.dumps(json.loads(FOUND.to_json()) | {"schema_version": version})
        with pytest.raises(ManifestError, match=r"schema_version is .*, a number expected"):
            Manifest.from_json(text)

    @pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
    def test_another_schema_version(self, version: object) -> None:
        text = json.dumps(json.loads(FOUND.to_json()) | {"schema_version": version})
        with pytest.raises(ManifestError, match=f"schema version {version}, this .* reads 1: bake"):
            Manifest.from_json(text)

    def test_an_unknown_split_lists_those_there_are(self) -> None:
        with pytest.raises(
            ManifestError, match="no split 'valid' in .*'pets'; it has: train, test"
        ):
            FOUND.split("valid")

    def test_any_field_of_another_value_is_a_manifest_or_its_error(self) -> None:
        fields = json.loads(FOUND.to_json())
        for path in _paths(fields):
            for value in (None, -1, "text", [], {}, [[1]]):
                changed = copy.deepcopy(fields)
                _set(changed, path, value)
                try:
                    Manifest.from_json(json.dumps(changed))
                except ManifestError as error:
                    assert "\n" not in str(error)

    @pytest.mark.parametrize("name", sorted(json.loads(FOUND.to_json())))
    def test_a_missing_field(self, name: str) -> None:
        fields = json.loads(FOUND.to_json())
        del fields[name]
        with pytest.raises(ManifestError, match="not a manifest"):
            Manifest.from_json(json.dumps(fields))

    def test_a_field_of_the_future(self) -> None:
        text = json.dumps(json.loads(FOUND.to_json()) | {"colour": 1})
        with pytest.raises(ManifestError, match="colour"):
            Manifest.from_json(text)

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        with pytest.raises(ManifestError):
            Manifest.from_json(text)


class TestInvariants:
    @pytest.mark.parametrize("name", ["train.tfrecord", "../pets-train.tfrecord-00000-of-00001"])
    def test_a_shard_has_a_shards_name(self, name: str) -> None:
        with pytest.raises(ValueError, match="not a shard's name"):
            ShardInfo(name, 1, 1, "ab" * 32)

    def test_a_sha256_has_64_digits(self) -> None:
        with pytest.raises(ValueError, match="is 'ab', not 64 hex digits"):
            ShardInfo(SHARD.filename, 1, 1, "ab")

    def test_classes_and_shards_count_the_same_records(self) -> None:
        with pytest.raises(ValueError, match="classes count 4 records, shards 5"):
            SplitInfo("train", (2, 1), (0, 1), (SHARD,))

    def test_originals_and_copies_have_the_same_classes(self) -> None:
        with pytest.raises(ValueError, match="differ in classes"):
            SplitInfo("train", (2, 3), (0,), (SHARD,))

    @pytest.mark.parametrize(
        ("classes", "text"), [(("a", "a"), "not unique"), (("a",), "counts 2 classes, .* names 1")]
    )
    def test_class_names(self, classes: tuple[str, ...], text: str) -> None:
        with pytest.raises(ValueError, match=text):
            Manifest("pets", classes, FOUND.image, FOUND.splits, {}, {}, FOUND.digests)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the path of every value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        yield (*path, key)
        if isinstance(child, (dict, list)):
            yield from _paths(child, (*path, key))


def _set(value: Any, path: tuple[str | int, ...], new: object) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
