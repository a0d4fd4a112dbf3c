"""The order of classes, and what is said of those without pictures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.planning import classes

NAMES = st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1)


def test_natural_order_counts_and_name_order_compares() -> None:
    names = ["10", "9", "100", "cat 2", "cat 10", "cat", "09", "a"]
    assert classes.in_order(names, "natural") == (
        "09", "9", "10", "100", "a", "cat", "cat 2", "cat 10",
    )  # fmt: skip
    assert classes.in_order(names, "name") == tuple(sorted(names))
    numbers = [str(number) for number in range(43)]
    assert classes.in_order(set(numbers), "natural") == tuple(numbers)


def test_an_order_may_name_more_than_there_is() -> None:
    assert classes.in_order({"a", "b"}, ("b", "x", "a")) == ("b", "a")


@given(NAMES, st.sampled_from(["natural", "name"]))
def test_an_order_has_every_class_once(names: set[str], order: str) -> None:
    assert sorted(classes.in_order(names, order)) == sorted(names)


@given(NAMES.map(lambda names: {"".join(c for c in n if not c.isdigit()) or "x" for n in names}))
def test_orders_differ_in_digits_only(names: set[str]) -> None:
    assert classes.in_order(names, "natural") == classes.in_order(names, "name")


@pytest.fixture
def facts() -> pa.Table:
    rows = [("cat", None)] * 3 + [("fox", None)] * 2 + [("owl", "empty"), (None, "hidden")]
    return pa.table(
        {
            "class_name": pa.array([name for name, _ in rows]).dictionary_encode(),
            "reason": pa.array([reason for _, reason in rows], pa.string()).dictionary_encode(),
        }
    )


def test_classes_without_train_pictures_and_without_any_are_told(facts: pa.Table) -> None:
    label, split_index = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    assert list(
        classes.missing_notes(("cat", "fox"), label, split_index, ("train", "test"), facts)
    ) == [
        "no picture to train on: fox (2 test)",
        "no class is made of owl (1 empty): none of their files is a usable picture",
    ]


def test_nothing_is_said_where_nothing_lacks(facts: pa.Table) -> None:
    label, split_index = np.array([0, 1]), np.array([0, 0])
    some = facts.slice(0, 5)
    assert not list(classes.missing_notes(("cat", "fox"), label, split_index, ("train",), some))


def test_classes_that_lose_much_are_told() -> None:
    rows = [("cat", None)] * 9 + [("cat", "empty")] + [("fox", None), ("fox", "corrupt")]
    facts = pa.table(
        {
            "class_name": pa.array([name for name, _ in rows]).dictionary_encode(),
            "reason": pa.array([reason for _, reason in rows], pa.string()).dictionary_encode(),
        }
    )
    label, split_index = np.array([0] * 9 + [1]), np.zeros(10, np.int8)
    notes = classes.missing_notes(("cat", "fox"), label, split_index, ("train",), facts)
    assert list(notes) == ["many files are rejected in fox (1 of 2)"]
