"""Names of classes that are one class twice, or several in one."""

from __future__ import annotations

import itertools

import pytest

from beam_pipelines.inputs import class_names


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["Cat", "cat"], "Cat, cat differ in capitals only"),
        (["1", "01", "2"], "kept apart: '01', '1'"),
        (["1", "1.0"], "kept apart: '1', '1.0'"),
        (["cat", "cat\u200b"], r"kept apart: 'cat', 'cat\u200b'"),
        (["cat", "\u0441at", "dog"], r"kept apart: 'cat', '\u0441at'"),
        (["\uff11", "1"], r"kept apart: '1', '\uff11'"),
        (["red fox", "Red_Fox", "owl"], "kept apart: 'Red_Fox', 'red fox'"),
        (["scab", "rust", "scab rust"], "'scab rust' look like several labels"),
        (["scab", "rust", "scab;rust"], "'scab;rust' look like several labels"),
        (["a,b", "b,c", "a,c"], "'a,b', 'a,c', 'b,c' look like several labels"),
        (["dog", "dog - Copy"], "'dog - Copy' is a class with the name of a copy"),
        (["dog", "dog (2)", "cat"], "'dog (2)' is a class with the name of a copy"),
        (["dog", "cat", "cat_old", "New folder"], "'New folder', 'cat_old' are classes with the"),
        (["a", "b", "a + b"], "'a + b' look like several labels"),
    ],
)
def test_doubts_are_said(classes: list[str], said: str) -> None:
    (note,) = class_names.notes(classes)
    assert said in note


def test_many_classes_of_few_words_are_said() -> None:
    words = ("agriculture", "clear", "haze", "primary", "road", "water")
    combined = [" ".join(pair) for size in (2, 3) for pair in itertools.combinations(words, size)]
    (note,) = class_names.notes(combined)
    assert "'agriculture clear haze'" in note and "look like several labels" in note


@pytest.mark.parametrize(
    "classes",
    [
        [f"{colour} {form}" for colour in ("red", "blue", "green") for form in ("cup", "box")],
        ["cat", "dog"],
        ["\u043a\u043e\u0442", "\u0441\u043e\u0431\u0430\u043a\u0430", "\u0391\u03b2", "kot"],
        ["1", "2", "10", "-1"],
        ["1-2", "12"],
        ["old", "new", "photocopy", "hard copy", "page (2)", "man_old"],
        ["bear", "black bear", "polar bear"],
        ["Pepper,_bell___healthy", "Pepper,_bell___Bacterial_spot", "Tomato"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus"],
        ["-", "_", "."],
    ],
)
def test_ordinary_names_are_no_news(classes: list[str]) -> None:
    assert not list(class_names.notes(classes))
