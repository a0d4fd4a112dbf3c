"""Whatever a bake writes with exit code 0, its own `verify` calls sound: random trees and tables.

Names are of the kind that collide: numbers as ids and keys have them, Unicode in two spellings,
cases, lengths near the limit. Each example is a whole bake of tiny pictures in this process.
"""

from __future__ import annotations

import csv
import functools
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_pipelines import run
from beam_pipelines.choices import ConflictPolicy, NearDuplicates
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tfrecords import example, framing, ledger, manifest
from tfrecords.errors import EvenshardError
from tfrecords.schema import parse_id, record_id
from tfrecords.verify import verify

# Pieces of names; é in both of its spellings, and a name that is almost too long.
_PIECES = (
    "x", "X", "#", "#1", "#0", "#01", " (2)", " (3)", "\u00e9", "e\u0301", "\u65e5\u672c", "'", '"',
    ",", ";", "%20", " ", "\n", "\\", "\u202e", "a" * 200, ".jpg", ".JPG", ".png",
)  # fmt: skip

names = (
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda name: len(name.encode()) <= 255 and not name.startswith((".", "~")))
)
class_names = st.sampled_from(
    ("cat", "Cat", "dog", "caf\u00e9", "cafe\u0301", "a#1", "a", "it's", "x" * 200)
)

# Few contents, so that equal files occur in one class and in two; and files without a picture.
contents = st.sampled_from((*range(9), b"", b"not a picture"))


@functools.cache
def data_of(content: int | bytes) -> bytes:
    return (
        content
        if isinstance(content, bytes)
        else fakes.picture_bytes(f"any {content}", height=12, width=9)
    )


@dataclass(frozen=True)
class Files:
    """Files of an input: path → content, and folders without any."""

    files: dict[str, int | bytes]
    empty: tuple[str, ...] = ()

    def write(self, root: Path) -> None:
        for folder in self.empty:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data_of(content))


trees = st.builds(
    Files,
    st.dictionaries(st.tuples(class_names, names).map("/".join), contents, min_size=4, max_size=24),
    st.lists(class_names, max_size=2).map(tuple),
)
choices = st.fixed_dictionaries(
    {
        "near_duplicates": st.sampled_from(list(NearDuplicates)),
        "label_conflicts": st.sampled_from(list(ConflictPolicy)),
        "per_class": st.sampled_from([None, 1, 4]),
        "group_by": st.sampled_from([None, "(.)"]),
        "splits": st.sampled_from(["train:0.6,test:0.4", "train:0.8,validation:0.1,test:0.1"]),
        "num_shards": st.sampled_from([None, 3]),
    }
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Files, list[tuple[str, str]]]:
    """Files, and rows (path, label) that name some of them, some twice, and some absent ones."""
    files = draw(
        st.dictionaries(names, contents, min_size=2, max_size=12).map(
            lambda found: Files({f"in/{name}": content for name, content in found.items()})
        )
    )
    paths = st.sampled_from([*files.files, "in/absent.jpg"])
    rows = draw(st.lists(st.tuples(paths, class_names), min_size=4, max_size=24))
    return files, rows


def bake_and_check(rows: int, **values: object) -> None:
    """Bakes; whatever becomes of it, nothing is lost and nothing is unsound."""
    with tempfile.TemporaryDirectory() as directory:
        config = PrepareConfig(
            output_dir=directory, image_size=8, encoding="png", workers=0, max_reject_fraction=1.0,
            allow_empty_splits=True, **values,
        )  # fmt: skip
        try:
            assert run.run(config, config.beam_arguments) == 0
        except EvenshardError as error:
            assert "\n" not in str(error)
            return
        assert verify(directory).problems == ()
        found, sources = manifest.load(directory), ledger.read(directory).to_pylist()
        assert len(sources) == rows
        ids = Counter(
            record.id
            for split in found.splits
            for shard in split.shards
            for record in map(
                example.decode, framing.read_records(str(Path(directory, shard.filename)))
            )
        )
        assert set(ids.values()) <= {1}
        kept = {row["key"]: row["copies"] for row in sources if row["status"] == ledger.KEPT}
        assert ids.keys() == {
            record_id(key, copy) for key, copies in kept.items() for copy in range(copies + 1)
        }
        assert {parse_id(id_)[0] for id_ in ids} == set(kept)


