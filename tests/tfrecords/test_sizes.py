from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords import sizes

_POWERS = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (1_023, "1,023 B"),
        (1_024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (123_456_789, "117.7 MiB"),
        (5 * 2**50, "5,120 TiB"),
        (12e6 + 0.5, "11.4 MiB"),
    ],
)
def test_sizes_have_the_unit_that_suits_them(count: float | None, text: str) -> None:
    assert sizes.readable(count) == text


@given(st.integers(0, 2**49))
def test_what_is_read_is_within_a_twentieth_of_what_is_meant(count: int) -> None:
    number, unit = sizes.readable(count).split()
    value = float(number.replace(",", ""))
    assert value < 1024
    assert abs(value * 1024 ** _POWERS[unit] - count) <= 0.05 * count


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (60_000, "0.057"), (2**20, "1"), (20 * 2**20, "20.0")]
)
def test_a_column_of_mebibytes_leaves_its_unit_out(count: int, text: str) -> None:
    assert sizes.mebibytes(count) == text
