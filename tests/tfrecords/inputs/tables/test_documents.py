"""JSON as a table of labels: the forms whose meaning is certain, and the others refused."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tfrecords.inputs.tables.test_coco import EXPECTED, classes, listed, root
from tfrecords.errors import UsageError
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.tables.text import decoded

__all__ = ["root"]

RECORDS = [{"file": name, "species": label} for name, label in EXPECTED.items()]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(EXPECTED),
        json.dumps(EXPECTED, indent=4),
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent="\t"),
        "\n".join(map(json.dumps, RECORDS)),
        "\r\n".join(map(json.dumps, RECORDS)) + "\r\n",
        f"\n\n {json.dumps(RECORDS)}\n",
    ],
)
def test_forms_that_are_read(root: Path, text: str) -> None:
    assert classes(listed(root, text)) == EXPECTED


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(root: Path, codec: str) -> None:
    (root / "train.json").write_bytes(json.dumps(EXPECTED).encode(codec))
    text = decoded(InputPath("", "x.jsonl"), (root / "train.json").read_bytes()).text
    assert classes(listed(root, text)) == EXPECTED


def test_columns_of_records_are_those_of_any_table(root: Path) -> None:
    records = [
        {"a": name, "b": label, "c": n % 2, "site": f"s{n % 3}"}
        for n, (name, label) in enumerate(EXPECTED.items())
    ]
    found = listed(root, records, path_column="a", label_column=("b",), group_column="site")
    assert classes(found) == EXPECTED
    assert {row.group for row in found.rows} == {"s0", "s1", "s2"}
    with pytest.raises(UsageError, match="hold the classes: name it with --label_column; the head"):
        listed(root, records)


def test_records_without_a_key_have_an_empty_field(root: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.json record 2: species is empty"):
        listed(root, [RECORDS[0], {"file": "1.jpg"}])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "an object with 0 keys; the forms that are read are COCO's .*a list of objects"),
        ("[]", "is a list of no records"),
        ("[{}, {}]", "is a list of no records"),
        ('["0.jpg", "1.jpg"]', 'values that are no objects, such as "0.jpg"; the forms'),
        ('[["0.jpg", "cat"], ["1.jpg", "dog"]]', "values that are no objects"),
        ('[{"path": "0.jpg", "label": "cat"}, 3]', "values that are no objects, such as 3"),
        ('{"0": "cat", "1": "dog"}', r"an object with 2 keys \('0', '1'\); the forms"),
        ('{"cat": ["0.jpg"], "dog": ["1.jpg"]}', "an object with 2 keys"),
        ('{"0.jpg": {"label": "cat"}, "1.jpg": {"label": "dog"}}', "an object with 2 keys"),
        ('{"images": {"0.jpg": 1}}', r"an object with 1 key \('images'\)"),
        ('{"0.jpg": "cat", "1.jpg": ', "begins as JSON does, but cannot be read: Expecting value"),
        ('{"0.jpg": "cat", "0.jpg": "dog"}', "has the key '0.jpg' twice"),
        ('{"0.jpg": "cat", "1.jpg": null}', "record 2: label is empty"),
        ('{"0.jpg": "\\u0000"}', "has a zero byte in a value"),
        ('{"\\ud800.jpg": "cat"}', r"record 1: the path '.ud800.jpg' has half a character"),
        ('{"0.jpg": "\\ud800"}', r"record 1: the class '.ud800' has half a character"),
        ('[{"path": "0.jpg", " path": "1.jpg"}]', "two columns are called 'path'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"path": "0.jpg", "label": "a"}\n{"path": "1.jpg"', "line 2 is no JSON object"),
        ('{"path": "0.jpg", "label": "a"}\n{"path": "1.jpg", "path": "b"}', "line 2 .*twice"),
    ],
)
def test_other_forms_stop_in_one_line(root: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        listed(root, text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_a_name_has_in_it_a_record_is_one_row(root: Path, labels: dict[str, str]) -> None:
    """Spaces in a name stay, line breaks do not move what comes after them."""
    content = {f"{n}{name}.jpg": f"x{label}x" for n, (name, label) in enumerate(labels.items())}
    found = listed(root, {"0.jpg": "cat", **content, "1.jpg": "dog"})
    assert len(found.rows) == len(labels) + 2
    by_key = {row.key: row.class_name for row in found.rows}
    assert by_key["0.jpg"] == "cat" and by_key["1.jpg"] == "dog"
    plain = {
        key: label
        for key, label in content.items()
        if not set("\r\n") & {*key, *label} and normalize("NFC", key + label) == key + label
    }
    assert {key: by_key.get(key) for key in plain} == plain
