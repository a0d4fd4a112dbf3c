"""What must hold between two listings of one input, whatever it is: random trees and tables.

No expected result is written down here: the same files in another form, in another order, with
something beside them that is no picture, or as a part, are the same data set.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.rules import InputRules

# (key, class, split, problem) of each file; or None where the input is refused.
Listed = list[tuple[str, str | None, str | None, str | None]] | None
Files = Mapping[str, bytes]

CLASSES = (
    "cat", "Cat", "dog", "red fox", "K\u00fche", "\u65e5\u672c", "1", "01", "10", "-1", "None",
    "v1.0", "a,b", "it's", "x[1]", "test_tube", "train station", "images", "mask", "2019",
    "cat.jpg",
)  # fmt: skip
SPLITS = ("train", "Training", "train_set", "val", "valid", "test", "Testing", "seg_test", "fold1")
BESIDE = ("README.md", "labels.txt", "Thumbs.db", ".DS_Store", "more/notes.json", "a.xml")

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=1000)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    """Files below two top folders or more; all contents differ."""
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    splits = draw(st.lists(st.sampled_from(SPLITS), max_size=3, unique=True))
    inner = draw(st.sampled_from(["", "", "images/", "2019/"]))
    kind = draw(st.sampled_from(["classes", "splits in classes", "classes in splits"]))
    if len(splits) < 2 or kind == "classes":
        folders = [f"{name}/{inner}" for name in classes]
    elif kind == "splits in classes":
        folders = [f"{name}/{split}/" for name in classes for split in splits]
    else:
        folders = [f"{split}/{inner}{name}/" for split in splits for name in classes]
    files = [
        f"{folder}{number}{suffix}"
        for folder in folders
        for number in range(draw(st.integers(1, 3)))
        for suffix in [draw(st.sampled_from([".jpg", ".PNG", ""]))]
    ]
    return {name: name.encode() for name in files}


def write_folder(path: Path, files: Files) -> None:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def write_zip(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_tar(path: Path, files: Files) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            header = tarfile.TarInfo(f"./{name}")
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


WRITERS: dict[str, Callable[[Path, Files], None]] = {
    "in": write_folder,
    "in.zip": write_zip,
    "in.tar": write_tar,
}


@contextmanager
def written(files: Files, name: str = "in") -> Iterator[Path]:
    """Writes files in the form that a name has, into a folder of their own."""
    root = Path(tempfile.mkdtemp(prefix="relations-"))
    try:
        WRITERS[name](root / name, files)
        yield root / name
    finally:
        shutil.rmtree(root)


def listed(files: Files, name: str = "in", rules: InputRules | None = None) -> Listed:
    """Returns what is listed of files; hidden and excluded ones do not count."""
    with written(files, name) as path:
        try:
            found = listing.list_labelled(InputPath("--input_dir", str(path)), rules=rules)
        except UsageError:
            return None
    out = (RejectReason.HIDDEN, RejectReason.EXCLUDED)
    return [(r.key, r.class_name, r.split, r.problem) for r in found.rows if r.problem not in out]


def shuffled(files: Files, seed: int) -> dict[str, bytes]:
    names = list(files)
    random.Random(seed).shuffle(names)
    return {name: files[name] for name in names}


def check_tree(files: Files, seed: int) -> None:
    plain = listed(files)
    for name in WRITERS:
        assert listed(shuffled(files, seed), name) == plain, name
    wrapped = {f"my data/{name}": data for name, data in files.items()}
    assert listed(wrapped, ["in", "in.zip"][seed % 2]) == plain
    folder = min(files).rpartition("/")[0]
    beside = {f"{where}{name}": b"x" for where in ("", f"{folder}/") for name in BESIDE}
    found = listed({**files, **beside})
    assert (found is None) == (plain is None)
    if found is not None:
        assert [row for row in found if row[-1] != RejectReason.SIDECAR] == plain
    for glob in ("*0.jpg", f"/{folder.split('/')[0].replace('[', '?').replace(']', '?')}/**"):
        inside = glob.startswith("/")
        top = f"{folder.split('/')[0]}/"
        some = {
            name: data
            for name, data in files.items()
            if (name.startswith(top) if inside else name.endswith("0.jpg"))
        }
        if some:
            assert listed(files, rules=InputRules(include=(glob,))) == listed(some)
            assert listed(files, rules=InputRules(exclude=(glob,))) == listed(
                {name: data for name, data in files.items() if name not in some}
            )


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, bytes], list[list[str]]]:
    """Files, and a table of some of them, of an absent one, and with columns that are not read."""
    folders = draw(st.lists(st.sampled_from(["", "a/", "b/", "train/"]), min_size=1, unique=True))
    count = draw(st.integers(3, 12))
    stem = draw(st.sampled_from(["", "img_", "\u0444\u043e\u0442\u043e ", "a,", "1e"]))
    suffix = draw(st.sampled_from([".jpg", ".PNG", ""]))
    files = [f"{folders[n % len(folders)]}{stem}{n}{suffix}" for n in range(count)]
    labels = draw(
        st.sampled_from(
            [["cat", "dog"], ["0", "1", "2"], ["01", "1.0"], ["a, b", 'c "d"'], ["NA", "x"]]
        )
    )
    spell = draw(
        st.sampled_from([str, lambda name: f"./{name}", lambda name: name.rpartition("/")[2]])
    )
    named = [spell(name) for name in (*files[1:], "absent.jpg")]
    header = [draw(st.sampled_from(["path", "image_id", "File Name"]))]
    header += [draw(st.sampled_from(["label", "species", "ClassId"])), "", "source", "score"]
    columns = [
        [labels[n % len(labels)], str(n), ["web", "", "n/a"][n % 3], f"0.{n}"]
        for n in range(len(named))
    ]
    rows = [[name, *own] for name, own in zip(named, columns, strict=True)]
    if draw(st.booleans()):
        header.append(draw(st.sampled_from(["split", "data set"])))
        rows = [[*row, ["train", "Test", "train"][n % 3]] for n, row in enumerate(rows)]
    return {name: name.encode() for name in files}, [header, *rows]


def read_table(
    files: Files, rows: list[list[str]], name: str, separator: str
) -> set[object] | None:
    """Returns (content, class, split, problem) of the rows of a table that lies beside files."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows)
    with written({**files, "labels.csv": text.getvalue().encode()}, name) as path:
        table = InputPath("--input_csv", f"{path}/labels.csv")
        try:
            found = listing.list_labelled(InputPath("--input_dir", str(path)), table).rows
        except UsageError:
            return None
        return {
            (
                read_source(row) if row.problem is None else b"",
                row.class_name,
                row.split,
                row.problem,
            )
            for row in found
        }


