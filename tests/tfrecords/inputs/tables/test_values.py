"""Values that are no classes."""

from __future__ import annotations

import pytest

from tfrecords.inputs.tables.values import tells_no_class


@pytest.mark.parametrize(
    "values",
    [
        ["https://x.org/1.jpg", "http://x.org/2.jpg"],
        ["n01443537 85 1 499 272", "n01443537 85 1 499 272 n1 1 2 3 4"],
        ["[834.0, 222.0, 56.0, 36.0]", ""],
        ["29102 12 29346 24", "-1 2.5 3e2 .5"],
    ],
)
def test_addresses_boxes_and_pixels_are_none(values: list[str]) -> None:
    assert tells_no_class(values)


@pytest.mark.parametrize(
    "values",
    [
        ["cat", "dog"],
        ["0", "1"],
        [],
        ["", ""],
        ["AM General Hummer SUV 2000", "707-320"],
        ["1 2 3", "scab 1 2 3"],
        ["https://x.org/1.jpg", "cat"],
    ],
)
def test_names_and_numbers_may_be_classes(values: list[str]) -> None:
    assert not tells_no_class(values)
