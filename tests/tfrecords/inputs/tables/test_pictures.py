"""Tables as spreadsheets, contests and scripts write them: read right, or refused by line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile

NAMES = ("cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.png")
LABELS = {name: name.split("/")[0] for name in NAMES}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pictures of `NAMES`, each of bytes of its own."""
    folder = tmp_path / ".data" / "in"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


class Bake:
    """What a bake lists for a table.

    Args:
      root: of the pictures.
      text: of the table.
      options: how to read it.
    """

    def __init__(self, root: Path, text: str | bytes, **options: object) -> None:
        table = root.parent / "labels.csv"
        table.write_bytes(text.encode() if isinstance(text, str) else text)
        found = listing.list_labelled(
            InputPath("--input_dir", str(root)),
            InputPath("--input_csv", str(table)),
            options=InputOptions(TableOptions(**options)),  # type: ignore[arg-type]  # Values of a table.
        )
        self.rows: tuple[SourceFile, ...] = found.rows
        self.notes = list(found.notes)

    @property
    def labels(self) -> dict[str, str | None]:
        """Key → class of what is kept, after reading it."""
        kept = [row for row in self.rows if row.problem is None]
        for row in kept:
            assert read_source(row).decode() == row.key.partition(" (")[0]
        return {row.key: row.class_name for row in kept}

    def said(self, text: str) -> bool:
        return any(text in note for note in self.notes)


def table_of(row: str, header: str = "path,label") -> str:
    """Returns a table with a line for each picture, `row` filled in."""
    lines = [
        row.format(path=name, stem=name.rsplit(".")[0], label=LABELS[name], n=number)
        for number, name in enumerate(NAMES)
    ]
    return "\n".join([header, *lines, ""])


@pytest.mark.parametrize("path", ["{path}", "./{path}", "././{path}", "cat/../{path}", " {path} "])
def test_paths_however_they_are_written(root: Path, path: str) -> None:
    bake = Bake(root, table_of(path + ", {label} "))
    assert bake.labels == LABELS and bake.notes == []


def test_paths_from_elsewhere(root: Path) -> None:
    assert Bake(root, table_of(f"{root}/{{path}},{{label}}")).labels == LABELS
    assert Bake(root, table_of("../in/{path},{label}")).labels == LABELS
    (root.parent / "meta").mkdir()
    rows = Bake(root.parent / "meta", table_of("../in/{path},{label}")).rows
    assert [row.key for row in rows] == [f"../in/{name}" for name in NAMES]
    assert {row.problem for row in rows} == {None}


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_line_ends(
    root: Path, encoding: str, separator: str, end: str
) -> None:
    text = table_of("{path},{label}").replace(",", separator).replace("\n", end)
    bake = Bake(root, text.encode(encoding))
    assert bake.labels == LABELS
    assert bake.said("its fields are separated by") == (separator != ",")


def test_what_is_told_is_believed(root: Path) -> None:
    assert Bake(root, table_of("{path}#{label}", "path#label"), separator="#").labels == LABELS
    assert Bake(root, table_of("{path}\t{label}", "path\tlabel"), separator="tab").labels == LABELS
    text = table_of("{path},{label}é").encode("cp1252")
    assert set(Bake(root, text, encoding="cp1252").labels.values()) == {"caté", "dogé"}
    with pytest.raises(UsageError, match="--csv_separator=ab: one character is expected"):
        Bake(root, table_of("{path},{label}"), separator="ab")
    with pytest.raises(UsageError, match="--csv_encoding=klingon is not a known encoding"):
        Bake(root, table_of("{path},{label}"), encoding="klingon")


def test_a_spreadsheet_that_names_its_separator(root: Path) -> None:
    bake = Bake(root, "sep=;\r\n" + table_of("{path};{label}", "path;label"))
    assert bake.labels == LABELS
    with pytest.raises(UsageError, match="line 3: 1 fields"):
        Bake(root, "sep=;\npath;label\ncat/0.jpg\n")


def test_commas_in_a_table_of_semicolons(root: Path) -> None:
    bake = Bake(root, table_of('{path};"{label}, big";3,5', "path;label;kg,g"))
    assert set(bake.labels.values()) == {"cat, big", "dog, big"}


HEADERS = [
    ("file_name", "category"), ("filename", "class"), ("Filename", "Class"), ("image", "label"),
    ("Image", "Label"), ("image_id", "species"), ("img", "target"), ("Path", "breed"),
    ("Id", "Expected"), ("ID", "Category"), ("filepaths", "labels"), ("imagePath", "className"),
    ("File Name", "Class Name"), ("id", "whatever"), ("anything", "else"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "label"), HEADERS)
