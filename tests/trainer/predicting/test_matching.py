"""Ids to pictures: by path, by its end, with and without suffix; never a picture in doubt."""

from __future__ import annotations

import pytest

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.rows import InputPath, SourceFile
from trainer.predicting import matching
from trainer.predicting.matching import Matched

LIKE, INPUT = InputPath("--like", "s.csv"), InputPath("--input", "in")


def pictures(*keys: str) -> list[SourceFile]:
    return [SourceFile(key, f"in/{key}", None, 9, 1) for key in keys]


def match(ids: list[str], keys: list[str], said: list[str] | None = None) -> Matched:
    say = said.append if said is not None else lambda note: None
    return matching.match(ids, pictures(*keys), LIKE, INPUT, say)


def found(ids: list[str], keys: list[str]) -> list[str | None]:
    sources = match(ids, keys).sources
    assert [source.key for source in sources] == ids
    return [None if item.problem else item.path.removeprefix("in/") for item in sources]


@pytest.mark.parametrize(
    ("id_", "key"),
    [
        ("1.jpg", "1.jpg"),
        ("1", "1.jpg"),
        ("1", "test/1.jpg"),
        ("1.jpg", "test/1.jpg"),
        ("test/1.jpg", "test/1.jpg"),
        ("test/1", "test/1.jpg"),
        ("test/1.jpg", "1.jpg"),
        ("test/1", "1.jpg"),
        ("data/test/1.jpg", "test/1.jpg"),
        ("/kaggle/input/test/1.jpg", "1.jpg"),
        ("test\\1.jpg", "test/1.jpg"),
        ("./1.jpg", "1.jpg"),
        ("1.jpg", "1"),
        ("1.JPG", "1.jpg"),
        ("1.5", "1.5.jpg"),
        ("1.5", "1.5"),
    ],
)
def test_spellings(id_: str, key: str) -> None:
    assert found(["other", id_], ["other.jpg", key]) == ["other.jpg", key]


@pytest.mark.parametrize(
    ("id_", "key"),
    [
        ("1.png", "1.jpg"),
        ("test/1.jpg", "train/1.jpg"),
        ("1", "01.jpg"),
        ("1", "11.jpg"),
        ("a1", "1.jpg"),
        ("1.jpg", "1.jpg.jpg"),
    ],
)
def test_what_only_looks_alike_is_missing(id_: str, key: str) -> None:
    said: list[str] = []
    result = match(["other", id_], ["other.jpg", key], said)
    assert result.missing == 1 and result.sources[1].problem is RejectReason.MISSING
    assert said == [
        f"--like=s.csv: 1 of 2 ids without a picture, answered with the fallback: {id_!r}",
        f"--like=s.csv: 1 picture without an id, not predicted: {key!r}",
    ]


@pytest.mark.parametrize(
    ("ids", "keys", "why"),
    [
        (["1"], ["a/1.jpg", "b/1.jpg"], "the id '1' is 'a/1.jpg' or 'b/1.jpg'"),
        (["1"], ["1.jpg", "1.png"], "the id '1' is '1.jpg' or '1.png'"),
        (["x/1"], ["1.jpg", "1.png"], "the id 'x/1' is '1.jpg' or '1.png'"),
        (["a/1.jpg", "b/1.jpg"], ["1.jpg"], "'a/1.jpg' and 'b/1.jpg' both are the picture '1.jpg'"),
        (["1", "1.jpg"], ["1.jpg"], "'1' and '1.jpg' both are"),
        (["5", "6"], ["1.jpg"], "none of its 2 ids .* first id is '5', the first picture '1.jp"),
    ],
)
def test_doubt_is_refused(ids: list[str], keys: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        match(ids, keys)


def test_a_whole_name_wins_over_its_end() -> None:
    assert found(["1.jpg", "a/1.jpg"], ["1.jpg", "a/1.jpg"]) == ["1.jpg", "a/1.jpg"]
    assert found(["1"], ["1", "1.jpg"]) == ["1"]


def test_repeated_ids_and_several_folders_are_said() -> None:
    said: list[str] = []
    result = match(["1", "2", "1", "3"], ["test/1.jpg", "test/2.jpg", "train/3.jpg"], said)
    assert result.rows == (0, 1, 0, 2) and len(result.sources) == 3
    assert said == [
        "--like=s.csv: 1 id in several rows, answered alike: '1'",
        "--like=s.csv: its ids are pictures of 2 folders: test (2), train (1)",
    ]
