"""Classes that a regular expression captures from paths."""

from __future__ import annotations

import re
import tempfile
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.folders.captures import find_captures
from tfrecords.inputs.patterns import taken
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import FOLDERS, NO_FOLDERS, InputRules

NUMBERED = r"([^/]+)_[0-9]+\.jpg"


def names(text: str, count: int = 3) -> list[str]:
    """Returns, of "a/cat dog", a/cat_0.jpg to a/cat_2.jpg and dog_0.jpg to dog_2.jpg."""
    return [f"{stem}_{number}.jpg" for stem in text.split() for number in range(count)]


def found(
    paths: list[str], pattern: str = NUMBERED, rules: InputRules | None = None
) -> dict[tuple[str | None, str | None], int]:
    """Returns (split, class) → number of paths, of those that are not left for predict."""
    captured = find_captures(paths, pattern, rules or InputRules())
    places = [captured.place(path) for path in paths]
    return Counter((p.split, p.class_name) for p in places if not p.unlabelled)


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("cat dog", NUMBERED, {(None, "cat"): 3, (None, "dog"): 3}),
        ("cat red_fox", NUMBERED, {(None, "cat"): 3, (None, "red_fox"): 3}),
        ("cat red_fox", "[^/_]+", {(None, "cat"): 3, (None, "red"): 3}),
        ("in/set/cat in/set/dog", "^([^_]+)_", {(None, "cat"): 3, (None, "dog"): 3}),
        ("a/cat b/cat b/dog", "^(.+)_",
         {(None, "a/cat"): 3, (None, "b/cat"): 3, (None, "b/dog"): 3}),
        ("a/cat b/cat b/dog", NUMBERED, {(None, "cat"): 6, (None, "dog"): 3}),
        # What folders fix is the split, and never a part of the class.
        ("train/cat train/dog test/cat", NUMBERED,
         {("train", "cat"): 3, ("train", "dog"): 3, ("test", "cat"): 3}),
        ("train/cat train/dog Testing/cat", "^(.+)_",
         {("train", "cat"): 3, ("train", "dog"): 3, ("test", "cat"): 3}),
        ("in/train/train/cat in/train/train/dog in/val/cat", "(.+)_",
         {("train", "train/cat"): 3, ("train", "train/dog"): 3, ("validation", "cat"): 3}),
        # No train split beside it, or none but train: no folder is a split.
        ("test/cat test/dog", NUMBERED, {(None, "cat"): 3, (None, "dog"): 3}),
        ("train/cat more/dog", NUMBERED, {(None, "cat"): 3, (None, "dog"): 3}),
        ("train/cat val/dog more/dog", NUMBERED,
         {("train", "cat"): 3, ("validation", "dog"): 3, (None, "dog"): 3}),
        # The class folders are not asked.
        ("x/cat x/dog y/cat", NUMBERED, {(None, "cat"): 6, (None, "dog"): 3}),
    ],
)  # fmt: skip
def test_the_class_is_what_the_pattern_captures(
    text: str, pattern: str, expected: dict[tuple[str | None, str | None], int]
) -> None:
    assert found(names(text), pattern) == expected


def test_pictures_without_a_match_have_no_class() -> None:
    paths = [*names("cat dog"), "cover.jpg", "more/1.jpg"]
    captured = find_captures(paths, NUMBERED, InputRules())
    assert found(paths) == {(None, "cat"): 3, (None, "dog"): 3, (None, None): 2}
    (said,) = (note for note in captured.notes if "do not match" in note)
    assert said.startswith("2 of 8 files do not match") and "cover.jpg, more/1.jpg" in said


@pytest.mark.parametrize("folder", ["test1", "test/images", "unlabelled", "pred"])
def test_a_folder_without_classes_beside_train_is_left_for_predict(folder: str) -> None:
    paths = [*names("train/cat train/dog"), f"{folder}/1.jpg", f"{folder}/2.jpg"]
    assert found(paths) == {("train", "cat"): 3, ("train", "dog"): 3}
    (note,) = find_captures(paths, NUMBERED, InputRules()).notes
    assert "2 files under" in note and "have no class and are left for predict" in note
    assert "train/ is a split" in note
    rules = InputRules(splits_from=NO_FOLDERS)
    assert found(paths, rules=rules) == {(None, "cat"): 3, (None, "dog"): 3, (None, None): 2}


