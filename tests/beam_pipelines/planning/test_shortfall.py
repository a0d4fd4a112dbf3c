"""Splits that groups leave short: told, with the group and the flags; an empty one fails."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import GroupWithin, NearDuplicates
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning.plan import Plan, make_plan
from tests.support.bakes.image_facts import CONFIG, picture


def plan(rows: list[ImageFacts], config: PrepareConfig = CONFIG, **changes: object) -> Plan:
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    return make_plan(facts, dataclasses.replace(config, **changes), _one_look)


def _one_look(rows: np.ndarray) -> np.ndarray:
    return np.zeros((len(rows), 16, 16, 3), np.uint8)


def tracks(classes: str, count: int, frames: int = 3, **values: object) -> list[ImageFacts]:
    """Tracks whose numbers start anew in each class."""
    return [
        picture(f"{name}/{track:03d}_{frame}.jpg", **values)
        for name in classes
        for track in range(count)
        for frame in range(frames)
    ]


def told(result: Plan) -> str:
    return "\n".join(result.notes)


def sizes(result: Plan) -> list[int]:
    return [len(records.row) for records in result.records.values()]


def test_a_pattern_that_joins_everything_fails_and_names_the_group_and_what_mends_it() -> None:
    result = plan(tracks("abcd", 10), group_by=r"/(\d)\d\d_")
    assert sizes(result) == [120, 0, 0]
    assert result.failure == (
        "split validation got 0 of the 12 pictures asked for and split test got 0 of the 12 "
        "pictures asked for: a group is never divided, and the largest, 120 pictures of classes "
        "a, b, c and 1 more ('a/000_0.jpg' is one) joined by --group_by, went to train; a pattern "
        "with the class in it (or --group_within=class) makes smaller groups; "
        "--allow_empty_splits bakes anyway"
    )
    # The failure says it, so no note does.
    assert "split validation" not in told(result)


def test_an_empty_split_may_be_allowed_and_is_told_all_the_same() -> None:
    result = plan(tracks("abcd", 10), group_by=r"/(\d)\d\d_", allow_empty_splits=True)
    assert result.failure is None
    assert "split validation got 0 of the 12 pictures asked for" in told(result)


def test_groups_within_classes() -> None:
    within = plan(tracks("ab", 20), group_by=r"/(\d+)_", group_within=GroupWithin.CLASS)
    groups = {row["key"]: row["group"] for row in within.sources.to_pylist()}
    assert groups["a/003_0.jpg"] == groups["a/003_2.jpg"] != groups["b/003_0.jpg"]
    joined = plan(tracks("ab", 20), group_by=r"/(\d+)_")
    groups = {row["key"]: row["group"] for row in joined.sources.to_pylist()}
    assert groups["a/003_0.jpg"] == groups["b/003_0.jpg"]


def test_a_split_with_under_half_is_told_and_bakes() -> None:
    rows = [*tracks("a", 1, 90), *tracks("b", 3, 1)]
    result = plan(rows, group_by=r"(\d+)_", splits=(("train", 0.5), ("test", 0.5)))
    assert result.failure is None and 0 < sizes(result)[1] < 23
    assert "split test got" in told(result)
    assert "went to train" in told(result)


def test_near_duplicates_that_would_join_tracks_do_not() -> None:
    """Each track is linked to the next: without the guard all of them would be one group."""
    rows = [
        dataclasses.replace(row, fingerprint=f"{_linked(index):064x}")
        for index, row in enumerate(tracks("ab", 20, 5))
    ]
    result = plan(rows, near_duplicates=NearDuplicates.GROUP, group_by=r"^(\w/\d+)_")
    assert result.failure is None
    assert "chains of near duplicates" in told(result)
    assert min(sizes(result)) >= 15
    groups = [row["group"] for row in result.sources.to_pylist()]
    assert max(np.unique(groups, return_counts=True)[1]) <= 20


def _linked(index: int) -> int:
    """Fingerprints of which two in a row are near: the last of a track, the first of the next."""
    return hash_of((index + 1) // 5) ^ (1 << 20 if index % 5 == 4 else 0)


def hash_of(number: int) -> int:
    return int.from_bytes(np.random.default_rng(number).bytes(32), "big")


def test_near_duplicates_are_named_as_the_cause() -> None:
    alike = [dataclasses.replace(row, fingerprint="0f" * 32) for row in tracks("abcd", 9, 1)]
    result = plan(alike, near_duplicates=NearDuplicates.GROUP)
    assert sizes(result) == [36, 0, 0]
    assert result.failure is not None
    assert "joined by near duplicates, went to train" in result.failure
    assert "--near_distance (or --near_duplicates=off) makes smaller groups" in result.failure


def test_both_causes_are_named_together() -> None:
    rows = [
        dataclasses.replace(row, fingerprint="0f" * 32) if row.key.endswith("_0.jpg") else row
        for row in tracks("abcd", 3, 3)
    ]
    result = plan(rows, near_duplicates=NearDuplicates.GROUP, group_by=r"^(\w/\d+)_")
    assert result.failure is not None
    assert "joined by --group_by and near duplicates together" in result.failure
    assert "a pattern that tells more of them apart, or a smaller --near" in result.failure
    joined = plan(rows, near_duplicates=NearDuplicates.GROUP, group_by=r"(\d+)_")
    assert "a pattern with the class in it (or --group_within=class), or" in str(joined.failure)


def test_a_handful_of_pictures_that_look_the_same_still_bakes() -> None:
    alike = [dataclasses.replace(row, fingerprint="0f" * 32) for row in tracks("ab", 8, 1)]
    result = plan(alike, near_duplicates=NearDuplicates.GROUP)
    assert sizes(result) == [16, 0, 0] and result.failure is None
    assert "split validation got 0 of the 2 pictures asked for" in told(result)


def test_classes_too_small_to_give_a_split_a_picture_are_told_and_do_not_fail_a_toy_set() -> None:
    result = plan(tracks("abc", 3, 1))
    assert sizes(result) == [9, 0, 0]
    assert result.failure is None
    assert "a class needs 4 pictures to give it one" in told(result)


def test_many_classes_too_small_are_told() -> None:
    result = plan([picture(f"class{i:02d}/{j}") for i in range(60) for j in range(5)])
    assert sizes(result) == [240, 60, 0]
    assert result.failure is None
    assert "split test got 0 of the 30 pictures asked for: a class needs 7" in (told(result))


def test_a_split_that_the_input_gives_is_as_large_as_it_is() -> None:
    given_splits = ["train"] * 50 + ["test"]
    rows = [
        dataclasses.replace(row, split=name)
        for row, name in zip(tracks("a", 51, 1), given_splits, strict=True)
    ]
    result = plan([*rows, *(dataclasses.replace(r, split="train") for r in tracks("b", 50, 1))])
    assert result.failure is None
    assert "split test" not in told(result)
    assert sizes(result)[1] > 5  # Validation was taken from train.


def test_a_group_of_a_split_that_the_input_gives_explains_nothing() -> None:
    given_splits = {"a": "test", "b": "train"}
    rows = [*tracks("a", 1, 90), *tracks("b", 1, 60)]
    rows = [dataclasses.replace(row, split=given_splits[row.key[0]]) for row in rows]
    result = plan(rows, group_by=r"(\w)/\d+_")
    assert result.failure is not None
    assert "60 pictures of class b" in result.failure and "went to train" in result.failure


def test_a_pattern_that_matches_a_part_says_how_much() -> None:
    rows = [*tracks("ab", 10), *(picture(f"{name}/single{i}") for name in "ab" for i in range(10))]
    assert "--group_by matches 60 of 80 pictures" in told(plan(rows, group_by=r"/(\d+)_"))


def test_a_large_group_by_name_is_respected_and_told() -> None:
    rows = [*tracks("a", 1, 40), *tracks("b", 40, 1)]
    result = plan(rows, group_by=r"^(a/\d+|b/\d+_)", allow_empty_splits=True)
    assert "one group of 40 of the 40 pictures of 'a', 'a/000_0.jpg' among them" in told(result)
    assert len({row["split"] for row in result.sources.to_pylist() if row["class"] == "a"}) == 1


def test_classes_of_unequal_sizes_are_told_unless_they_are_balanced() -> None:
    rows = [*tracks("a", 40, 1), *tracks("b", 10, 1), *tracks("c", 20, 1)]
    assert (
        "the classes are not balanced: 8 (b) to 32 (a) train pictures each, median 16; "
        "--per_class=N gives each N" in told(plan(rows))
    )
    assert "not balanced" not in told(plan(rows, per_class=10))
    assert "not balanced" not in told(plan(tracks("ab", 10, 1)))


def test_a_class_without_a_train_picture_is_told() -> None:
    rows = [dataclasses.replace(row, split="train") for row in tracks("ab", 10, 1)]
    rows += [dataclasses.replace(row, split="test") for row in tracks("c", 10, 1)]
    assert "no picture to train on: c (10 test)" in told(plan(rows))


@pytest.mark.parametrize("within", list(GroupWithin))
@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    frames=st.integers(1, 6),
    near=st.sampled_from(list(NearDuplicates)),
    links=st.integers(0, 12),
)
def test_groups_are_never_divided_and_shortfalls_never_silent(
    within: GroupWithin, counts: list[int], frames: int, near: NearDuplicates, links: int
) -> None:
    rows = [row for name, n in zip("abcd", counts, strict=False) for row in tracks(name, n, frames)]
    rows = [
        dataclasses.replace(row, fingerprint=f"{hash_of(index % max(links, 1)):064x}")
        if index < links * 2
        else row
        for index, row in enumerate(rows)
    ]
    result = plan(rows, near_duplicates=near, group_by=r"/(\d+)_", group_within=within)
    splits: dict[object, set[str]] = {}
    for row in result.sources.to_pylist():
        if row["split"] is not None:
            splits.setdefault(row["group"], set()).add(row["split"])
            track = row["key"].partition("/")[2][:3]
            of_class = row["class"] if within is GroupWithin.CLASS else ""
            splits.setdefault((of_class, track), set()).add(row["split"])
    assert all(len(names) == 1 for names in splits.values())
    total = sum(sizes(result))
    text = told(result) + str(result.failure)
    for (name, fraction), size in zip(result.config.splits, sizes(result), strict=True):
        assert (f"split {name} got {size:,} of the" in text) == (2 * size < fraction * total)
