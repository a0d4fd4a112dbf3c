from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import ConflictPolicy
from beam_pipelines.similarity import banding, duplicates, partitioned
from benchmarks.bake import synthetic_facts


def met(sent: Iterable[tuple[Hashable, np.ndarray]], seed: int = 0) -> dict[Hashable, np.ndarray]:
    """Groups rows by key as a shuffle does: blocks of a key come in no particular order."""
    found = defaultdict(list)
    for key, rows in sent:
        found[key].append(rows)
    for blocks in found.values():
        random.Random(seed).shuffle(blocks)
    return {key: np.concatenate(blocks) for key, blocks in found.items()}


def join(
    blocks: Sequence[np.ndarray], max_distance: int, count: int
) -> partitioned.JoinedDuplicates:
    """All rounds, in memory."""
    sent = [
        (part, block[rows])
        for block in blocks
        for part, rows in partitioned.parts(block["words"], count)
    ]
    distinct = [partitioned.distinct(marked) for marked in met(sent).values()]
    twins = [part.tobytes() for _, part in distinct]
    kept = [part for part, _ in distinct]
    masked = met(
        sent for part in kept for sent in partitioned.masked_words(part, max_distance, count)
    )
    counts = [
        partitioned.MaskCount(*key[:2], banding.count_pairs(words), len(words))
        for key, words in masked.items()
    ]
    masks = partitioned.best_masks(counts, max_distance)
    if kept:
        first = np.sort(np.concatenate([part["words"][:, 0] for part in kept]))
        assert masks == banding.choose_masks(first, max_distance, 4)
    bands = met(sent for part in kept for sent in partitioned.bands(part, masks, count))
    pairs = [partitioned.pairs_of(band, masks[key[0]], max_distance) for key, band in bands.items()]
    again = met(
        (part, found[rows])
        for found in pairs
        for part, rows in partitioned.parts(found["left"].astype(np.uint64), count)
    )
    return partitioned.JoinedDuplicates.of(
        twins, [partitioned.unique_pairs(found).tobytes() for found in again.values()]
    )


def marks(words: np.ndarray, ids: np.ndarray) -> np.ndarray:
    result = np.empty(len(ids), partitioned.MARK)
    result["words"], result["id"] = words, ids
    return result


@st.composite
def fingerprints(draw: st.DrawFn) -> np.ndarray:
    """Up to 60 fingerprints around three centres, a few bits away, some of them equal."""
    centres = [0, 0xFFFF_0000_AAAA_5555 << 150, draw(st.integers(0, 2**256 - 1))]
    flips = st.lists(st.integers(0, 255), max_size=8)
    rows = draw(st.lists(st.tuples(st.sampled_from(centres), flips), min_size=1, max_size=60))
    values = [centre ^ sum({1 << bit for bit in flipped}) for centre, flipped in rows]
    return np.array([[(v >> 64 * word) % 2**64 for word in range(4)] for v in values], np.uint64)


@given(
    words=fingerprints(),
    limit=st.integers(0, 64),
    classes=st.integers(1, 3),
    count=st.integers(1, 5),
    steps=st.sampled_from([1, 3, 256]),
    seed=st.integers(0, 9),
)
@settings(max_examples=150, deadline=None)
def test_parts_find_the_groups_that_one_place_finds(
    words: np.ndarray, limit: int, classes: int, count: int, steps: int, seed: int
) -> None:
    """Crowded buckets included, where only some pairs are compared: the very same ones."""
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(0, classes, len(words)).astype(np.int32)
    ids = rng.permutation(10 * len(words))[: len(words)]
    line = rng.permutation(len(words))
    blocks = [marks(words[rows], ids[rows]) for rows in np.array_split(line, 3) if len(rows)]
    with mock.patch.object(banding, "MAX_STEPS", steps):
        whole = duplicates.near_groups(words, class_ids, limit)
        found = join(blocks, limit, count).near_groups(ids, class_ids, limit)
    assert found.group.tolist() == whole.group.tolist()
    assert found.tightened == whole.tightened


