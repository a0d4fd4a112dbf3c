"""What an error or a note advises, typed at a shell as it stands, does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipelines.inputs.bake_input import check_classes
from tests.tfrecords.inputs.folders.test_find import pictures
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.listing import Listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.rules import AUTO, FOLDERS, NO_FOLDERS, InputRules

# Each also stands for a folder with a name that shells, globs or lists of flags divide.
ODD = ("x", "my data", "it's", "a[1]", "a,b", "x*", " x", "x ")

TREES = (
    "X/setA/train/cat X/setA/train/dog X/setA/test/cat X/setA/test/dog X/b/cat",
    "X/cat/train X/cat/test X/dog X/fish",
    "X/cat/train/a X/cat/test/b X/dog/train/a X/dog/test/a",
    "X/images/cat X/images/dog X/masks/cat X/masks/dog",
    "X/color/cat X/color/dog X/gray/cat X/gray/dog",
    "color/X color/dog gray/X gray/dog",
    "X/cat X/dog Y/cat Y/dog",
    "in/X/cat in/X/dog in/train/cat in/train/dog in/test/cat in/test/dog",
    "train/a train/b train_extra/a train_extra/b",
    "X/train/freight X/train/passenger X/bus X/car",
    "X/cat X/dog X/test",
    "X/cat X/dog X/pred/1 X/pred/2",
    "X/cat X/dog X/thumbs X/venv/icons",
    "X/cat X/dog X/thumbs",
)

_FLAG = re.compile(
    r"--(?:include|exclude|class_level|class_from|splits_from|split_column|input_dir)="
)


def advised(text: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the value of each flag in a text, as a shell understands it."""
    for match in _FLAG.finditer(text):
        if match.start():
            words = shlex.shlex(text[match.start() :], posix=True, punctuation_chars=";")
            words.whitespace_split, words.commenters = True, ""
            name, _, value = next(iter(words)).removeprefix("--").partition("=")
            yield name, value.rstrip(",:?;")


def write(root: Path, tree: str, odd: str) -> None:
    for name in pictures(tree):
        path = root / "/".join(odd if part == "X" else part for part in name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def listed(root: Path, rules: InputRules | None = None) -> Listing:
    return listing.list_labelled(InputPath("--input_dir", str(root)), rules=rules)


def rules_of(name: str, value: str) -> InputRules:
    if name in ("include", "exclude"):
        globs = tuple(glob.strip() for glob in value.split(","))
        return InputRules(**{name: globs})  # type: ignore[arg-type]  # By name.
    if name == "class_level":
        return InputRules(class_level=int(value))
    if name == "class_from":
        return InputRules(class_from=value)
    if value in (AUTO, FOLDERS, NO_FOLDERS):
        return InputRules(splits_from=value)
    return InputRules(split_folders=dict(pair.rsplit(":", 1) for pair in value.split(",")))


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("tree", TREES)
def test_an_advised_flag_gives_a_reading(tmp_path: Path, tree: str, odd: str) -> None:
    root = tmp_path / "in"
    write(root, tree, odd)
    try:
        texts: tuple[str, ...] = listed(root).notes
    except UsageError as error:
        texts = (str(error),)
    told = [pair for text in texts for pair in advised(text)]
    assert told, texts
    for name, value in told:
        # A comma divides a list of folders and their splits; no shell's quotes keep it together.
        if value in ("N", "") or (name == "splits_from" and ("," in odd or odd != odd.strip())):
            continue
        found = listed(root, rules_of(name, value))
        assert not any("matches no file" in note for note in found.notes), (name, value, texts)
        if name == "include":
            assert {row.problem for row in found.rows} > {None}


@pytest.mark.parametrize(
    "name",
    [
        "train/{c}.{n}.jpg test1/{n}.jpg",
        "{c}_{n}.jpg",
        "{c} ({n}).jpeg",
        "it's/{c}{n}.png",
        "S0{k}_{c}_{n:03d}.png",
        "train/{n:05d}-{c}.png test/{n:05d}-{c}.png",
        "{k}_{half}_{n:08d}.jpg.chip.jpg",
    ],
)
def test_an_advised_pattern_finds_classes(tmp_path: Path, name: str) -> None:
    for number, word in ((n, c) for n in range(12) for c in ("cat", "dog")):
        for part in name.split(" ") if "(" not in name else [name]:
            file = tmp_path / part.format(c=word, n=number, k=number % 3, half=number % 2)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(str(file).encode())
    with pytest.raises(UsageError) as error:
        check_classes(listed(tmp_path).rows, str(tmp_path))
    told = [value for name, value in advised(str(error.value)) if name == "class_from"]
    assert told, error.value
    for value in told:
        rows = [row for row in listed(tmp_path, InputRules(class_from=value)).rows]
        classes = {row.class_name for row in rows if row.problem is None}
        assert len(classes) > 1
        assert {row.problem for row in rows} <= {None, RejectReason.UNLABELLED}
        assert "{c}" not in name or value != told[0] or classes == {"cat", "dog"}


def test_an_advised_folder_and_column_are_quoted(tmp_path: Path) -> None:
    root = tmp_path / "my data"
    for split in ("train", "test"):
        write(root / split, ".", "")
    table = tmp_path / "labels.csv"
    table.write_text("name,label\n0,cat\n1,dog\n")
    source, labels = InputPath("--input_dir", str(root)), InputPath("--input_csv", str(table))
    with pytest.raises(UsageError) as caught:
        listing.list_labelled(source, labels)
    assert ("input_dir", str(root / "train")) in advised(str(caught.value))
    table.write_text("path,label,data set\ntrain/0.jpg,cat,train\ntest/1.jpg,dog,test\n")
    table.write_text(f"{table.read_text()}test/2.jpg,dog,extra\n")
    with pytest.raises(UsageError) as caught:
        listing.list_labelled(source, labels)
    given = dict(reversed(list(advised(str(caught.value)))))
    assert given == {"split_column": "data set"}
    options = InputOptions(TableOptions(split_column=given["split_column"]))
    assert {row.split for row in listing.list_labelled(source, labels, options=options).rows} == {
        "train", "test", "extra",
    }  # fmt: skip
