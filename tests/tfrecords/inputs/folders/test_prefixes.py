"""Words before numbers in the names of pictures, which may be classes."""

from __future__ import annotations

import pytest

from tfrecords.inputs.folders.prefixes import words_before_numbers


@pytest.mark.parametrize(
    ("pattern", "classes", "found"),
    [
        ("{}.{}.jpg", ("cat", "dog"), True),
        ("{}_{}.jpg", ("american_bulldog", "Bengal"), True),
        ("{}__{}.png", ("obj1", "obj2"), True),
        ("{} ({}).jpeg", ("no", "yes"), True),
        ("{}{}.jpg", ("cloudy", "rain"), True),
        ("{}_{}.jpg", ("Train", "Test"), False),
        ("{}_{}.jpg", ("IMG", "DSC"), False),
        ("{}_{}.jpg", ("0001", "0002"), False),
        ("{}_{}.jpg", ("cat",), False),
    ],
)
def test_words_before_numbers_that_repeat_may_be_classes(
    pattern: str, classes: tuple[str, ...], found: bool
) -> None:
    names = {pattern.format(name, number): name for name in classes for number in range(6)}
    assert words_before_numbers([*names]) == (names if found else {})


def test_a_few_other_names_hide_nothing() -> None:
    names = [f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(9)]
    assert len(words_before_numbers([*names, "cover.jpg"])) == 18


def test_names_that_do_not_repeat_are_none() -> None:
    assert not words_before_numbers([f"{number:08x}{number}.jpg" for number in range(1000, 1040)])
