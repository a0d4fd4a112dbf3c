from __future__ import annotations

from collections.abc import Callable

import pytest

from tfrecords.json_fields import JsonObject, shown

DOCUMENT = JsonObject.of(
    {"name": "a", "size": 3, "sizes": [1, 2], "names": ["b"], "parts": [{"size": 4}, {"size": -1}]}
)


def test_what_is_right_is_returned() -> None:
    assert DOCUMENT.text("name") == "a" and DOCUMENT.texts("names") == ("b",)
    assert DOCUMENT.count("size") == 3 and DOCUMENT.counts("sizes") == (1, 2)
    assert [part.path for part in DOCUMENT.children("parts")] == ["parts[0]", "parts[1]"]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: DOCUMENT.text("absent"), "it has no 'absent'"),
        (lambda: DOCUMENT.text("size"), "size is 3, a text expected"),
        (lambda: DOCUMENT.count("name"), 'name is "a", a number from 0'),
        (lambda: DOCUMENT.counts("names"), r'names\[0\] is "b", a number from 0'),
        (lambda: DOCUMENT.texts("name"), 'name is "a", a list expected'),
        (lambda: DOCUMENT.child("name"), 'name is "a", an object expected'),
        (lambda: [p.count("size") for p in DOCUMENT.children("parts")], r"parts\[1\]\.size is -1"),
        (lambda: [p.text("id") for p in DOCUMENT.children("parts")], r"parts\[0\] has no 'id'"),
        (lambda: DOCUMENT.refuse_unknown(["name"]), "it has an unknown field 'size'"),
        (lambda: JsonObject.of([]), r"it is \[\], an object expected"),
        (lambda: JsonObject.of({"n": True}).count("n"), "n is true, a number"),
        (lambda: JsonObject.of({"n": 2**63}).count("n"), "n is 9223372036854775808, a number"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(read: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        read()


def test_a_long_value_is_shortened() -> None:
    assert shown("x" * 100) == '"' + "x" * 59 + "…"
