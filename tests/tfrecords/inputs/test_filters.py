"""What is left out by its name: litter, sidecars, globs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.inputs import filters
from tfrecords.inputs.filters import Globs, is_hidden, is_sidecar


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store", "a/.git/x", "._0.jpg", ".ipynb_checkpoints/0.jpg", ".@__thumb/0.jpg",
        ".Trash-1000/0.jpg", "__MACOSX/a/0.jpg", "Thumbs.db", "a/THUMBS.DB", "Desktop.ini",
        "$RECYCLE.BIN/S-1-5-21-0/0.jpg", "$Recycle.Bin", "System Volume Information/0.jpg",
        "@eaDir/0.jpg", "a/#recycle/0.jpg", "@Recycle/0.jpg", "lost+found/0.jpg",
        "a/__pycache__/x", "Icon\r", "~$notes.doc",
    ],
)  # fmt: skip
def test_litter_of_systems(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize(
    "name",
    ["0.jpg", "a/0.jpg", "recycle/0.jpg", "recycled/0.jpg", "lost/0.jpg", "eaDir/a", "a.b/0.jpg",
     "thumbs.db.jpg", "my__MACOSX/0.jpg", "#1/0.jpg", "@home/0.jpg", "$5/0.jpg"],
)  # fmt: skip
def test_names_that_classes_and_pictures_may_have(name: str) -> None:
    assert not is_hidden(name)
    assert not is_sidecar(name)


@pytest.mark.parametrize(
    "name",
    ["a/0.jpg.json", "0.txt", "0.XML", "labels.csv", "README.md", "README", "a/LICENSE", "w.hdf5",
     "vectorize.py", "d-train.tfrecord-00000-of-00002", "0.cls"],
)  # fmt: skip
def test_sidecars(name: str) -> None:
    assert is_sidecar(name)


@pytest.mark.parametrize(
    "name", ["0.jpg", "0.heic", "0.svg", "0.pgm", "0", "readme.png", "a.json/0"]
)
def test_pictures_of_any_format_are_none(name: str) -> None:
    assert not is_sidecar(name)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.png", "a.png x/a.png x/y/a.png", "a.jpg a.png.jpg"),
        ("cat", "cat/0 x/cat/0 x/cat/y/0 cat", "cats/0 x/acat/0"),
        ("/cat", "cat/0 cat", "x/cat/0"),
        ("/cat/", "cat/0 cat/x/0", "x/cat/0"),
        ("cat/*.jpg", "cat/0.jpg x/cat/0.jpg", "cat/x/0.jpg cat/0.png"),
        ("cat/**/*.jpg", "cat/0.jpg cat/x/y/0.jpg", "dog/0.jpg"),
        ("cat/**", "cat/0 cat/x/0", "dog/0"),
        ("**/cat", "cat/0 x/y/cat/0", "dog/0"),
        ("img_??.jpg", "img_01.jpg", "img_001.jpg img_/1.jpg"),
        ("[ab]*", "a0 x/b0", "c0"),
        ("[!ab]*.jpg", "c.jpg", "a.jpg"),
        ("a+b (1).jpg", "a+b(1).jpg", ""),
        ("$x", "$x/0", "x"),
    ],
)
def test_globs(pattern: str, matching: str, others: str) -> None:
    globs = Globs((pattern.replace(" ", ""),))
    assert [name for name in matching.split() if not globs.match(name)] == []
    assert [name for name in others.split() if globs.match(name)] == []


def test_several_globs_and_none() -> None:
    globs = Globs(("*.png", "cat"))
    assert globs and globs.match("a.png") and globs.match("cat/0") and not globs.match("0")
    assert not Globs(()) and not Globs(()).match("0")


@given(st.text(), st.text(min_size=1))
def test_a_glob_never_fails_after_its_check(name: str, pattern: str) -> None:
    try:
        filters.check_glob(pattern)
    except ValueError:
        return
    assert Globs((pattern,)).match(name) in (True, False)


@pytest.mark.parametrize("pattern", ["", "/", "[a"])
def test_globs_that_match_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        filters.check_glob(pattern)
