"""The numbers of a bake's report: pure functions of the manifest and the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger
from tfrecords.images.rejects import RejectReason
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN

# A class whose every original has more copies than this is hardly learnt from: its copies
# differ in crop and colour only.
MANY_COPIES = 20

_Reason = RejectReason
_MEANINGS = {
    _Reason.EMPTY: "the file has no bytes",
    _Reason.NOT_AN_IMAGE: "its first bytes are those of no picture format",
    _Reason.UNSUPPORTED_FORMAT: "a picture, in a format or of samples that are not read",
    _Reason.TRUNCATED: "the file ends before its picture does",
    _Reason.CORRUPT: "the decoder met bytes that make no sense",
    _Reason.TOO_SMALL: "fewer pixels than --min_source_pixels",
    _Reason.TOO_LARGE: "more pixels than --max_source_pixels",
    _Reason.BOMB: "so many pixels that decoding it could exhaust the memory",
    _Reason.UNREADABLE: "the file could not be opened or read",
    _Reason.NAME_NOT_UTF8: "its name is not valid UTF-8",
    _Reason.NAME_COLLISION: "its name equals another's once normalised",
    _Reason.NO_CLASS: "it is in no class folder",
    _Reason.HIDDEN: "a hidden file, as systems leave beside pictures",
    _Reason.LABEL_CONFLICT: "an equal file has another class, and --label_conflicts=drop_all",
    _Reason.DECODER_CRASHED: "it killed the decoder's process",
    _Reason.DECODER_HUNG: "the decoder did not finish in time",
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What became of the files of one class.

    Attributes:
      label: its index.
      name: of the class.
      found: number of files.
      originals: kept, in each split.
      copies: augmented copies in train.
      capped, duplicates, rejected: files that are in no shard.
    """

    label: int
    name: str
    found: int
    originals: tuple[int, ...]
    copies: int
    capped: int
    duplicates: int
    rejected: int

    @property
    def train(self) -> int:
        """Number of train records."""
        return self.originals[0] + self.copies

    @property
    def copies_each(self) -> float:
        """Copies for each train original."""
        return self.copies / self.originals[0] if self.originals[0] else 0.0


