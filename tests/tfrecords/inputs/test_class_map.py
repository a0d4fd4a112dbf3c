"""Classes renamed, merged and dropped by a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import class_map
from tfrecords.inputs.files import LOCAL
from tfrecords.inputs.rows import InputPath, SourceFile


def read(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    path = tmp_path / "map.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return class_map.read(InputPath("--classes_map", str(path)), LOCAL)


def test_a_table(tmp_path: Path) -> None:
    text = '\ufefffrom, to\ncat, animal\n"dog, big",animal\nblur,-\nrest,\n\ncat,animal\n'
    assert read(tmp_path, text) == {"cat": "animal", "dog, big": "animal", "blur": "", "rest": ""}
    assert read(tmp_path, "to,from\nb,a\n") == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "the header must be from,to, it is 'a,b'"),
        ("from,to\na,b,c\n", "line 2: two fields expected, there are 3"),
        ("from,to\na\n", "line 2: two fields expected, there are 1"),
        ("from,to\na,b\n,b\n", "line 3: from is empty"),
        ("from,to\na,b\na,-\n", "line 3: 'a' is mapped a second time, to '-' after 'b'"),
        (b"from,to\n\xff,b\n", "not UTF-8"),
    ],
)
def test_errors_have_their_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError, match=f"^--classes_map=.*{said}"):
        read(tmp_path, text)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        class_map.read(InputPath("--classes_map", str(tmp_path / "x.csv")), LOCAL)


def test_rows_are_renamed_once_and_dropped_ones_stay_rows() -> None:
    rows = [SourceFile(name, f"/{name}", name, 1, 0) for name in ("a", "b", "c")]
    found = class_map.apply(rows, {"a": "b", "b": "x", "c": ""})
    assert [row.class_name for row in found] == ["b", "x", None]
    assert [row.problem for row in found] == [None, None, RejectReason.DROPPED_CLASS]
    assert found[2].detail == "the classes map drops 'c'"
