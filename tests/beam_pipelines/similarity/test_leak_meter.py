from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.similarity.leak_meter import (
    EDGES,
    MAX_PAIRS,
    LeakMeter,
    LeakPair,
    total_of_splits,
)

BINS = len(EDGES) - 1
histograms = st.lists(st.integers(0, 9), min_size=BINS, max_size=BINS).map(tuple)
pairs = st.lists(
    st.builds(
        LeakPair,
        held_out=st.text("abc", min_size=1, max_size=3),
        train=st.just("t"),
        distance=st.integers(0, 20).map(lambda twentieths: twentieths / 20),
    ),
    max_size=9,
    unique_by=lambda pair: pair.held_out,
).map(tuple)
meters = st.builds(
    LeakMeter,
    split=st.sampled_from(["validation", "test"]),
    pictures=st.integers(0, 9),
    near=st.integers(0, 9),
    random_near=st.floats(0, 9),
    train_pictures=st.integers(0, 9),
    train_near=st.integers(0, 9),
    histogram=histograms,
    train_histogram=histograms,
    pairs=pairs,
    sampled=st.booleans(),
)


@given(meter=meters)
def test_a_meter_survives_json(meter: LeakMeter) -> None:
    fields = json.loads(json.dumps(dataclasses.asdict(meter)))
    assert LeakMeter.from_fields(fields) == meter


@given(parts=st.lists(meters, max_size=8), data=st.data())
def test_the_total_does_not_depend_on_the_order_of_the_parts(
    parts: list[LeakMeter], data: st.DataObject
) -> None:
    splits = ("train", "validation", "test")
    whole = total_of_splits(parts, splits)
    assert [meter.split for meter in whole] == ["validation", "test"]
    assert sum(meter.pictures for meter in whole) == sum(part.pictures for part in parts)
    assert all(len(meter.pairs) <= MAX_PAIRS for meter in whole)
    other = total_of_splits(data.draw(st.permutations(parts)), splits)
    for one, again in zip(whole, other, strict=True):
        # Equal keys of equal distance may swap; real keys are unique.
        assert dataclasses.replace(one, pairs=()) == dataclasses.replace(again, pairs=())
        assert [p.distance for p in one.pairs] == [p.distance for p in again.pairs]


def meter_of(near: int, pictures: int = 2_000, *, sampled: bool = False) -> LeakMeter:
    empty = (0,) * BINS
    return LeakMeter("test", pictures, near, 400.0, 9, 3, empty, empty, (), sampled)


def test_the_note_says_what_was_found_and_that_it_is_good() -> None:
    assert meter_of(100).note() == (
        "leak meter: 5.0% of 2,000 test pictures are suspiciously close to a train picture of "
        "their class (20.0% after a random split): good, no sign of a leak"
    )
    assert "of a sample: the true share is higher" in meter_of(100, sampled=True).note()
    assert "low by construction" in meter_of(0).note(by_appearance=True)


@pytest.mark.parametrize(("near", "word"), [(299, "good"), (300, "doubtful"), (800, "bad")])
def test_a_verdict_in_one_word_and_what_to_do(near: int, word: str) -> None:
    verdict = meter_of(near).verdict()
    assert verdict.startswith(word)
    assert ("--group_by=REGEX" in verdict) == (word != "good")
    assert ("--split_by=appearance" in verdict) == (word != "good")


def test_without_pictures_there_is_nothing_to_judge() -> None:
    assert meter_of(0, 0).note() == "leak meter: there is no test picture to compare with train"
