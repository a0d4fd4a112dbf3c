"""`report/label_issues.csv`: pictures under several classes, of which one at most is right."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.report.tables import EqualSet
from tfrecords.ledger import DUPLICATE

FILENAME = "label_issues.csv"

EQUAL_FILE, NEAR_DUPLICATE = "equal_file", "near_duplicate"

# As the ledger's `detail` calls what --near_duplicates=drop left out.
_DROPPED = "near duplicate"


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """One picture, as far as anybody can tell, under more than one class.

    Attributes:
      kind: "equal_file" or "near_duplicate".
      keys: of its files, in key order.
      classes: of each file.
    """

    kind: str
    keys: tuple[str, ...]
    classes: tuple[str, ...]


def find(sources: pa.Table, equal: Sequence[EqualSet], *, named: bool) -> list[LabelIssue]:
    """Returns the pictures that lie under several classes: equal files first, then near ones.

    Args:
      sources: the ledger, in key order.
      equal: its sets of equal files.
      named: whether names of files or a table make groups too (--group_by, --group_column). Such
        groups span classes by intent, so their near duplicates are not told apart, and none is
        listed.
    """
    issues = [LabelIssue(EQUAL_FILE, e.keys, e.classes) for e in equal if e.conflict]
    if not named:
        issues += _near(_members_of_groups(sources))
    return [*issues, *_near(_dropped(sources))]


def to_csv(issues: Sequence[LabelIssue]) -> str:
    """Returns a row for each file: kind, set (from 1), key, label, others.

    `others` are the other classes of the set, separated by " | ".
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["kind", "set", "key", "label", "others"])
    for number, issue in enumerate(issues, 1):
        names = list(dict.fromkeys(issue.classes))
        for key, label in zip(issue.keys, issue.classes, strict=True):
            others = " | ".join(name for name in names if name != label)
            writer.writerow([issue.kind, number, key, label, others])
    return buffer.getvalue()


def _near(sets: Iterator[list[tuple[str, str]]]) -> Iterator[LabelIssue]:
    for members in sets:
        keys, classes = zip(*sorted(members), strict=True)
        if len(set(classes)) > 1:
            yield LabelIssue(NEAR_DUPLICATE, keys, classes)


def _members_of_groups(sources: pa.Table) -> Iterator[list[tuple[str, str]]]:
    """Yields the files, with their classes, of each group that spans classes."""
    # A dropped duplicate has no split.
    grouped = sources.filter(pc.field("group").is_valid() & pc.field("split").is_valid())
    grouped = grouped.select(["group", "key", "class"])
    counts = grouped.group_by("group").aggregate([("class", "count_distinct")])
    several = counts.filter(pc.field("class_count_distinct") > 1)["group"]
    yield from _sets(
        (row["group"], row["key"], row["class"])
        for row in grouped.filter(pc.field("group").isin(several.combine_chunks())).to_pylist()
    )


def _dropped(sources: pa.Table) -> Iterator[list[tuple[str, str]]]:
    """Yields each kept picture, with its class, and the near duplicates dropped for it."""
    dropped = sources.filter((pc.field("status") == DUPLICATE) & (pc.field("detail") == _DROPPED))
    rows = dropped.select(["reason", "key", "class"]).to_pylist()
    kept = pa.array(sorted({row["reason"] for row in rows}), pa.string())
    originals = sources.filter(pc.field("key").isin(kept)).select(["key", "class"]).to_pylist()
    yield from _sets(
        (
            *((row["key"], row["key"], row["class"]) for row in originals),
            *((row["reason"], row["key"], row["class"]) for row in rows),
        )
    )


def _sets(rows: Iterator[tuple[object, str, str | None]] | Sequence[tuple[object, str, str | None]]
          ) -> Iterator[list[tuple[str, str]]]:  # fmt: skip
    members: dict[object, list[tuple[str, str]]] = defaultdict(list)
    for number, key, label in rows:
        members[number].append((key, label or ""))
    yield from members.values()