@dataclass(frozen=True, slots=True)
class FormatRow:
    """Files of one format and mode."""

    format: str
    mode: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Files rejected for one reason."""

    reason: str
    meaning: str
    files: int


@dataclass(frozen=True, slots=True)
class EqualSet:
    """Files with equal bytes.

    Attributes:
      keys: in key order.
      classes: of each.
      statuses: of each.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    statuses: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The key whose picture stands for all: one that is in a shard, if any."""
        kept = (k for k, s in zip(self.keys, self.statuses, strict=True) if s == ledger.KEPT)
        return next(kept, self.keys[0])

    @property
    def conflict(self) -> bool:
        """Whether the same picture is filed under different classes."""
        return len(set(self.classes)) > 1


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that stay in one split together.

    Attributes:
      keys: in key order.
      classes: of each.
      split: where they are.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    split: str

    @property
    def conflict(self) -> bool:
        """Whether like pictures are filed under different classes."""
        return len(set(self.classes)) > 1


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """All groups of two pictures or more.

    Attributes:
      groups: how many.
      pictures: how many pictures are in them.
      largest: pictures of the largest.
      across_classes: how many span classes.
      shown: those worth showing: across classes first, then the largest.
    """

    groups: int
    pictures: int
    largest: int
    across_classes: int
    shown: tuple[Group, ...]


def class_rows(found: Manifest, sources: pa.Table) -> list[ClassRow]:
    """Returns a row for each class, in label order."""
    counts = _status_counts(sources)
    train = next(split for split in found.splits if split.name == TRAIN)
    return [
        ClassRow(
            label=label,
            name=name,
            found=sum(counts[name].values()),
            originals=tuple(split.originals[label] for split in found.splits),
            copies=train.copies[label],
            capped=counts[name][ledger.CAPPED],
            duplicates=counts[name][ledger.DUPLICATE],
            rejected=counts[name][ledger.REJECTED] + counts[name][ledger.CHANGED],
        )
        for label, name in enumerate(found.classes)
    ]


def _status_counts(sources: pa.Table) -> dict[str | None, Counter[str]]:
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    grouped = sources.group_by(["class", "status"]).aggregate([("key", "count")])
    for row in grouped.to_pylist():
        counts[row["class"]][row["status"]] += row["key_count"]
    return counts


def format_rows(sources: pa.Table) -> list[FormatRow]:
    """Returns the formats and modes of the files whose header was read, most files first."""
    known = sources.filter(pc.field("format").is_valid())
    grouped = known.group_by(["format", "mode"]).aggregate([("key", "count"), ("bytes", "sum")])
    rows = [
        FormatRow(row["format"], row["mode"] or "?", row["key_count"], row["bytes_sum"] or 0)
        for row in grouped.to_pylist()
    ]
    return sorted(rows, key=lambda row: (-row.files, row.format, row.mode))


def rejects(sources: pa.Table) -> pa.Table:
    """Returns the rows of files that were not used because something is wrong with them."""
    return sources.filter(pc.field("status").isin([ledger.REJECTED, ledger.CHANGED]))


def reason_rows(rejected: pa.Table) -> list[ReasonRow]:
    """Returns the reasons of `rejects`, most files first."""
    counts = Counter(rejected["reason"].to_pylist())
    return [
        ReasonRow(reason or "unknown", _meaning(reason), count)
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    ]


def _meaning(reason: str | None) -> str:
    try:
        return _MEANINGS[RejectReason(reason)]
    except (KeyError, ValueError):
        # "changed" is a status as well as a reason.
        return "the file changed while the bake ran" if reason == ledger.CHANGED else ""


def equal_sets(sources: pa.Table) -> list[EqualSet]:
    """Returns the sets of files with equal bytes: conflicts first, then the largest."""
    counted = sources.filter(pc.field("sha256").is_valid() & pc.field("width").is_valid())
    totals = counted.group_by("sha256").aggregate([("key", "count")])
    repeated = totals.filter(pc.field("key_count") > 1)["sha256"]
    members: dict[str, list[dict[str, str]]] = defaultdict(list)
    columns = ["sha256", "key", "class", "status"]
    rows = counted.select(columns).filter(pc.is_in(counted["sha256"], repeated.combine_chunks()))
    for row in rows.to_pylist():
        members[row["sha256"]].append(row)
    sets = [
        EqualSet(
            tuple(row["key"] for row in rows_),
            tuple(row["class"] or "" for row in rows_),
            tuple(row["status"] for row in rows_),
        )
        for rows_ in members.values()
    ]
    return sorted(sets, key=lambda equal: (not equal.conflict, -len(equal.keys), equal.keys))


def groups(sources: pa.Table, limit: int) -> GroupSummary:
    """Returns a summary of the groups, with at most `limit` of them in full."""
    # A dropped duplicate has no split; it is shown among the equal files.
    grouped = sources.filter(pc.field("group").is_valid() & pc.field("split").is_valid())
    totals = grouped.group_by("group").aggregate([("key", "count"), ("class", "count_distinct")])
    several = totals.filter(pc.field("key_count") > 1)
    sizes = several["key_count"].to_numpy()
    across = several["class_count_distinct"].to_numpy() > 1
    # By number of pictures, those across classes first; equals by the group's number.
    order = np.lexsort((several["group"].to_numpy(), -sizes, ~across))[:limit]
    chosen = several["group"].to_numpy()[order]
    return GroupSummary(
        groups=len(sizes),
        pictures=int(sizes.sum()),
        largest=int(sizes.max(initial=0)),
        across_classes=int(across.sum()),
        shown=_members(grouped, chosen.tolist()),
    )


def _members(grouped: pa.Table, chosen: Sequence[int]) -> tuple[Group, ...]:
    rows = grouped.select(["group", "key", "class", "split"]).filter(
        pc.field("group").isin(pa.array(chosen, pa.int64()))
    )
    members: dict[int, list[dict[str, str]]] = {number: [] for number in chosen}
    for row in rows.to_pylist():
        members[row["group"]].append(row)
    return tuple(
        Group(
            tuple(row["key"] for row in rows_),
            tuple(row["class"] or "" for row in rows_),
            rows_[0]["split"],
        )
        for rows_ in members.values()
    )


def warnings_of(found: Manifest, rows: Sequence[ClassRow]) -> list[str]:
    """Returns what a reader must know before training, most important first."""
    result = []
    if empty := [row.name for row in rows if not row.originals[0]]:
        result.append(f"No picture to train on: {_names(empty)}.")
    for index, split in enumerate(found.splits):
        lacking = [row.name for row in rows if row.originals[0] and not row.originals[index]]
        if index and lacking:
            result.append(
                f"No {split.name} picture, so nothing will be known of how well they are "
                f"recognised: {_names(lacking)}."
            )
    if many := [row.name for row in rows if row.copies_each > MANY_COPIES]:
        result.append(
            f"More than {MANY_COPIES} copies of each original, which are no substitute for "
            f"pictures: {_names(many)}."
        )
    return result


def _names(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    if len(names) == 1:
        return shown
    more = " and others" if len(names) > limit else ""
    return f"{shown}{more} ({len(names)} classes)"
