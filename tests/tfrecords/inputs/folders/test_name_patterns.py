"""Patterns for --class_from that fit the names of pictures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.inputs.folders.name_patterns import advice, fitting
from tfrecords.inputs.patterns import taken

WORDS = ("cat", "dog")
NUMBERED = r"([^/]+)_[0-9]+\.jpg"


def names(pattern: str, classes: tuple[str, ...] = WORDS, count: int = 12) -> list[str]:
    """Returns names of a class {c}, numbers {n}, subjects {s}, and one {k} of each three."""
    return [
        pattern.format(c=c, n=n, s=f"S{n % 4:02d}", k=n % 3, half=n % 2, u=f"{place}{n:04d}")
        for place, c in enumerate(classes)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (names("{c}_{n}.jpg"), [(r"([^/]+)_[0-9]+\.jpg", "cat")]),
        (names("train/{c}.{n}.jpg"), [(r"([^/]+)\.[0-9]+\.jpg", "cat")]),
        (names("{c} ({n}).png"), [(r"([^/]+) \([0-9]+\)\.png", "cat")]),
        (names("{c}{n}.png"), [(r"([^/]*[^/0-9])[0-9]+\.png", "cat")]),
        (names("{c}__{n}.png", ("obj1", "obj2")), [(r"([^/]+)__[0-9]+\.png", "obj1")]),
        (names("{c}_{n}.jpg") + names("{c}_1{n}.PNG"), [(r"([^/]+)_[0-9]+\.\w+", "cat")]),
        (
            names("{c}-{n}.jpg") + names("{c} {n}.jpg"),
            [(r"([^/]+?)[ ._(-]+[0-9]+\)?\.jpg", "cat")],
        ),
        (
            names("{c}-{n}.jpg") + names("{c}{n}.jpg"),
            [(r"([^/]*[^/ ._(0-9-])[ ._(-]*[0-9]+\)?\.jpg", "cat")],
        ),
        (names("{n:04d}_{c}.png"), [(r"_([^/_]+)\.png$", "cat")]),
        (names("my_set/{n:04d}-{c}-x.png"), [(r"[^/-]+-([^/-]+)-[^/]*$", "cat")]),
        (
            names("{s}_{c}_{n:03d}.png"),
            [(r"[^/_]+_([^/_]+)_[^/]*$", "cat"), (r"([^/]+)_[0-9]+\.png", "S00_cat")],
        ),
        (
            names("{c}_{n}.jpg", ("great_dane", "basset_hound", "basset_fauve")),
            [(r"([^/]+)_[0-9]+\.jpg", "basset_fauve"), (r"([^/_]+)_[^/]*$", "basset")],
        ),
        (
            names("{c}_{half}_{k}_2017{u}.jpg.chip.jpg", ("25", "26")),
            [
                (r"([^/_]+)_[^/]*$", "25"),
                (r"[^/_]+_([^/_]+)_[^/]*$", "0"),
                (r"(?:[^/_]+_){2}([^/_]+)_[^/]*$", "1"),
            ],
        ),
        # Every date twice: what is before the suffix in the name is no class.
        (
            names("{c}_{half}_{k}_2017{n}.jpg.chip.jpg", ("25", "26")),
            [
                (r"([^/_]+)_[^/]*$", "25"),
                (r"[^/_]+_([^/_]+)_[^/]*$", "0"),
                (r"(?:[^/_]+_){2}([^/_]+)_[^/]*$", "1"),
            ],
        ),
        (names("x/trimaps/{c}_{n}.png") + names("x/y/{c}_{n}.jpg"), [(NUMBERED, "cat")]),
        (names("{c}_{n}.jpg", ("IMG", "DSC")), []),
        (names("{c}_{n}.jpg", ("0001", "0002")), []),
        (names("{c}_{n}.jpg", ("cat",)), []),
        (names("{c}_{n}.txt"), []),
        ([f"{number:032x}.jpg" for number in range(9)], []),
        ([], []),
    ],
)
def test_patterns_fit_the_names(paths: list[str], told: list[tuple[str, str]]) -> None:
    found = fitting([*paths, "LICENSE"])
    assert [(one.pattern, one.class_name) for one in found] == told
    for one in found:
        assert one.path in paths
        assert taken(re.compile(one.pattern), one.path) == one.class_name


def test_a_folder_of_plain_numbers_beside_hides_nothing() -> None:
    assert fitting([*(f"test1/{number}.jpg" for number in range(9)), *names("train/{c}.{n}.jpg")])


def test_numbers_are_no_classes_where_a_table_is_likelier() -> None:
    paths = names("{c}_{half}_{k}_2017{u}.jpg", ("25", "26"))
    assert advice(paths) and not advice(paths, words_only=True)


@given(
    st.lists(
        st.from_regex(r"[A-Za-z][a-z]{1,5}([_. -]?[a-z]{2,5}){0,2}", fullmatch=True),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.sampled_from(("_", ".", "-", " ", "__", " - ")),
    st.sampled_from(("", "train/", "a_1.jpg/")),
)
def test_what_is_told_divides_names_as_their_words_do(
    classes: list[str], separator: str, folder: str
) -> None:
    paths = names(f"{folder}{{c}}{separator}{{n}}.jpg", tuple(classes))
    for one in fitting(paths)[:1]:
        given_ = [taken(re.compile(one.pattern), path) for path in paths]
        if len(set(given_)) == len(classes):
            assert given_ == names("{c}", tuple(classes))
        assert None not in given_ and len(set(given_)) > 1
