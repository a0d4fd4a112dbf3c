"""Classes that stand in the names of pictures."""

from __future__ import annotations

import pytest

from tfrecords.inputs.folders.prefixes import class_in_name


@pytest.mark.parametrize(
    ("pattern", "classes", "found"),
    [
        ("train/{}.{}.jpg", ("cat", "dog"), ("cat", "cat.0.jpg")),
        ("{}_{}.jpg", ("american_bulldog", "Bengal"), ("Bengal", "Bengal_0.jpg")),
        ("{}__{}.png", ("obj1", "obj2"), ("obj1", "obj1__0.png")),
        ("{} ({}).jpeg", ("no", "yes"), ("no", "no (0).jpeg")),
        ("{}{}.jpg", ("cloudy", "rain"), ("cloudy", "cloudy0.jpg")),
        ("{}_{}.jpg", ("Train", "Test"), None),
        ("{}_{}.jpg", ("IMG", "DSC"), None),
        ("{}_{}.jpg", ("0001", "0002"), None),
        ("{}_{}.txt", ("cat", "dog"), None),
        ("{}_{}.jpg", ("cat",), None),
    ],
)
def test_words_before_numbers_that_repeat_may_be_classes(
    pattern: str, classes: tuple[str, ...], found: tuple[str, str] | None
) -> None:
    paths = [pattern.format(name, number) for name in classes for number in range(6)]
    assert class_in_name([*paths, "LICENSE"]) == found


def test_a_folder_of_plain_numbers_beside_hides_nothing() -> None:
    named = [f"train/{name}.{number}.jpg" for name in ("cat", "dog") for number in range(4)]
    assert class_in_name([*(f"test1/{number}.jpg" for number in range(9)), *named]) is not None


def test_names_that_do_not_repeat_are_none() -> None:
    assert class_in_name([f"{number:08x}{number}.jpg" for number in range(1000, 1040)]) is None
