"""Which folders are classes and which are splits, from names alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import keys, layout
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.rows import ArchiveMember, ListedFile


def listed(name: str, in_archive: bool = False) -> ListedFile:
    member = ArchiveMember(0, 0, "tar") if in_archive else None
    problem = RejectReason.HIDDEN if is_hidden(name) else None
    return ListedFile(name, f"/in/{name}", 1, 0, member, problem)


@pytest.mark.parametrize(
    ("names", "wrapper", "splits"),
    [
        (["apu/1", "bart/1"], "", {}),
        (["train/apu/1", "val/apu/1"], "", {"train": "train", "val": "validation"}),
        (["train/apu/1", "val/apu/1", "readme"], "", {"train": "train", "val": "validation"}),
        (["train/1", "bus/1"], "", {}),
        (["val/1", "test/1"], "", {}),
        (["train/apu/1", "val/apu/1", ".git/x"], "", {"train": "train", "val": "validation"}),
    ],
)
def test_folders(names: list[str], wrapper: str, splits: dict[str, str]) -> None:
    found = layout.find_layout([listed(name) for name in names])
    assert (found.wrapper, found.splits) == (wrapper, splits)


def test_an_archive_may_wrap_its_folders() -> None:
    names = ["set/train/apu/1", "set/test/apu/1", "__MACOSX/x"]
    found = layout.find_layout([listed(name, in_archive=True) for name in names])
    assert (found.wrapper, found.splits) == ("set/", {"train": "train", "test": "test"})
    row = layout.by_folder(listed(names[0], in_archive=True), found)
    assert (row.key, row.class_name, row.split) == ("train/apu/1", "apu", "train")
    assert layout.find_layout([listed(name) for name in names]).wrapper == ""


NAMES = st.lists(
    st.sampled_from(["train", "test", "val", "apu", "bart", ".git", "é", "e\u0301"]),
    min_size=1,
    max_size=4,
).map("/".join)


@given(st.lists(NAMES, max_size=20), st.booleans())
def test_every_file_is_one_row_and_no_key_stands_twice(names: list[str], in_archive: bool) -> None:
    files = [listed(name, in_archive) for name in names]
    found = layout.find_layout(files)
    rows = keys.in_key_order(layout.by_folder(file, found) for file in files)
    assert sorted(row.path for row in rows) == sorted(file.path for file in files)
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert row.problem is not None or row.class_name