def test_usual_names_of_columns_are_guessed_and_said(root: Path, path: str, label: str) -> None:
    bake = Bake(root, table_of("{path},{label}", f"{path},{label}"))
    assert bake.labels == LABELS
    assert bake.said(f"its paths are taken from column {path!r}")
    assert bake.said(f"its classes are taken from column {label!r}") or label == "label"


def test_columns_that_are_told(root: Path) -> None:
    text = table_of("{n},{path},x,{label},train", "a,b,c,d,e")
    names = {"path_column": "b", "label_column": ("d",), "split_column": "e"}
    bake = Bake(root, text, **names)
    assert bake.labels == LABELS and {row.split for row in bake.rows} == {"train"}
    assert bake.notes == []
    assert Bake(root, text, path_column="2", label_column=("4",)).labels == LABELS
    with pytest.raises(UsageError, match="--path_column=bb: .*a, b, c, d, e"):
        Bake(root, text, path_column="bb")
    with pytest.raises(UsageError, match="--label_column=pathh: .*did you mean 'path'"):
        Bake(root, table_of("{path},{label}"), label_column=("pathh",))


def test_numbers_and_names_of_one_class(root: Path) -> None:
    # As in many tables of contests: the number and the name of a class, and the data set's part.
    header = "class id,filepaths,labels,data set,scientific name"
    ids = {"cat": 0, "dog": 1}
    lines = [f"{ids[LABELS[n]]},{n},{LABELS[n]},train,Felis {LABELS[n]}" for n in NAMES]
    bake = Bake(root, "\n".join([header, *lines]))
    assert bake.labels == LABELS and {row.split for row in bake.rows} == {"train"}


def test_ids_of_rows_are_no_paths(root: Path) -> None:
    assert Bake(root, table_of("{n},{path},{label}", "id,filename,label")).labels == LABELS
    assert Bake(root, table_of("{n},{path},{label}", ",filename,label")).labels == LABELS


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (
            "path,class,species",
            "{path},{label},{n}",
            "'class', 'species' may hold the classes: .*--l",
        ),
        ("image,img,label", "{path},{path},{label}", "'image', 'img' may hold the paths: .*--path"),
        ("path,label,split,split", "{path},{label},train,test", "two columns are called 'split'"),
        ("path,a,b", "{path},x,y", "no column is known to hold the classes: .*--label_column"),
        ("path;a|label", "{path};a|{label}", "separated by .* or by .*--csv_separator"),
    ],
)
def test_what_is_not_clear_stops_with_the_flag(
    root: Path, header: str, row: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"--input_csv=.*{said}"):
        Bake(root, table_of(row, header))


def test_a_table_without_a_header(root: Path) -> None:
    text = table_of("{path},{label}").partition("\n")[2]
    bake = Bake(root, text)
    assert bake.labels == LABELS and bake.said("its first line is no header")


def test_ids_without_a_suffix(root: Path) -> None:
    bake = Bake(root, table_of("{stem},{label}", "id,breed"))
    assert bake.labels == LABELS
    assert bake.said("4 files found by name; line 2: 'cat/0' is 'cat/0.jpg'")


def test_names_without_their_folder(root: Path) -> None:
    for name in NAMES:  # Names that stand once.
        (root / name).rename(root / name.replace("/", "/x" + LABELS[name]))
    bake = Bake(root, table_of("x{label}{n}.jpg,{label}", "id,label").replace("dog2", "dog0")
                .replace("dog3.jpg", "dog1"))  # fmt: skip
    assert {row.key for row in bake.rows} == {
        "cat/xcat0.jpg", "cat/xcat1.jpg", "dog/xdog0.jpg", "dog/xdog1.png",
    }  # fmt: skip
    assert {row.problem for row in bake.rows} == {None}