def test_splits_are_told() -> None:
    paths = names("fold1/cat fold1/dog fold2/cat fold2/dog")
    told = InputRules(split_folders={"fold1": "train", "fold2": "test"})
    assert found(paths, rules=told) == {
        (split, name): 3 for split in ("train", "test") for name in ("cat", "dog")
    }
    assert found(paths, "^(.+)_", told) == found(paths, rules=told)
    assert found(names("test/cat test/dog more/cat"), rules=InputRules(splits_from=FOLDERS)) == {
        ("test", "cat"): 3, ("test", "dog"): 3, (None, "cat"): 3,
    }  # fmt: skip
    none = InputRules(splits_from=NO_FOLDERS)
    assert found(names("train/cat test/cat"), "^[^/]+", none) == {
        (None, "train"): 3, (None, "test"): 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pattern", "rules", "said"),
    [
        ("cat dog", "x{3}", InputRules(),
         r"--class_from='x\{3\}' matches none of the 6 paths below the input, such as 'cat_0.jpg'; "
         r"give --class_from='\(\[\^/\]\+\)_\[0-9\]\+\\.jpg' if the names"),
        ("cat dog", "", InputRules(), "--class_from='' captures nothing of the 6 paths"),
        ("cat dog", r"[^/]+\.jpg", InputRules(),
         "makes no classes: each of the 6 paths .* as 'dog_2.jpg' gives 'dog_2.jpg'; put parenth"),
        ("train/cat test/dog", "^[^/]+", InputRules(),
         "captures 'test' of 'test/dog_0.jpg', which is of the folder of a split.*=none"),
        ("a/cat b/dog", NUMBERED, InputRules(split_folders={"c": "train", "a": "test"}),
         "--splits_from=c:…, but the pictures that --class_from matches are in a/, b/"),
        ("a/cat b/dog", NUMBERED, InputRules(splits_from=FOLDERS),
         "--splits_from=folders, but the pictures"),
    ],
)  # fmt: skip
def test_a_pattern_that_does_not_fit_is_refused_with_a_path(
    text: str, pattern: str, rules: InputRules, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        find_captures(names(text), pattern, rules)
    assert len(str(caught.value).splitlines()) == 1


def test_how_classes_were_found_is_said() -> None:
    (note,) = find_captures(names("cat/x_dog"), "_(dog)", InputRules()).notes[1:]
    assert note == "the class is what --class_from='_(dog)' captures, as 'dog' of 'x_dog_0.jpg'"


def listed(path: Path, rules: InputRules) -> tuple[SourceFile, ...]:
    return listing.list_labelled(InputPath("--input_dir", str(path)), rules=rules).rows


stems = st.text(st.sampled_from("abü_. -é日(1"), min_size=1, max_size=6).filter(
    lambda stem: not stem.startswith(".") and stem == stem.strip()
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(["", "x/", "x y/", "x/é/"]), stems), min_size=1, max_size=6),
    st.sampled_from(
        [NUMBERED, "^(.+)_", "[^/]*b", "(a|é)+", "([^/_]+)_[^/]*$", "/([^/]+)/", "日|1"]
    ),
    st.sampled_from([{}, {"exclude": ("b*",)}, {"include": ("*1.jpg",)}]),
)
def test_the_class_is_what_re_says_and_an_archive_is_its_folder(
    stems: list[tuple[str, str]], pattern: str, globs: dict[str, tuple[str, ...]]
) -> None:
    rules = InputRules(class_from=pattern, **globs)  # type: ignore[arg-type]  # By name.
    paths = sorted({f"{folder}{stem}_{n}.jpg" for folder, stem in stems for n in (0, 1)})
    with tempfile.TemporaryDirectory() as root:
        for path in paths:
            file = Path(root, "in", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode())
        with zipfile.ZipFile(Path(root, "in.zip"), "w") as archive:
            for path in paths:
                archive.writestr(f"in/{path}", path.encode())
        try:
            rows = listed(Path(root, "in"), rules)
        except UsageError as error:
            text = str(error).partition(": --")[2]
            with pytest.raises(UsageError) as caught:
                listed(Path(root, "in.zip"), rules)
            assert str(caught.value).partition(": --")[2] == text
            return
        packed = listed(Path(root, "in.zip"), rules)
    told = [(row.key, row.class_name, row.split, row.problem) for row in rows]
    assert [(row.key, row.class_name, row.split, row.problem) for row in packed] == told
    for row in rows:
        if row.problem is RejectReason.EXCLUDED:
            continue
        meant = taken(re.compile(pattern), unicodedata.normalize("NFC", row.key))
        assert row.class_name == (meant if meant and meant.strip() else None)
        assert row.problem is (None if row.class_name else RejectReason.NO_CLASS)
    assert len(rows) == len(paths)
