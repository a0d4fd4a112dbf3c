"""verify finds every damage to every file of a data set, and never fails in an unforeseen way."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.datasets import fakes
from tests.support.datasets.damages import damage, is_found
from tfrecords import ledger, manifest
from tfrecords import verify as verifying
from tfrecords.manifest import MANIFEST, SOURCES, Manifest, ManifestError

DAMAGES = 1000


def missed(data_dir: Path, seeds: range) -> list[str]:
    """Returns how the data set was damaged where that was not found; it is whole again after."""
    files = sorted(path for path in data_dir.iterdir() if path.is_file())
    before = {path: path.read_bytes() for path in files}
    result = []
    for seed in seeds:
        what = damage(files, seed)
        if not is_found(data_dir):
            result.append(what)
        for path, data in before.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)
    assert not is_found(data_dir)
    return result


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    fakes.write_dataset(tmp_path, {"train": (3, 2), "test": (2, 1)}, copies=2)
    return tmp_path


def test_a_thousand_of_a_thousand_damages_are_found(data_dir: Path) -> None:
    assert missed(data_dir, range(DAMAGES)) == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["jpeg", "raw", "png"])
def test_damages_of_larger_data_sets_are_found(tmp_path: Path, encoding: str) -> None:
    spec = fakes.ImageSpec(32, 48, encoding=encoding)  # type: ignore[arg-type]  # A name is converted.
    counts = {"train": (40, 30, 20, 3), "validation": (4, 3, 2, 1), "test": (4, 3, 2, 1)}
    fakes.write_dataset(tmp_path, counts, spec, copies=5, shards=3)
    assert missed(tmp_path, range(10_000, 15_000)) == []


def test_each_byte_of_the_manifest_counts(data_dir: Path) -> None:
    path = data_dir / MANIFEST
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for at in range(0, len(data), 7):
        path.write_bytes(
            data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
        )
        assert is_found(data_dir), at


@pytest.mark.parametrize("column", ledger.SCHEMA.names)
def test_a_changed_value_of_any_column_is_found(data_dir: Path, column: str) -> None:
    rows = ledger.read(data_dir).to_pylist()
    value = rows[0][column]
    rows[0][column] = value + 1 if isinstance(value, int) else f"{value or ''}x"
    pq.write_table(pa.Table.from_pylist(rows, ledger.SCHEMA), data_dir / SOURCES)
    assert is_found(data_dir)


# Data sets of earlier versions.


def write_as_before(data_dir: Path) -> None:
    found = manifest.load(data_dir)
    digests = {name: found.digests[name] for name in ("sources", "config", "dataset")}
    before = dataclasses.replace(found, digests=digests, files={})
    (data_dir / MANIFEST).write_text(before.to_json())


def test_a_data_set_of_an_earlier_version_is_sound_and_says_what_is_not_covered(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_as_before(data_dir)
    assert "files" not in json.loads((data_dir / MANIFEST).read_text())
    assert verifying.COMMAND.run([str(data_dir)]) == 0
    out = capsys.readouterr().out
    assert "sound" in out and "the manifest has no digest of sources.parquet and of itself" in out


def test_an_unreadable_column_of_an_earlier_version_is_found(data_dir: Path) -> None:
    """Its values are not compared, but they are read."""
    write_as_before(data_dir)
    path = data_dir / SOURCES
    group = pq.ParquetFile(path).metadata.row_group(0)
    names = [group.column(i).path_in_schema for i in range(group.num_columns)]
    start = group.column(names.index("group")).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 12] = b"\xff" * 12
    path.write_bytes(data)
    assert is_found(data_dir)


# Manifests with any value in place of any other.

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 1.5, float("nan"), 10**30, "", "x", "\ud800", "a" * 64, [], {},
    [None], [[]], {"x": None},
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path of each value inside a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def mutants(document: Any) -> Iterator[tuple[str, Any]]:
    """Yields (what was done, a document) with each value replaced by each other, or removed."""
    for path in places(document):
        for value in (*VALUES, "removed"):
            mutant = copy.deepcopy(document)
            holder = mutant
            for key in path[:-1]:
                holder = holder[key]
            if value == "removed":
                del holder[path[-1]]
            elif type(holder[path[-1]]) is type(value) and holder[path[-1]] == value:
                continue
            else:
                holder[path[-1]] = value
            yield f"{path} {value!r}", mutant
    for value in VALUES:
        yield f"all {value!r}", value


@pytest.mark.parametrize("sealed", [True, False])
def test_a_manifest_with_any_value_changed_is_refused_in_one_line_or_found_damaged(
    tmp_path: Path, sealed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    per_class = {"train": (2, 1), "test": (1, 0)}
    fakes.write_dataset(tmp_path / "d", per_class, shards=1)
    if not sealed:
        write_as_before(tmp_path / "d")
    path = tmp_path / "d" / MANIFEST
    document = json.loads(path.read_text())
    passed = []
    for what, mutant in mutants(document):
        text = json.dumps(mutant)
        try:
            Manifest.from_json(text)
        except ManifestError as error:
            line = str(error)
            assert "\n" not in line and "Error(" not in line and len(line) < 400, what
            continue
        passed.append(what)
        path.write_text(text)
        code = verifying.COMMAND.run([str(tmp_path / "d")])
        shown = capsys.readouterr()
        assert "unexpected" not in shown.err, (what, shown.err)
        # An earlier version's manifest does not cover itself: of the image, for one, only its
        # form is checked.
        assert code == 1 or not sealed, what
    assert len(passed) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", r"it is \[\], an object expected"),
        ("{}", "it has no 'schema_version'"),
        ('{"schema_version": true}', "schema_version is true, a number expected"),
        ('{"schema_version": 1}', "it has no 'digests'|it has no 'image'"),
    ],
)
def test_other_texts_are_refused_in_a_persons_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ManifestError, match=message):
        manifest.load(tmp_path)
    assert verifying.COMMAND.run([str(tmp_path)]) == 1
    assert "unexpected" not in capsys.readouterr().err


def test_null_digests_are_named(data_dir: Path) -> None:
    document = json.loads((data_dir / MANIFEST).read_text())
    document["digests"]["dataset"] = None
    with pytest.raises(ManifestError, match=r"digests\.dataset is null, 64 hex digits expected"):
        Manifest.from_json(json.dumps(document))


def test_a_copy_elsewhere_is_sound(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("copy") / "d"
    shutil.copytree(data_dir, elsewhere)
    assert not is_found(elsewhere)
