"""From listed files and a layout of folders to rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfrecords.images.rejects import IGNORED, RejectReason
from tfrecords.inputs import keys, layout
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.folders.layout import FolderLayout
from tfrecords.inputs.rows import ArchiveMember, ListedFile

SPLITS = FolderLayout(
    wrapper="set/",
    roots={"set/train/": "train", "set/test/in/": "test"},
    unlabelled=frozenset({"set/more/"}),
)


def listed(name: str, in_archive: bool = False) -> ListedFile:
    member = ArchiveMember(0, 0, "tar") if in_archive else None
    problem = RejectReason.HIDDEN if is_hidden(name) else None
    return ListedFile(name, f"/in/{name}", 1, 0, member, problem)


def test_a_row_has_its_class_its_split_and_a_key_below_the_wrapper() -> None:
    row = layout.by_folder(listed("set/train/apu/a/1.jpg"), SPLITS)
    assert (row.key, row.class_name, row.split) == ("train/apu/a/1.jpg", "apu", "train")
    row = layout.by_folder(listed("set/test/in/apu/1.jpg"), SPLITS)
    assert (row.class_name, row.split, row.problem) == ("apu", "test", None)


def test_pictures_outside_class_folders() -> None:
    reasons = {
        name: layout.by_folder(listed(name), SPLITS).problem
        for name in ("set/more/1.jpg", "set/more/a/1.jpg", "set/test/1.jpg", "set/1.jpg", "1.jpg")
    }
    assert list(reasons.values()) == [RejectReason.UNLABELLED] * 2 + [RejectReason.NO_CLASS] * 3
    assert layout.by_folder(listed("1.jpg"), SPLITS).key == "../1.jpg"
    assert layout.by_folder(listed("set/.x/1.jpg"), SPLITS).problem is RejectReason.HIDDEN


NAMES = st.lists(
    st.sampled_from(["set", "train", "test", "in", "apu", "bart", ".git", "é", "e\u0301", "more"]),
    min_size=1,
    max_size=5,
).map("/".join)


@given(st.lists(NAMES, max_size=20), st.booleans())
def test_every_file_is_one_row_and_no_key_stands_twice(names: list[str], in_archive: bool) -> None:
    files = [listed(name, in_archive) for name in names]
    for folders in (SPLITS, FolderLayout()):
        rows = keys.in_key_order(layout.by_folder(file, folders) for file in files)
        assert sorted(row.path for row in rows) == sorted(file.path for file in files)
        assert len({row.key for row in rows}) == len(rows)
        for row in rows:
            assert row.problem is not None or row.class_name
            assert row.problem not in IGNORED or row.class_name is None