def test_only_pictures_with_near_duplicates_are_left_for_one_process() -> None:
    """Of 20,000 pictures, 3% with a near copy, links are all that comes out."""
    shape = synthetic_facts.Shape(20_000)
    batches = [
        batch for block in synthetic_facts.blocks(shape) for batch in facts_table.batches(block)
    ]
    blocks = [partitioned.marks(batch, labelled=False) for batch in batches]
    found = join(blocks, duplicates.MAX_DISTANCE, 4)
    assert 0 < len(found.pairs) < 0.08 * shape.pictures
    assert 0 < len(found.twins) < 0.04 * shape.pictures
    assert len(np.unique(found.pairs)) == len(found.pairs)


def test_no_part_gets_much_more_than_its_share() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2**64, 50_000, np.uint64)
    for mask in banding.mask_choices(6)[2].masks[::20]:
        sizes = [len(rows) for _, rows in partitioned.parts(first & mask, 10)]
        assert len(sizes) == 10
        assert max(sizes) < 1.2 * 5_000


@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=40),
    count=st.integers(1, 4),
)
@settings(deadline=None)
def test_files_under_two_classes_do_not_count(rows: list[tuple[int, int]], count: int) -> None:
    content, labels = (np.array(column) for column in zip(*rows, strict=True))
    looks = np.random.default_rng(1).integers(0, 2**64, (10, 4), np.uint64)
    looks[5:] = looks[:5] ^ np.uint64(1)
    marked = np.empty(len(rows), partitioned.LABELLED_MARK)
    marked["words"], marked["id"] = looks[content], np.arange(len(rows))
    marked["sha256"] = [bytes([1 + number]) * 32 for number in content]
    marked["label"] = labels
    exact = duplicates.exact(marked["sha256"], labels.astype(np.int32), ConflictPolicy.DROP_ALL)
    kept = np.flatnonzero(exact.keeper == np.arange(len(rows)))
    class_ids = labels[kept].astype(np.int32)
    whole = duplicates.near_groups(looks[content[kept]], class_ids, 40)
    found = join([marked], 40, count).near_groups(kept, class_ids, 40)
    assert found.group.tolist() == whole.group.tolist()


def test_marks_are_of_pictures_alone() -> None:
    rows = [
        ImageFacts("a/bad", "a", 3, 0, None, reason="corrupt", detail=""),
        *(
            ImageFacts(
                f"a/{place}", "a", 9, 0, None, sha256=f"{place:02x}" * 32, phash=0,
                fingerprint=f"{place:064x}", encoded_bytes=1, pack=f"{place:05d}-of-8-ff",
                index=place + 2,
            )
            for place in range(3)
        ),
    ]  # fmt: skip
    (batch,) = facts_table.batches(facts_table.facts_block(rows))
    for labelled in (False, True):
        found = partitioned.marks(batch, labelled=labelled)
        assert found["words"].tolist() == [[0, 0, 0, place] for place in range(3)]
        assert found["id"].tolist() == [(place << 32) + place + 2 for place in range(3)]
        assert len(partitioned.marks(batch.slice(0, 1), labelled=labelled)) == 0
    assert found["sha256"][2] == b"\2" * 32


def test_ids_take_the_names_of_bundles_apart() -> None:
    packs = pa.array(["00007-of-00008-ab", "131071-of-131072-cd"]).dictionary_encode()
    assert partitioned.picture_ids(packs, np.array([5, 0])).tolist() == [
        (7 << 32) + 5,
        131071 << 32,
    ]


@pytest.mark.parametrize(
    ("bundles", "workers", "parts"), [(1 << 13, 0, 0), (1 << 20, 2, 0), (1 << 14, 0, 3)]
)
def test_only_engines_join_in_parts_and_only_what_is_large(
    bundles: int, workers: int, parts: int
) -> None:
    assert partitioned.count_parts(bundles, workers) == parts
