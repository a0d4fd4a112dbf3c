from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.keys import in_key_order
from tfrecords.inputs.rows import ArchiveMember, SourceFile

NAMES = st.sampled_from(["x.jpg", "x.jpg (2)", "x.jpg (3)", "x.jpg (2) (2)", "X.jpg", "y"])


def source(key: str, path: str = "", class_name: str = "apu", **values: object) -> SourceFile:
    return SourceFile(key, path or f"/in/{key}", class_name, 1, 0, **values)


@given(st.lists(st.tuples(NAMES, st.sampled_from("abc")), max_size=12))
def test_keys_are_unique_and_no_row_is_lost(rows: list[tuple[str, str]]) -> None:
    made = in_key_order(source(key, path) for key, path in rows)
    keys = [row.key for row in made]
    assert keys == sorted(set(keys))
    assert len(keys) == len(rows)
    # The first row of a name keeps it, and a number is added to no other.
    assert {key for key, _ in rows} <= set(keys)
    assert sorted(row.path for row in made) == sorted(path for _, path in rows)


@given(st.lists(st.tuples(NAMES, st.sampled_from("abc")), max_size=8, unique=True), st.data())
def test_the_order_of_different_files_does_not_matter(
    rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    assert in_key_order(source(*row) for row in rows) == in_key_order(
        source(*row) for row in shuffled
    )


def test_a_number_is_none_that_a_file_has() -> None:
    rows = [source("x", "/1"), source("x (2)"), source("x", "/2")]
    assert [row.key for row in in_key_order(rows)] == ["x", "x (2)", "x (3)"]


def test_the_upper_row_of_a_table_keeps_the_name_and_the_lower_says_why_it_has_a_number() -> None:
    first, second = in_key_order([source("x", class_name="zebra"), source("x", class_name="ant")])
    assert (first.key, first.class_name, first.detail) == ("x", "zebra", None)
    assert (second.key, second.class_name) == ("x (2)", "ant")
    assert second.detail == "the table names this file more than once"


def test_other_reasons_for_a_number() -> None:
    twins = in_key_order([source("é", "/in/composed"), source("é", "/in/decomposed")])
    assert twins[1].detail == "another file has this name after Unicode normalisation"
    members = [ArchiveMember(offset, 9, "tar") for offset in (512, 2048)]
    twice = in_key_order(source("x", "/in.tar", member=member) for member in members)
    assert twice[1].detail == "the archive holds more than one file of this name"


def test_a_row_that_is_rejected_keeps_its_own_detail() -> None:
    lost = source("x", problem=RejectReason.UNREADABLE, detail="No such file or directory")
    assert {row.detail for row in in_key_order([lost, lost])} == {lost.detail}