def check_tree(files: Files, values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as root:
        files.write(Path(root))
        bake_and_check(len(files.files), input_dir=root, **values)


def check_table(made: tuple[Files, list[tuple[str, str]]], values: dict[str, object]) -> None:
    files, rows = made
    with tempfile.TemporaryDirectory() as root:
        files.write(Path(root))
        table = Path(root, "labels.csv")
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "label"), *rows])
        bake_and_check(len(rows), input_dir=root, input_csv=str(table), **values)


def ledger_of(root: Path, rows: list[tuple[str, str]], **values: object) -> dict[str, dict]:
    """Bakes the pictures that a table names; returns the rows of the ledger by key."""
    for number, path in enumerate(dict(rows)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data_of(number))
    table = root / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    config = PrepareConfig(
        input_csv=str(table), output_dir=str(root / "out"), image_size=8, workers=0, **values
    )
    assert run.run(config, config.beam_arguments) == 0
    assert verify(root / "out").problems == ()
    return {row["key"]: row for row in ledger.read(root / "out").to_pylist()}


TWO_LABELS = [
    *((f"p/{number}.jpg", "zebra") for number in range(4)),
    *((f"q/{number}.jpg", "ant") for number in range(4)),
    ("p/0.jpg", "ant"),
]


@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_a_path_under_two_labels_is_a_label_conflict(
    tmp_path: Path, policy: ConflictPolicy
) -> None:
    rows = ledger_of(tmp_path, TWO_LABELS, label_conflicts=policy)
    assert len(rows) == 9
    upper, lower = rows["p/0.jpg"], rows["p/0.jpg (2)"]
    assert (upper["class"], lower["class"]) == ("zebra", "ant")
    assert lower["detail"].startswith("label conflict: ")
    assert lower["detail"].endswith("; the table names this file more than once")
    if policy is ConflictPolicy.KEEP_FIRST:
        assert (upper["status"], lower["status"]) == ("kept", "duplicate")
        assert lower["reason"] == "p/0.jpg"
    else:
        assert upper["status"] == lower["status"] == "rejected"
        assert upper["reason"] == lower["reason"] == "label_conflict"


def test_a_row_that_stands_twice_is_kept_once_and_said_once(tmp_path: Path) -> None:
    rows = ledger_of(tmp_path, [row for row in TWO_LABELS[:-1] for _ in range(2)])
    assert Counter(row["status"] for row in rows.values()) == {"kept": 8, "duplicate": 8}
    repeated = rows["p/0.jpg (2)"]
    assert repeated["reason"] == "p/0.jpg"
    assert repeated["detail"] == "equal file; the table names this file more than once"


def test_a_file_with_the_name_of_a_copy_has_an_id_of_its_own(tmp_path: Path) -> None:
    names_of = ("cat/0.jpg", "cat/0.jpg#1", "cat/0.jpg#1#0", "dog/0.jpg", "dog/0.jpg (2)")
    files = Files({name: content for content, name in enumerate(names_of)})
    files.write(tmp_path / "in")
    bake_and_check(5, input_dir=str(tmp_path / "in"), per_class=12, splits="train:1")


few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=300)


@few
@given(files=trees, values=choices)
def test_a_bake_of_any_tree_is_sound(files: Files, values: dict[str, object]) -> None:
    check_tree(files, values)


@few
@given(made=tables(), values=choices)
def test_a_bake_of_any_table_is_sound(
    made: tuple[Files, list[tuple[str, str]]], values: dict[str, object]
) -> None:
    check_table(made, values)


@pytest.mark.slow
@many
@given(files=trees, values=choices)
def test_a_bake_of_many_trees_is_sound(files: Files, values: dict[str, object]) -> None:
    check_tree(files, values)


@pytest.mark.slow
@many
@given(made=tables(), values=choices)
def test_a_bake_of_many_tables_is_sound(
    made: tuple[Files, list[tuple[str, str]]], values: dict[str, object]
) -> None:
    check_table(made, values)
