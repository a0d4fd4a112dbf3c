from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.schema import parse_id, record_id, source_key

KEYS = st.text(st.sampled_from("a#01 9()./é\n"), min_size=1, max_size=8)
COPIES = st.integers(0, 12)


def test_ids_of_ordinary_files_are_their_keys_and_numbers() -> None:
    assert record_id("apu/0001.jpg", 0) == "apu/0001.jpg"
    assert record_id("apu/0001.jpg", 12) == "apu/0001.jpg#12"
    assert record_id("apu/no #1.jpg", 0) == "apu/no #1.jpg"


def test_a_key_that_ends_like_a_copy_shows_the_number_of_the_original_too() -> None:
    assert record_id("000.jpg#1", 0) == "000.jpg#1#0"
    assert record_id("000.jpg#01", 0) == "000.jpg#01"
    assert parse_id("000.jpg#1") == ("000.jpg", 1)
    assert parse_id("000.jpg#1#0") == ("000.jpg#1", 0)


@given(key=KEYS, copy=COPIES)
def test_an_id_leads_back_to_its_key_and_copy(key: str, copy: int) -> None:
    id_ = record_id(key, copy)
    assert parse_id(id_) == (key, copy)
    assert source_key(id_, copy) == key


@given(sources=st.sets(st.tuples(KEYS, COPIES), max_size=40))
def test_no_two_records_have_one_id(sources: set[tuple[str, int]]) -> None:
    assert len({record_id(key, copy) for key, copy in sources}) == len(sources)


@pytest.mark.parametrize(("id_", "copy"), [("a.jpg", 1), ("a.jpg#2", 1), ("a.jpg#1", 0)])
def test_an_id_of_another_copy_is_refused(id_: str, copy: int) -> None:
    with pytest.raises(ValueError, match=f"the id of copy {copy} must"):
        source_key(id_, copy)


def test_a_number_too_long_for_a_copy_belongs_to_the_name() -> None:
    key = "scan#" + "9" * 5_000
    assert parse_id(record_id(key, 0)) == (key, 0)
