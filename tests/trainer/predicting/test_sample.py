"""A sample submission comes back byte for byte, but for its answers."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath
from trainer.predicting import sample
from trainer.predicting.sample import Sample


def read(path: Path, options: TableOptions = TableOptions()) -> Sample:  # noqa: B008
    source = InputPath("--like", str(path))
    return sample.read(source, InputOptions(options), lambda id_: True, lambda note: None)


def filled(found: Sample, columns: Sequence[int], answers: Sequence[Sequence[str]]) -> bytes:
    pieces = found.filled(columns, iter(answers))
    return found.decoded.mark + b"".join(map(found.encode, pieces))


MARKS = {
    "utf-8": b"", "utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff",
}  # fmt: skip


@pytest.mark.parametrize("codec", MARKS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
def test_its_form_is_kept(tmp_path: Path, codec: str, separator: str, end: str, last: bool) -> None:
    def text(first: str, second: str) -> bytes:
        lines = [["Id", '"Expected"'], ["1", first], ['"b ""2"""', f'"{second}"'], ["ü", first]]
        whole = end.join(map(separator.join, lines)) + end * last
        return MARKS[codec] + whole.encode(codec.removesuffix("-sig"))

    (tmp_path / "s.csv").write_bytes(text("x", "y"))
    found = read(tmp_path / "s.csv")
    assert found.ids == ("1", 'b "2"', "ü")
    assert filled(found, [1], [["x"], ["y"], ["x"]]) == text("x", "y")
    assert filled(found, [1], [["cat"], ["dog"], ["cat"]]) == text("cat", "dog")


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nId;label\r\n1;x\r\n",
        "\n\nId,label\n\n1,x\n,\n2,x\n\n",
        "Id, label\n1,  x\n2, \"x\"\n",
        "Id,label\r1,x\r2,x\r",
        "Id,note,label\n1,\"two\nlines\",x\n2,,x",
        "1.jpg,x\n2.jpg,x\n",
        "Id,label,\n1,x,\n2,x,",
    ],
)  # fmt: skip
def test_what_is_odd_is_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_bytes(text.encode())
    found = read(tmp_path / "s.csv", TableOptions(path_column="1"))
    column = found.header.index("label") if "label" in found.header else 1
    rows = [["x"]] * len(found.ids)
    assert filled(found, [column], rows) == text.encode()
    hard = 'a,b;"c'
    (tmp_path / "t.csv").write_bytes(filled(found, [column], [[hard]] * len(rows)))
    again = read(tmp_path / "t.csv", TableOptions(path_column="1", separator=found.separator))
    assert again.ids == found.ids
    assert {row.values[column] for row in again.rows()} == {hard}


FIELDS = st.text('ab ,;"\n1', max_size=5)


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=5), st.booleans())
def test_every_table_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], quoted: bool
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    numbered = [(f"{number}.{first}", second) for number, (first, second) in enumerate(rows)]
    writer.writerows([("Id", "label"), *numbered])
    path = tmp_path_factory.mktemp("t") / "s.csv"
    path.write_bytes(buffer.getvalue().encode())
    found = read(path, TableOptions(separator=","))
    assert list(found.ids) == [first.strip() for first, _ in numbered]
    pieces = list(found.filled([1], iter([second] for _, second in numbered)))
    again = [row for row in csv.reader(io.StringIO("".join(pieces), newline="")) if any(row)]
    assert [row[1].strip() for row in again[1:]] == [second.strip() for _, second in numbered]
    assert [row[0] for row in again[1:]] == [first for first, _ in numbered]


def test_it_may_lie_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "contest.zip", "w") as file:
        file.writestr("contest/sample_submission.csv", "Id,label\r\n1,x\r\n")
    found = read(tmp_path / "contest.zip" / "contest" / "sample_submission.csv")
    assert filled(found, [1], [["y"]]) == b"Id,label\r\n1,y\r\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"Id,label\n", "has a header and no rows"),
        (b"", "is empty"),
        (b"Id,label\n1,x\n,y\n", "line 3: Id is empty"),
        (b"Id,label\n1,x,y\n", "3 fields where 2 are expected"),
        (b'Id,label\n1,"x\n', "line 2"),
        (b"PK\x03\x04", "a spreadsheet"),
    ],
)
def test_what_is_no_sample_is_refused(tmp_path: Path, text: bytes, why: str) -> None:
    (tmp_path / "s.csv").write_bytes(text)
    with pytest.raises(UsageError, match=why):
        read(tmp_path / "s.csv")


def test_a_name_that_its_encoding_lacks(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes("Id,label\né,x\n".encode("cp1252"))
    found = read(tmp_path / "s.csv", TableOptions(encoding="cp1252"))
    assert filled(found, [1], [["ü"]]) == "Id,label\né,ü\n".encode("cp1252")
    with pytest.raises(UsageError, match="is CP1252, which cannot write '猫'"):
        found.encode("猫")


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text('sep=;\nId;note\n1;"a\nb"\n2;c\n')
    assert [record.line for record in read(tmp_path / "s.csv").rows()] == [3, 5]
    assert list(itertools.chain(read(tmp_path / "s.csv").ids)) == ["1", "2"]
