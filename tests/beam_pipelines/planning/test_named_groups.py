"""Groups of a table's column: whole in every form of splits, united with all other groups, said."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import ConflictPolicy, NearDuplicates, SplitBy
from beam_pipelines.planning.plan import Plan, make_plan
from tests.support.bakes.image_facts import CONFIG, picture

SPLITS = ("train:0.8,validation:0.1,test:0.1", "train:0.5,test:0.5", "folds:3", "folds:2,test:0.3")
# A fingerprint of half of its bits, as pictures have them.
HALF = int("0f" * 32, 16)

GIVEN = (None, "train", "validation", "test")


def plan(rows: list[ImageFacts], **changes: object) -> Plan:
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    given = {"input_csv": "t.csv", "group_column": "patient", "allow_empty_splits": True}
    return make_plan(facts, dataclasses.replace(CONFIG, **{**given, **changes}), _looks)


def _looks(rows: np.ndarray) -> np.ndarray:
    """Returns thumbnails of a few looks, so that clusters form."""
    return np.stack([np.full((16, 16, 3), 25 * (row % 7), np.uint8) for row in rows])


def of_patients(name: str, *patients: str | None, **values: object) -> list[ImageFacts]:
    """Returns a picture of a class for each patient."""
    return [
        dataclasses.replace(picture(f"{name}/{number:03d}"), group_value=patient, **values)
        for number, patient in enumerate(patients)
    ]


def told(result: Plan) -> str:
    return "\n".join(result.notes)


@st.composite
def tables(draw: st.DrawFn) -> list[ImageFacts]:
    """Pictures of patients, some of them equal, nearly equal, given a split or of no patient."""
    patients = st.one_of(st.none(), st.integers(0, 8).map(str))
    given_splits = draw(st.sampled_from([(None,), (None, "test"), GIVEN[1:], GIVEN]))
    rows = []
    for number in range(draw(st.integers(8, 40))):
        content, looks = draw(st.integers(0, 60)), draw(st.integers(0, 9))
        key = f"{'ab'[number % 2]}/{number:03d}"
        row = picture(key, content=str(content), looks=HALF ^ (1 << looks) if looks < 3 else None)
        rows.append(
            dataclasses.replace(
                row,
                group_value=draw(patients),
                split=draw(st.sampled_from(given_splits)),
            )
        )
    return rows


@settings(max_examples=150, deadline=None)
@given(
    tables(),
    st.sampled_from(SPLITS),
    st.sampled_from(list(NearDuplicates)),
    st.sampled_from(list(ConflictPolicy)),
    st.sampled_from([SplitBy.RANDOM, SplitBy.APPEARANCE]),
    st.sampled_from([None, r"/(\d\d)"]),
)
def test_only_the_input_divides_a_group(
    rows: list[ImageFacts],
    splits: str,
    near: NearDuplicates,
    conflicts: ConflictPolicy,
    split_by: SplitBy,
    pattern: str | None,
) -> None:
    if "folds" in splits:  # As `validation_into_folds` gives them.
        rows = [dataclasses.replace(r, split="train") if r.split == "validation" else r
                for r in rows]  # fmt: skip
    if "test" not in splits:
        rows = [dataclasses.replace(row, split=None) for row in rows]
    if "validation" not in splits:
        rows = [dataclasses.replace(r, split=None) if r.split == "validation" else r for r in rows]
    result = plan(
        rows, splits=splits, near_duplicates=near, label_conflicts=conflicts, split_by=split_by,
        group_by=pattern,
    )  # fmt: skip
    fold = {} if result.fold is None else dict(enumerate(result.fold.tolist()))
    by_key = {row.key: row for row in rows}
    places: dict[str, set[object]] = defaultdict(set)
    wanted: dict[str, set[object]] = defaultdict(set)
    groups: dict[str, set[int]] = defaultdict(set)
    for number, row in enumerate(result.sources.to_pylist()):
        source = by_key[row["key"]]
        if row["split"] is None or source.group_value is None:
            continue
        places[source.group_value].add((row["split"], fold.get(number)))
        groups[source.group_value].add(row["group"])
        if source.split is not None:
            wanted[source.group_value].add(source.split)
    for patient, found in places.items():
        assert len(groups[patient]) == 1
        if len(wanted[patient]) <= 1:
            assert len(found) == 1, (patient, found)
    text = told(result)
    divided = [patient for patient in places if len({split for split, _ in places[patient]}) > 1]
    # A group may have pictures beyond those of one value, as by a dropped duplicate.
    assert not divided or "of --group_column=patient, such as" in text


def test_a_patient_is_in_one_split_where_classes_and_near_duplicates_differ() -> None:
    """One patient in two classes; a near duplicate ties it to a second patient."""
    rows = [
        *of_patients("a", *[str(n // 3) for n in range(60)]),
        *of_patients("b", *[str(n // 3) for n in range(60)]),
    ]
    twins = {"a/000": 5, "a/059": 5}
    rows = [
        dataclasses.replace(row, fingerprint=f"{1 << twins[row.key]:064x}" if row.key in twins
                            else row.fingerprint)
        for row in rows
    ]  # fmt: skip
    result = plan(rows, near_duplicates=NearDuplicates.GROUP)
    group = {row["key"]: row["group"] for row in result.sources.to_pylist()}
    same = [f"{name}/{n:03d}" for name in "ab" for n in (0, 1, 2, 57, 58, 59)]
    assert {group[key] for key in same} == {0}
    assert group["a/003"] == group["b/005"] != 0
    assert {len(records.row) for records in result.records.values()} != {120, 0}


def test_an_equal_file_of_two_patients_ties_them() -> None:
    rows = of_patients("a", "p", "p", "q", "q", "r", "r")
    rows[1] = dataclasses.replace(rows[1], sha256=rows[2].sha256)
    result = plan(rows)
    group = {row["key"]: row["group"] for row in result.sources.to_pylist()}
    assert group["a/000"] == group["a/001"] == group["a/003"] != group["a/004"]
    assert group["a/002"] is None  # Dropped.


def test_a_near_duplicate_dropped_for_an_equal_file_ties_its_patient_too() -> None:
    rows = of_patients("a", "p", "q", "r", "r", "q", "s")
    near, far = f"{HALF:064x}", f"{HALF ^ 1:064x}"
    rows[0] = dataclasses.replace(rows[0], fingerprint=near)
    rows[1] = dataclasses.replace(rows[1], fingerprint=far)
    rows[2] = dataclasses.replace(rows[2], fingerprint=far, sha256=rows[1].sha256)
    result = plan(rows, near_duplicates=NearDuplicates.DROP, near_distance=16)
    group = {row["key"]: row["group"] for row in result.sources.to_pylist()}
    assert group["a/000"] == group["a/003"] == group["a/004"] != group["a/005"]


def test_a_pattern_and_a_column_unite() -> None:
    rows = of_patients("a", "p", "q", "q", "r", "s", "t")
    result = plan(rows, group_by=r"/00([01])")
    group = {row["key"]: row["group"] for row in result.sources.to_pylist()}
    assert group["a/001"] == group["a/002"] != group["a/000"]
    joined = plan(rows, group_by=r"/(00)")
    assert {row["group"] for row in joined.sources.to_pylist()} == {0}


def test_what_a_column_groups_is_said() -> None:
    rows = of_patients("a", *["p"] * 3, *["q"] * 2, None, "r", None)
    text = told(plan(rows))
    assert "--group_column=patient puts 6 pictures into 3 groups, the largest of 3" in text
    assert "is empty for 2 of 8 pictures; each of them is a group of its own" in text
    assert "is empty" not in told(plan(of_patients("a", "p", "p", "q")))


def test_a_class_of_one_group_is_named_with_where_it_is() -> None:
    rows = [*of_patients("a", *map(str, range(20))), *of_patients("b", "7", "7", "7")]
    text = told(plan(rows, seed=1))
    assert "one group of --group_column=patient has all pictures of a class, so that no" in text
    assert "b ('7', all 3 in " in text and "a (" not in text.partition("one group of")[2]


def test_a_split_that_divides_groups_is_said_with_examples() -> None:
    rows = [
        *of_patients("a", "p", "q", "q", "r", split="train"),
        *of_patients("b", "p", "q", "s", "t", split="test"),
    ]
    text = told(plan(rows, near_duplicates=NearDuplicates.GROUP, splits="train:0.5,test:0.5"))
    assert (
        "the given split divides 2 groups of --group_column=patient, such as 'p' (1 train, 1 test)"
        ", 'q' (2 train, 1 test): its evaluation leaks"
    ) in text
    assert "near duplicates: its evaluation" not in text
    # Of a pattern likewise.
    by_name = told(plan(rows, group_column="", group_by=r"/00([12])", splits="train:0.5,test:0.5"))
    assert "divides 2 groups of --group_by, such as 'a/001' (1 train, 1 test)" in by_name


@pytest.mark.parametrize("kind", ["column", "name", "near duplicates"])
def test_pictures_without_a_given_split_follow_their_group(kind: str) -> None:
    """Also where a split that the input lacks is taken from train."""
    rows = [
        *of_patients("a", *["p"] * 5, *[f"x{n}" for n in range(20)]),
        *of_patients("b", *["p"] * 5, *[f"y{n}" for n in range(20)]),
    ]
    changes: dict[str, object] = {"group_column": "patient" if kind == "column" else ""}
    if kind == "name":
        changes["group_by"] = r"/(00[0-4])"
    if kind == "near duplicates":
        changes["near_duplicates"] = NearDuplicates.GROUP
        alike = {f"{label}/00{n}": HALF ^ (1 << n) for label in "ab" for n in range(5)}
        rows = [picture(row.key, looks=alike.get(row.key)) for row in rows]
    rows[0] = dataclasses.replace(rows[0], split="test")
    for splits in SPLITS[:1] + SPLITS[3:]:
        result = plan(rows, splits=splits, **changes)
        # By name, one group of a/000 and b/000, another of a/001 and b/001, and so on.
        count = 1 if kind == "name" else 5
        of_p = {r["split"] for r in result.sources.to_pylist() if int(r["key"][2:]) < count}
        assert of_p == {"test"}


@pytest.mark.parametrize("column", ["patient", ""])
def test_a_column_that_joins_everything_fails_and_says_what_did(column: str) -> None:
    rows = [*of_patients("a", *["p"] * 30), *of_patients("b", *["p"] * 30)]
    result = plan(rows, allow_empty_splits=False, group_column=column)
    if not column:
        assert result.failure is None
        return
    assert result.failure is not None
    assert (
        "joined by --group_column=patient, went to train; a --group_column that tells more of "
        in (result.failure)
    )
    both = plan(rows, allow_empty_splits=False, group_by=r"(/)")
    assert "joined by --group_by, went to train; a pattern with the class in it" in str(
        both.failure
    )