def check_table(made: tuple[dict[str, bytes], list[list[str]]], seed: int) -> None:
    files, (header, *rows) = made
    plain = read_table(files, [header, *rows], "in", ",")
    order = random.Random(seed)
    places = order.sample(range(len(header)), len(header))
    order.shuffle(rows)
    again = [[row[place] for place in places] for row in [header, *rows]]
    for name in WRITERS:
        assert read_table(shuffled(files, seed), again, name, ",;\t|"[seed % 4]) == plain, name


SEEDS = st.integers(0, 3)


@few
@given(files=trees(), seed=SEEDS)
def test_a_tree_is_the_same_in_every_form_and_order(files: dict[str, bytes], seed: int) -> None:
    check_tree(files, seed)


@few
@given(made=tables(), seed=SEEDS)
def test_a_table_is_the_same_in_every_form_and_order(
    made: tuple[dict[str, bytes], list[list[str]]], seed: int
) -> None:
    check_table(made, seed)


@pytest.mark.slow
@many
@given(files=trees(), seed=SEEDS)
def test_many_trees_are_the_same_in_every_form_and_order(
    files: dict[str, bytes], seed: int
) -> None:
    check_tree(files, seed)


@pytest.mark.slow
@many
@given(made=tables(), seed=SEEDS)
def test_many_tables_are_the_same_in_every_form_and_order(
    made: tuple[dict[str, bytes], list[list[str]]], seed: int
) -> None:
    check_table(made, seed)
