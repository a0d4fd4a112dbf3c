from __future__ import annotations

import dataclasses
import json

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


def test_the_note_says_what_was_found() -> None:
    meter = LeakMeter("test", 2_000, 100, 400.0, 9, 3, (0,) * BINS, (0,) * BINS, ())
    assert meter.note == (
        "leak meter: 5.0% of 2,000 test pictures are suspiciously near to a train picture of "
        "their class (20.0% after a random split)"
    )