def test_an_id_of_several_files_stops(root: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2: '0' is '(cat|dog)/0.jpg' or '(cat|dog)/0.jpg'"):
        Bake(root, "id,label\n0,cat\n")


def test_a_sidecar_or_a_folder_is_no_rival_of_a_picture(root: Path) -> None:
    (root / "cat" / "0.txt").write_bytes(b"x")
    (root / "dog" / "1").mkdir()
    bake = Bake(root, "id,label\ncat/0,a\ndog/1,b\n")
    assert bake.labels == {"cat/0.jpg": "a", "dog/1.png": "b"}


def test_backslashes_and_capitals_of_windows(root: Path) -> None:
    text = table_of("{path},{label}").replace("/", "\\").replace("cat\\0.jpg", "Cat\\0.JPG")
    assert Bake(root, text).labels == LABELS


def test_one_hot_columns(root: Path) -> None:
    text = "image_id,age,healthy,rust,scab\n" + "".join(
        f"{name},{number + 7},{int(number == 0)},{int(number == 1)}.0,{int(number > 1)}\n"
        for number, name in enumerate(NAMES)
    )
    bake = Bake(root, text)
    assert list(bake.labels.values()) == ["healthy", "rust", "scab", "scab"]
    assert bake.said("each of its 3 columns of 0 and 1 is a class: 'healthy', 'rust', 'scab'")
    told = Bake(root, text, label_column=("rust", "healthy", "scab"))
    assert told.labels == bake.labels
    for row, said in (("1,1,0", "2 of its classes are 1"), ("0,0,0", "0 of its classes are 1")):
        with pytest.raises(UsageError, match=f"line 2: {said}, exactly one"):
            Bake(root, f"path,a,b,c\ncat/0.jpg,{row}\n")
    with pytest.raises(UsageError, match="line 2: rust is 'x', 0 or 1"):
        Bake(root, "path,rust,b\ncat/0.jpg,x,0\n", label_column=("rust", "b"))


def test_splits_in_the_words_of_people(root: Path) -> None:
    words = ["TRAIN", "val ", "Testing", ""]
    lines = [f"{name},{LABELS[name]},{word}" for name, word in zip(NAMES, words, strict=True)]
    for column in ("split", "Set", "subset"):
        bake = Bake(root, "\n".join([f"path,label,{column}", *lines]))
        assert [row.split for row in bake.rows] == ["train", "validation", "test", None]
    bake = Bake(root, "\n".join(["path,label,split", *lines]), splits=("train", "val"))
    assert [row.split for row in bake.rows][:2] == ["train", "val"]  # A name means itself.
    words = ["train", "chess", "chess", ""]
    lines = [f"{name},{LABELS[name]},{word}" for name, word in zip(NAMES, words, strict=True)]
    bake = Bake(root, "\n".join(["path,label,set", *lines]))
    assert {row.split for row in bake.rows} == {None}  # A set of something else.
    assert bake.said("its column 'set' (train, chess) is not read")


def test_a_row_twice_is_one_picture_and_said(root: Path) -> None:
    bake = Bake(root, table_of("{path},{label}") + "./cat/0.jpg,cat\ncat/1.jpg,cat\n")
    assert bake.labels == {**LABELS, "cat/0.jpg (2)": "cat", "cat/1.jpg (2)": "cat"}
    assert bake.said("2 repeated rows, kept once; line 6 is line 2")
    with pytest.raises(UsageError, match="lines 2 and 3 put .* into two splits, train and test"):
        Bake(root, "path,label,split\ncat/0.jpg,a,train\n./cat/0.jpg,a,test\n")


def test_a_path_under_two_classes_is_two_rows(root: Path) -> None:
    (root / "cat" / "0.jpg (2)").write_bytes(b"cat/0.jpg")
    bake = Bake(root, "path,label\ncat/0.jpg,zebra\n./cat/0.jpg,ant\ncat/0.jpg (2),bee\n")
    assert bake.labels == {"cat/0.jpg": "zebra", "cat/0.jpg (3)": "ant", "cat/0.jpg (2)": "bee"}
    assert bake.said("1 row with another class")


def test_quoted_fields(root: Path) -> None:
    (root / "cat" / 'a, "b".jpg').write_bytes(b'cat/a, "b".jpg')
    bake = Bake(root, 'path,label\n"cat/a, ""b"".jpg","big\ncat"\ncat/0.jpg, "x, y"\n')
    assert bake.labels == {'cat/a, "b".jpg': "big\ncat", "cat/0.jpg": "x, y"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\ncat/0.jpg,a\ncat/0, left.jpg,b\n", "line 3: 3 fields where 2 are expected"),
        ("path,label\n\n\ncat/0.jpg\n", "line 4: 1 fields where 2 are expected"),
        ('path,label\n"cat/0.jpg,a\nb,c\n', "line 2: unexpected end of data"),
        ("path,label\nhttps://a.org/0.jpg,a\n", "line 2: https://a.org/0.jpg is on the web"),
        ("path,label\n", "has a header and no rows"),
        ("path,label\n,,\n", "line 2: 3 fields|has a header and no rows"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        (b"PK\x03\x04 xlsx", "is a spreadsheet or a zip, not a text table: save it as CSV"),
        (b"path,label\n\0\0\0,a\n", "zero bytes"),
        ("path,label\ngone/1.jpg,a\ngone/2.jpg,b\n",
         "none of its 2 files exists; the first, line 2: 'gone/1.jpg', looked for at .*"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_by_line(root: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError, match=f"--input_csv=.*(?:{said})"):
        Bake(root, text)


def test_missing_files_are_rows_and_said(root: Path) -> None:
    bake = Bake(root, table_of("{path},{label}") + "gone/1.jpg,cat\ngone/2.jpg,cat\n")
    assert bake.labels == LABELS
    missing = [row for row in bake.rows if row.problem is RejectReason.MISSING]
    assert [row.key for row in missing] == ["gone/1.jpg", "gone/2.jpg"]
    assert bake.said(f"2 of 6 files missing; line 6: 'gone/1.jpg', looked for at {root}/gone/1.jpg")


def test_rows_without_any_value_are_no_rows(root: Path) -> None:
    assert Bake(root, table_of("{path},{label}") + ",\n , \n\n").labels == LABELS


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in NAMES:
            zipped.write(root / name, f"set/images/{name}")
        zipped.writestr("set/labels.csv", table_of("images/{path},{label}"))
        zipped.writestr("set/images/other.csv", table_of("{path},{label}"))
    return path


@pytest.mark.parametrize(
    ("input_dir", "input_csv"),
    [
        ("data.zip/set", "data.zip/set/labels.csv"),
        ("data.zip", "set/labels.csv"),
        ("data.zip", "labels.csv"),
        ("data.zip/set/images", "other.csv"),
        ("data.zip", "outside.csv"),
    ],
)
def test_tables_and_pictures_in_an_archive(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, input_dir: str, input_csv: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("outside.csv").write_text(table_of("set/images/{path},{label}"))
    rows = listing.list_labelled(
        InputPath("--input_dir", input_dir), InputPath("--input_csv", input_csv)
    ).rows
    assert {row.class_name for row in rows} == {"cat", "dog"}
    assert [read_source(row).decode() for row in rows] == list(NAMES)
    (unlabelled, *_) = listing.list_unlabelled(InputPath("--input", "data.zip/set/labels.csv"))
    assert unlabelled.key == "images/cat/0.jpg" and read_source(unlabelled) == b"cat/0.jpg"


def test_a_table_may_name_hidden_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as zipped:
        zipped.writestr(".scans/a.jpg", b"a")
        zipped.writestr("b.jpg", b"b")
    (tmp_path / "t.csv").write_text("path,label\n.scans/a.jpg,x\nb,y\na,z\n")
    rows = listing.list_labelled(
        InputPath("--input_dir", str(tmp_path / "in.zip")),
        InputPath("--input_csv", str(tmp_path / "t.csv")),
    ).rows
    assert {row.key: row.problem for row in rows} == {
        ".scans/a.jpg": None, "b.jpg": None, "a": RejectReason.MISSING,
    }  # fmt: skip


def test_a_table_that_no_archive_has(archive: Path) -> None:
    with pytest.raises(UsageError, match="there is no one table 'gone.csv' in"):
        listing.list_labelled(
            InputPath("--input_dir", str(archive)), InputPath("--input_csv", "gone.csv")
        )


def test_a_prediction_reads_the_same_tables(root: Path) -> None:
    table = root / "list.tsv"
    table.write_text("image_id\tother\n" + "".join(f" {n[:-4]}\t1\n" for n in reversed(NAMES)))
    notes: list[str] = []
    rows = listing.list_unlabelled(InputPath("--input", str(table)), say=notes.append)
    assert [row.key for row in rows] == [name[:-4] for name in reversed(NAMES)]
    assert [read_source(row).decode() for row in rows] == list(reversed(NAMES))
    table.write_text("Id\tother\ncat/0.jpg\t1\ncat/0.jpg\t1\n")
    rows = listing.list_unlabelled(InputPath("--input", str(table)))
    assert [row.key for row in rows] == ["cat/0.jpg", "cat/0.jpg"]  # A submission has both rows.


FIELDS = (
    st.text(
        st.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=("Cs",)),
        min_size=1,
        max_size=12,
    )
    .map(str.strip)
    .filter(bool)
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(FIELDS, min_size=4, max_size=4), st.sampled_from(",;\t|"),
       st.sampled_from(ENCODINGS))  # fmt: skip
def test_whatever_the_labels_are_they_come_back(
    root: Path, labels: list[str], separator: str, encoding: str
) -> None:
    import csv
    import io
    import unicodedata

    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "label"), *zip(NAMES, labels, strict=True)])
    bake = Bake(root, text.getvalue().encode(encoding), separator=separator)
    assert list(bake.labels.values()) == [unicodedata.normalize("NFC", own) for own in labels]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(
    lambda text: b"path,label\n" + text.encode("utf-8", "surrogatepass"))))  # fmt: skip
def test_whatever_the_bytes_are_there_are_rows_or_one_error(root: Path, data: bytes) -> None:
    try:
        rows = Bake(root, data).rows
    except UsageError as error:
        assert str(error).startswith(("--input_csv=", "--csv_"))
        return
    assert rows and len({row.key for row in rows}) == len(rows)
