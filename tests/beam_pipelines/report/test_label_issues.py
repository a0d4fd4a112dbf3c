"""Which pictures are listed as lying under several classes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from beam_pipelines.report import label_issues, tables
from tfrecords import ledger


def row(key: str, status: str = "kept", **columns: object) -> dict[str, object]:
    fixed = {"key": key, "class": key.partition("/")[0], "status": status, "split": "train"}
    return {**fixed, "sha256": key, "width": 8, **columns}


def found(*rows: dict[str, object], named: bool = False) -> list[tuple[str, str]]:
    sources = pa.Table.from_pylist(sorted(rows, key=lambda r: str(r["key"])), ledger.SCHEMA)
    issues = label_issues.find(sources, tables.equal_sets(sources), named=named)
    return [(issue.kind, " ".join(issue.keys)) for issue in issues]


DROPPED = {"split": None, "detail": "near duplicate"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("a/1", group=1), row("a/2", group=1)], []),
        ([row("a/1", group=1), row("b/1", group=2)], []),
        (
            [row("b/1", group=1), row("a/1", group=1), row("a/2", "capped", group=1)],
            [("near_duplicate", "a/1 a/2 b/1")],
        ),
        (
            [row("a/1", sha256="x"), row("b/1", "duplicate", sha256="x", split=None)],
            [("equal_file", "a/1 b/1")],
        ),
        (
            [row("a/1"), row("b/1", "duplicate", reason="a/1", **DROPPED)],
            [("near_duplicate", "a/1 b/1")],
        ),
        ([row("a/1"), row("a/2", "duplicate", reason="a/1", **DROPPED)], []),
        ([row("a/1", "rejected", width=None), row("b/1", "ignored", width=None)], []),
    ],
)
def test_sets_that_span_classes(
    rows: list[dict[str, object]], expected: list[tuple[str, str]]
) -> None:
    assert found(*rows) == expected


def test_groups_by_name_say_nothing_of_labels() -> None:
    rows = [row("a/1", group=1), row("b/1", group=1)]
    assert found(*rows) and not found(*rows, named=True)


def test_no_picture_gives_a_header_alone() -> None:
    assert label_issues.to_csv([]) == "kind,set,key,label,others\n"
