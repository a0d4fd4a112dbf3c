from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest

from beam_pipelines.inputs import sources
from tests.support.datasets import fakes
from tfrecords.errors import UsageError
from tfrecords.inputs.rows import SourceFile


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return fakes.write_folders(tmp_path / "pictures", {"apu": 3, "bart": 2})


def test_errors_name_the_flags_of_the_bake(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--input_dir=.* does not exist"):
        sources.list_sources(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="--input_csv=.*No such file"):
        sources.list_sources(str(folders), str(tmp_path / "absent.csv"))


def test_remote_folders(folders: Path) -> None:
    pytest.importorskip("apache_beam")
    from tests.support.inputs.bucket import FakeBucket

    FakeBucket.root = str(folders.parent)
    rows = sources.list_sources("fake://pictures").rows
    local = sources.list_sources(str(folders)).rows
    assert [row.key for row in rows] == [row.key for row in local]
    for row in rows:
        assert sources.read(row) == (folders / row.key).read_bytes()


def test_remote_inputs_that_are_none(folders: Path) -> None:
    pytest.importorskip("apache_beam")
    from tests.support.inputs.bucket import FakeBucket

    FakeBucket.root = str(folders.parent)
    with pytest.raises(UsageError, match="--input_dir=fake://nowhere does not exist"):
        sources.list_sources("fake://nowhere")
    with pytest.raises(UsageError, match="is not a folder"):
        sources.list_sources("fake://pictures/apu/0000.jpg")


def test_a_remote_zip_is_read_in_place(folders: Path, tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    from tests.support.inputs.bucket import FakeBucket

    FakeBucket.root = str(tmp_path)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in sorted(folders.rglob("*.jpg")):
            archive.write(file, file.relative_to(folders).as_posix())
    rows = sources.list_sources("fake://p.zip").rows
    assert len(rows) == 5
    for row in rows:
        assert sources.read(row) == (folders / row.key).read_bytes()


@pytest.mark.parametrize(
    "pattern, keys, problem",
    [
        (r"track(\d+)_", ["a/track1_1.png", "a/track1_2.png", "b/track2_1.png"], None),
        (r"track\d+_", ["a/track1_1.png", "a/track1_2.png"], None),
        # The class has an underscore too, so the greedy capture takes the number of the frame.
        (r"_(.*)\.png", ["keep_left/1_t1.png", "keep_left/2_t1.png"], "groups nothing"),
        (r"(\d+)\.png", ["a/1.png", "a/2.png", "b/3.png"], "groups nothing"),
        (r"(\d+)\.png", ["a/1.png", "a/two.png"], None),
        (r"scene(\d+)", ["a/1.png", "a/2.png"], "matches none"),
        (r"scene(\d+)", [], None),
    ],
)
def test_a_pattern_that_has_no_effect_is_refused(
    pattern: str, keys: list[str], problem: str | None
) -> None:
    rows = [SourceFile(key, key, "a", bytes=1, version=0) for key in keys]
    if problem is None:
        sources.check_group_by(rows, pattern)
    else:
        with pytest.raises(UsageError, match=problem):
            sources.check_group_by(rows, pattern)


@pytest.mark.parametrize(
    "values, problem",
    [
        (["p", "p", "q"], None),
        (["p", "p"], None),
        ([None, "p", "p"], None),
        ([None, None], "--group_column=patient is empty in all 2 rows"),
        (["p", "q", None], "groups nothing: each of its 2 values is that of one picture, such as"),
        (["7", "007"], "groups nothing"),
        ([], None),
    ],
)
def test_a_column_that_has_no_effect_is_refused(
    values: list[str | None], problem: str | None
) -> None:
    rows = [
        SourceFile(f"a/{n}.png", f"a/{n}.png", "a", bytes=1, version=0, group=value)
        for n, value in enumerate(values)
    ]
    if problem is None:
        sources.check_groups(rows, None, "patient")
    else:
        with pytest.raises(UsageError, match=problem):
            sources.check_groups(rows, None, "patient")
        # A row that stands twice makes no group of the file.
        twice = [*rows, dataclasses.replace(rows[0], key="a/0.png (2)")]
        with pytest.raises(UsageError, match=problem.partition(" in all")[0]):
            sources.check_groups(twice, None, "patient")
