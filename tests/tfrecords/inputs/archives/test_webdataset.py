"""Tars whose samples are several files: the class stands beside the picture."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.inputs.archives import END, tar_member
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import InputRules


def listed(
    tmp_path: Path, files: dict[str, bytes], label: tuple[str, ...] = ()
) -> tuple[tuple[SourceFile, ...], list[str]]:
    path = tmp_path / "000.tar"
    path.write_bytes(b"".join(tar_member(n.encode(), data) for n, data in files.items()) + END)
    options = InputOptions(TableOptions(label_column=label))
    found = listing.list_labelled(InputPath("--input_dir", str(path)), options=options)
    return found.rows, [note for note in found.notes if "WebDataset" in note]


def classes(rows: tuple[SourceFile, ...]) -> dict[str, str | None]:
    return {row.key: row.class_name for row in rows if row.problem is None}


def test_numbers_beside_the_pictures(tmp_path: Path) -> None:
    files = {}
    for number in range(6):
        files[f"{number:03d}.jpg"] = b"x"
        files[f"{number:03d}.cls"] = f"{number % 2}\n".encode()
    rows, notes = listed(tmp_path, files)
    assert classes(rows) == {f"{number:03d}.jpg": str(number % 2) for number in range(6)}
    assert {row.problem for row in rows if row.key.endswith(".cls")} == {RejectReason.SIDECAR}
    assert (
        len(notes) == 1 and "is a WebDataset: the class of each picture is in its .cls" in notes[0]
    )
    unlabelled = listing.list_unlabelled(InputPath("--input", str(tmp_path / "000.tar")))
    assert [row.key for row in unlabelled] == [f"{number:03d}.jpg" for number in range(6)]


def test_a_pattern_stands_above_the_classes_of_the_archive(tmp_path: Path) -> None:
    files = {f"{'ab'[n // 2]}_{n}.{kind}": b"7" for n in range(4) for kind in ("jpg", "cls")}
    listed(tmp_path, files)
    found = listing.list_labelled(
        InputPath("--input_dir", str(tmp_path / "000.tar")), rules=InputRules(class_from="^(.)_")
    )
    assert sorted(map(str, classes(found.rows).values())) == ["a", "a", "b", "b"]
    assert "that the archive itself gives 4 pictures are not taken" in " ".join(found.notes)


def test_json_beside_the_pictures(tmp_path: Path) -> None:
    files = {}
    for number in range(3):
        files[f"shard/a.{number}/x{number}.seg.png"] = b"x"
    assert listed(tmp_path, files)[1] == []
    files = {}
    for number, label in enumerate(("cat", "dog", "cat")):
        files[f"shard/x{number}.jpg"] = b"x"
        text = json.dumps({"width": 3, "Label": label, "kind": f"k{number}"})
        files[f"shard/x{number}.json"] = text.encode()
    rows, _ = listed(tmp_path, files)
    assert sorted(classes(rows).values()) == ["cat", "cat", "dog"]  # type: ignore[type-var]  # None is not among them.
    rows, _ = listed(tmp_path, files, label=("kind",))
    assert sorted(classes(rows).values()) == ["k0", "k1", "k2"]  # type: ignore[type-var]  # None is not among them.


def test_numbers_that_divide_otherwise_than_the_folders_are_the_classes(tmp_path: Path) -> None:
    files = {f"{folder}/{n}.{kind}": str(n % 2).encode() for folder in ("s0", "s1")
             for n in range(4) for kind in ("jpg", "cls")}  # fmt: skip
    rows, notes = listed(tmp_path, files)
    assert notes and set(classes(rows).values()) == {"0", "1"}
    assert {row.split for row in rows} == {None}
    splits = {name.replace("s0", "train").replace("s1", "val"): d for name, d in files.items()}
    rows, notes = listed(tmp_path, splits)
    assert notes and set(classes(rows).values()) == {"0", "1"}
    assert {(row.key.split("/")[0], row.split) for row in rows if row.problem is None} == {
        ("train", "train"),
        ("val", "validation"),
    }
    each = {f"{name}/{n}.{kind}": str(name == "cat").encode() for name in ("cat", "dog")
            for n in range(3) for kind in ("jpg", "cls")}  # fmt: skip
    rows, notes = listed(tmp_path, each)
    assert not notes and set(classes(rows).values()) == {"cat", "dog"}


def test_texts_are_classes_only_where_they_repeat(tmp_path: Path) -> None:
    words = {f"{n}.txt": b"cat" if n < 4 else b"dog" for n in range(8)}
    captions = {f"{n}.txt": b"A cat on mat %d" % n for n in range(8)}
    pictures = {f"{n}.jpg": b"x" for n in range(8)}
    rows, _ = listed(tmp_path, pictures | words)
    assert set(classes(rows).values()) == {"cat", "dog"}
    assert listed(tmp_path, pictures | captions)[1] == []


def test_class_folders_are_classes_whatever_lies_beside_the_pictures(tmp_path: Path) -> None:
    files = {f"{name}/{n}.{kind}": b"7" for name in ("cat", "dog") for n in range(3)
             for kind in ("jpg", "cls")}  # fmt: skip
    rows, notes = listed(tmp_path, files)
    assert notes == []
    assert {row.class_name for row in rows if row.key.endswith(".jpg")} == {"cat", "dog"}


def test_a_sample_without_a_class_is_told(tmp_path: Path) -> None:
    files = {f"{n}.jpg": b"x" for n in range(4)} | {f"{n}.cls": b"%d" % n for n in range(3)}
    files |= {"9.jpg": b"x", "9.cls": b"\xff\xfe"}
    rows, _ = listed(tmp_path, files)
    assert {row.key for row in rows if row.problem is RejectReason.NO_CLASS} == {"3.jpg", "9.jpg"}
