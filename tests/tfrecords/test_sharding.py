"""Stable hashes and shard names: golden values, and what the field's readers expect of them."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.sharding import is_shard_name, shard_name, stable_hash, stable_hashes

NAMES = st.text("abcXYZ019_", min_size=1, max_size=12)
PARTS = st.lists(st.text(max_size=8), max_size=4)


class TestStableHash:
    def test_golden_values(self) -> None:
        # Every order and seed of every data set hangs on these: they may never change.
        assert stable_hash() == 16476032584258269876
        assert stable_hash("apu/1.jpg", 0, 7) == 12645211278992690017

    def test_the_recipe(self) -> None:
        data = b"".join(
            len(part).to_bytes(8, "little") + part for part in ("é/1.jpg".encode(), b"12")
        )
        digest = hashlib.blake2b(data, digest_size=8).digest()
        assert stable_hash("é/1.jpg", 12) == int.from_bytes(digest, "big")

    @given(PARTS, PARTS)
    def test_differs_where_parts_differ(self, first: list[str], second: list[str]) -> None:
        assert (stable_hash(*first) == stable_hash(*second)) == (first == second)

    def test_takes_names_that_are_not_utf8(self) -> None:
        assert stable_hash("\udce9.jpg") != stable_hash("é.jpg")

    @given(PARTS, PARTS)
    def test_many_at_once_are_the_same_hashes(self, parts: list[str], names: list[str]) -> None:
        expected = [stable_hash(*parts, 7, name) for name in names]
        assert stable_hashes([*parts, 7], names).tolist() == expected

    @given(st.integers(1, 64))
    def test_every_remainder_occurs(self, bundles: int) -> None:
        seen = {stable_hash("key", i) % bundles for i in range(bundles * 16)}
        assert len(seen) == bundles


class TestShardName:
    def test_golden_name(self) -> None:
        assert shard_name("pets", "train", 3, 16) == "pets-train.tfrecord-00003-of-00016"

    @given(NAMES, NAMES, st.data())
    def test_is_recognised(self, name: str, split: str, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, 200_000))
        assert is_shard_name(shard_name(name, split, data.draw(st.integers(0, count - 1)), count))

    @pytest.mark.parametrize(("index", "count"), [(-1, 4), (4, 4), (0, 0)])
    def test_an_index_outside_its_count_is_refused(self, index: int, count: int) -> None:
        with pytest.raises(ValueError, match=re.escape(f"0 to {count - 1}, not {index}")):
            shard_name("pets", "train", index, count)

    @pytest.mark.parametrize(
        "other",
        [
            "",
            "manifest.json",
            "pets-train.tfrecord",
            "pets-train.tfrecord-0-of-1",
            "pets-train.tfrecord-00000-of-00001.tmp",
            "../pets-train.tfrecord-00000-of-00001",
            ".pets-train.tfrecord-00000-of-00001",
            "pets-train.tfrecord-00000-of-00001\n",
        ],
    )
    def test_other_files_are_not_taken_for_shards(self, other: str) -> None:
        assert not is_shard_name(other)

    def test_names_sort_by_index(self) -> None:
        names = [shard_name("pets", "train", index, 12) for index in range(12)]
        assert sorted(names) == names

    def test_tfds_reads_and_writes_the_same_name(self) -> None:
        naming = pytest.importorskip("tensorflow_datasets").core.naming
        name = shard_name("pets", "validation", 3, 16)
        found = naming.FilenameInfo.from_str(name)
        assert (found.dataset_name, found.split) == ("pets", "validation")
        assert (found.shard_index, found.num_shards) == (3, 16)
        assert str(found) == name
