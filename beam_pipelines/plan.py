"""From facts alone to the whole data set on paper: who is kept, where, as which record.

Pure functions on columns: no Beam, no pixels. Rows are in key order throughout, so "the
smallest row" of several is the one whose key sorts first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines import appearance, balance, duplicates, shards, split
from beam_pipelines.config import NearDuplicates, PrepareConfig, SplitBy
from beam_pipelines.copies import CopyJob
from beam_pipelines.thumbnails import LoadThumbnails
from tfrecords import fingerprints, ledger, manifest
from tfrecords.ledger import CAPPED, CHANGED, DUPLICATE, KEPT, REJECTED
from tfrecords.pixels import RejectReason
from tfrecords.schema import TRAIN, record_id
from tfrecords.sharding import shard_name, stable_hash


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records of one split, in the order of their shards.

    Attributes:
      row: int64[m], row of the source in `Plan.sources`.
      copy: int32[m], 0 for an original.
      rank: int64[m].
      shard, position: int32[m].
      num_shards: of the split.
    """

    row: np.ndarray
    copy: np.ndarray
    rank: np.ndarray
    shard: np.ndarray
    position: np.ndarray
    num_shards: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A data set on paper.

    Attributes:
      config: of the bake.
      facts: Arrow table, one row per source, in key order.
      sources: Arrow table of `ledger.SCHEMA`, the same rows.
      classes: names in label order.
      labels: int32[n], label of each row, -1 where it has none.
      records: split name → its records, train first.
      notes: what a person should know, one line each.
      failure: why no data set may be written, or None.
    """

    config: PrepareConfig
    facts: pa.Table
    sources: pa.Table
    classes: tuple[str, ...]
    labels: np.ndarray
    records: dict[str, Records]
    notes: tuple[str, ...] = ()
    failure: str | None = None

    def counts(self, split_name: str, *, copies: bool) -> tuple[int, ...]:
        """Returns the number of originals, or of copies, of each class in a split."""
        records = self.records[split_name]
        chosen = records.row[(records.copy > 0) == copies]
        return tuple(np.bincount(self.labels[chosen], minlength=len(self.classes)).tolist())

    def statuses(self) -> dict[str, int]:
        """Returns the number of sources of each status, in alphabetical order."""
        return dict(sorted(Counter(self.sources["status"].to_pylist()).items()))

    def sources_digest(self) -> str:
        """Returns the digest of what went in."""
        keys, sha256 = (self.sources[name].to_pylist() for name in ("key", "sha256"))
        return manifest.digest_of_sources(zip(keys, sha256, strict=True))

    def copy_jobs(self) -> list[CopyJob]:
        """Returns the copies to make, by source, in key order."""
        train = self.records[TRAIN]
        chosen = np.flatnonzero(train.copy > 0)
        line = chosen[np.lexsort((train.copy[chosen], train.row[chosen]))]
        rows, starts = np.unique(train.row[line], return_index=True)
        if not len(rows):
            return []
        keys = self.sources["key"].take(rows).to_pylist()
        sha256 = self.sources["sha256"].take(rows).to_pylist()
        numbers = np.split(train.copy[line], starts[1:])
        return [
            CopyJob(key, digest, tuple(copies.tolist()))
            for key, digest, copies in zip(keys, sha256, numbers, strict=True)
        ]


@dataclass(slots=True)
class _Columns:
    """The pictures among the sources, as arrays of one length; `row` leads back."""

    row: np.ndarray
    sha256: np.ndarray
    fingerprint: np.ndarray
    label: np.ndarray
    order: np.ndarray
    fixed: np.ndarray
    keys: list[str]

    def take(self, chosen: np.ndarray) -> _Columns:
        return _Columns(
            self.row[chosen],
            self.sha256[chosen],
            self.fingerprint[chosen],
            self.label[chosen],
            self.order[chosen],
            self.fixed[chosen],
            [self.keys[i] for i in chosen.tolist()],
        )


@dataclass(slots=True)
class _Ledger:
    """The columns of `sources.parquet` that the plan decides, one element per source."""

    status: np.ndarray
    reason: np.ndarray
    detail: np.ndarray
    group: np.ndarray
    split: np.ndarray
    rank: np.ndarray
    copies: np.ndarray
    shard: np.ndarray
    position: np.ndarray
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, facts: pa.Table) -> _Ledger:
        reason = np.array(facts["reason"].to_pylist(), object)
        status = np.full(len(reason), KEPT, object)
        status[reason != None] = REJECTED  # noqa: E711 — elementwise on an object array
        status[reason == CHANGED] = CHANGED
        nothing = np.full(len(reason), None, object)
        return cls(
            status,
            reason,
            np.array(facts["detail"].to_pylist(), object),
            *(nothing.copy() for _ in range(6)),
        )


def make_plan(
    facts: pa.Table, config: PrepareConfig, thumbnails: LoadThumbnails | None = None
) -> Plan:
    """Plans a data set.

    Args:
      facts: of `tables.FACTS`, in key order.
      config: of the bake.
      thumbnails: loads those of some rows; a split by appearance needs it.

    Raises:
      ValueError: a split by appearance without thumbnails.
    """
    ledger_columns = _Ledger.of(facts)
    classes, pictures = _pictures(facts, config)
    pictures = _without_exact_duplicates(pictures, ledger_columns, config)
    pictures, group = _grouped(pictures, ledger_columns, config)
    units = _units(pictures, group, config, thumbnails)
    split_index = _dealt(pictures, units, config)
    ledger_columns.notes.extend(_divided_note(group, split_index))
    rank = balance.ranks(pictures.label, pictures.order, split_index)
    train_counts = np.bincount(
        pictures.label[split_index == split.TRAIN_INDEX], minlength=len(classes)
    )
    targets = config.balance_policy().targets(train_counts)
    copies = balance.plan_copies(pictures.label, split_index, rank, targets)
    _note_places(pictures, group, split_index, rank, copies, ledger_columns, config)
    encoded_bytes = facts["encoded_bytes"].to_numpy(zero_copy_only=False)
    records = {
        name: _records(index, pictures, split_index, rank, copies, encoded_bytes, config)
        for index, name in enumerate(config.split_names)
    }
    for name, of_split in records.items():
        _note_shards(name, of_split, ledger_columns, config)
    labels = np.full(len(facts), -1, np.int32)
    labels[pictures.row] = pictures.label
    return Plan(
        config=config,
        facts=facts,
        sources=_sources_table(facts, ledger_columns),
        classes=classes,
        labels=labels,
        records=records,
        notes=tuple(ledger_columns.notes),
        failure=_failure(classes, ledger_columns, config),
    )


def _pictures(facts: pa.Table, config: PrepareConfig) -> tuple[tuple[str, ...], _Columns]:
    """Returns the classes that have a picture, sorted by name, and the pictures."""
    row = np.flatnonzero(facts["reason"].is_null().to_numpy())
    columns = ["key", "class_name", "sha256", "fingerprint", "split"]
    chosen = facts.select(columns).take(row).combine_chunks()
    classes, label = _numbered(chosen["class_name"])
    keys = chosen["key"].to_pylist()
    splits = {name: index for index, name in enumerate(config.split_names)}
    return classes, _Columns(
        row=row,
        sha256=np.array(chosen["sha256"].to_pylist(), "S32"),
        fingerprint=fingerprints.words(chosen["fingerprint"].to_pylist()),
        label=label,
        order=np.fromiter(
            (stable_hash("order", config.seed, key) for key in keys), np.uint64, len(keys)
        ),
        fixed=np.array([splits.get(name, -1) for name in chosen["split"].to_pylist()], np.int8),
        keys=keys,
    )


def _numbered(names: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the different names in order and int32[n], the place of each row's among them."""
    values = names.cast(pa.string()).combine_chunks().dictionary_encode()
    found = values.dictionary.to_pylist()
    classes = tuple(sorted(found))
    number = {name: index for index, name in enumerate(classes)}
    places = np.array([number[name] for name in found], np.int32)
    return classes, places[values.indices.to_numpy()]


def _without_exact_duplicates(
    pictures: _Columns, columns: _Ledger, config: PrepareConfig
) -> _Columns:
    policy = duplicates.ConflictPolicy(config.label_conflicts)
    found = duplicates.exact(pictures.sha256, pictures.label, policy)
    every = np.arange(len(pictures.row))
    for place in np.flatnonzero(found.keeper != every).tolist():
        row, keeper = pictures.row[place], int(found.keeper[place])
        if keeper < 0:
            columns.status[row] = REJECTED
            columns.reason[row] = RejectReason.LABEL_CONFLICT.value
            columns.detail[row] = "an equal file has another class"
        else:
            conflict = pictures.label[place] != pictures.label[keeper]
            columns.status[row] = DUPLICATE
            columns.reason[row] = pictures.keys[keeper]
            columns.detail[row] = "equal file under another class" if conflict else "equal file"
    conflicts = int(found.conflict.sum())
    if conflicts:
        columns.notes.append(
            f"{conflicts} files are equal to a file of another class "
            f"(label_conflicts={policy.value}); see detail in {manifest.SOURCES}"
        )
    return pictures.take(np.flatnonzero(found.keeper == every))


def _grouped(
    pictures: _Columns, columns: _Ledger, config: PrepareConfig
) -> tuple[_Columns, np.ndarray]:
    """Returns the pictures to deal and, for each, the smallest member of its group."""
    every = np.arange(len(pictures.row))
    groupings = [every]
    if config.near_duplicates is not NearDuplicates.OFF:
        near = duplicates.near_groups(pictures.fingerprint, pictures.label, _near_distance(config))
        if config.near_duplicates is NearDuplicates.DROP:
            pictures = _without_near_duplicates(pictures, near.group, columns)
            groupings = [np.arange(len(pictures.row))]
        else:
            groupings.append(near.group)
        columns.notes.extend(_tightened_note(near, pictures))
    if config.group_by is not None:
        groupings.append(_groups_of_names(pictures.keys, config.group_by))
    return pictures, duplicates.merge(*groupings)


def _near_distance(config: PrepareConfig) -> int:
    """A false link costs a group nothing, but it would cost a dropped picture its place."""
    if config.near_distance is not None:
        return config.near_distance
    drop = config.near_duplicates is NearDuplicates.DROP
    return duplicates.DROP_DISTANCE if drop else duplicates.MAX_DISTANCE


def _tightened_note(near: duplicates.NearGroups, pictures: _Columns) -> Iterator[str]:
    if near.tightened:
        yield (
            f"near duplicates chained over a fifth of {len(near.tightened)} classes: "
            "the distance was tightened there"
        )


def _without_near_duplicates(pictures: _Columns, group: np.ndarray, columns: _Ledger) -> _Columns:
    every = np.arange(len(group))
    for place in np.flatnonzero(group != every).tolist():
        row = pictures.row[place]
        columns.status[row] = DUPLICATE
        columns.reason[row] = pictures.keys[int(group[place])]
        columns.detail[row] = "near duplicate"
    return pictures.take(np.flatnonzero(group == every))


def _groups_of_names(keys: Sequence[str], pattern: str) -> np.ndarray:
    """Groups keys by the first capture of `pattern`, or by the whole match."""
    compiled = re.compile(pattern)
    first: dict[str, int] = {}
    group = np.arange(len(keys))
    for index, key in enumerate(keys):
        match = compiled.search(key)
        if match is not None:
            name = match.group(1) if compiled.groups and match.group(1) else match.group(0)
            group[index] = first.setdefault(name, index)
    return group


def _units(
    pictures: _Columns,
    group: np.ndarray,
    config: PrepareConfig,
    thumbnails: LoadThumbnails | None,
) -> np.ndarray:
    """Returns what is dealt to a split as one, the smallest member of each picture's unit."""
    if config.split_by is SplitBy.RANDOM:
        return group
    if thumbnails is None:
        raise ValueError("a split by appearance needs thumbnails")
    clusters = appearance.cluster(lambda chosen: thumbnails(pictures.row[chosen]), pictures.label)
    return appearance.keep_whole(clusters, group)


def _dealt(pictures: _Columns, units: np.ndarray, config: PrepareConfig) -> np.ndarray:
    """Returns the split index of each picture.

    Where the input fixes some splits and leaves others out, a test folder without a
    validation folder, say, those left out are dealt from the given train split.
    """
    fractions = np.array([fraction for _, fraction in config.splits])
    given = np.isin(np.arange(len(fractions)), pictures.fixed)
    open_splits = np.flatnonzero(~given | (np.arange(len(fractions)) == split.TRAIN_INDEX))
    if not given.any() or len(open_splits) == 1:
        result = split.assign(
            units, pictures.label, pictures.order, fractions.tolist(), pictures.fixed
        )
    else:
        result = pictures.fixed.copy()
        free = np.flatnonzero(np.isin(pictures.fixed, (-1, split.TRAIN_INDEX)))
        _, first, member = np.unique(units[free], return_index=True, return_inverse=True)
        shares = fractions[open_splits] / fractions[open_splits].sum()
        dealt = split.assign(
            first[member], pictures.label[free], pictures.order[free], shares.tolist()
        )
        result[free] = open_splits[dealt]
    return result


def _divided_note(group: np.ndarray, split_index: np.ndarray) -> Iterator[str]:
    divided = len(split.divided_groups(group, split_index))
    if divided:
        yield f"the given split divides {divided} groups of near duplicates: its evaluation leaks"


def _note_places(
    pictures: _Columns,
    group: np.ndarray,
    split_index: np.ndarray,
    rank: np.ndarray,
    copies: balance.CopyPlan,
    columns: _Ledger,
    config: PrepareConfig,
) -> None:
    row = pictures.row
    columns.group[row] = row[group]
    columns.split[row] = np.array(config.split_names, object)[split_index]
    columns.rank[row] = rank
    columns.copies[row] = np.bincount(copies.row, minlength=len(row))
    columns.status[row[copies.capped]] = CAPPED


def _records(
    index: int,
    pictures: _Columns,
    split_index: np.ndarray,
    rank: np.ndarray,
    copies: balance.CopyPlan,
    encoded_bytes: np.ndarray,
    config: PrepareConfig,
) -> Records:
    originals = np.flatnonzero((split_index == index) & ~copies.capped)
    place, copy, ranks = originals, np.zeros(len(originals), np.int32), rank[originals]
    if index == split.TRAIN_INDEX:
        place = np.concatenate((place, copies.row))
        copy = np.concatenate((copy, copies.copy))
        ranks = np.concatenate((ranks, copies.rank))
    ids = (
        record_id(pictures.keys[i], k) for i, k in zip(place.tolist(), copy.tolist(), strict=True)
    )
    position_hash = np.fromiter(
        (stable_hash("position", id_) for id_ in ids), np.uint64, count=len(place)
    )
    row = pictures.row[place]
    num_shards = shards.count_shards(int(encoded_bytes[row].sum()), len(row))
    if config.num_shards is not None and index == split.TRAIN_INDEX:
        num_shards = max(1, min(config.num_shards, len(row)))
    shard, position = shards.deal(position_hash, num_shards)
    line = np.lexsort((position, shard))
    return Records(row[line], copy[line], ranks[line], shard[line], position[line], num_shards)


def _note_shards(name: str, records: Records, columns: _Ledger, config: PrepareConfig) -> None:
    names = np.array(
        [shard_name(config.name, name, i, records.num_shards) for i in range(records.num_shards)],
        object,
    )
    original = records.copy == 0
    row = records.row[original]
    columns.shard[row] = names[records.shard[original]]
    columns.position[row] = records.position[original]


def _sources_table(facts: pa.Table, columns: _Ledger) -> pa.Table:
    decided = {
        "class": facts["class_name"],
        "sha256": [_hex(digest) for digest in facts["sha256"].to_pylist()],
        "status": columns.status,
        "reason": columns.reason,
        "detail": columns.detail,
        "group": columns.group,
        "split": columns.split,
        "rank": columns.rank,
        "copies": columns.copies,
        "shard": columns.shard,
        "position": columns.position,
    }
    arrays = []
    for wanted in ledger.SCHEMA:
        values = decided.get(wanted.name)
        if values is None:
            values = facts[wanted.name]
        arrays.append(_array(values, wanted.type))
    table = pa.Table.from_arrays(arrays, schema=ledger.SCHEMA).combine_chunks()
    # A size of -1 stands for a file that could not even be listed.
    listed = pc.if_else(pc.less(table["bytes"], 0), None, table["bytes"])
    return table.set_column(
        ledger.SCHEMA.get_field_index("bytes"), ledger.SCHEMA.field("bytes"), listed
    )


def _array(values: pa.ChunkedArray | np.ndarray | list, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.cast(kind).combine_chunks()
    return pa.array(values.tolist() if isinstance(values, np.ndarray) else values, kind)


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


def _failure(classes: Sequence[str], columns: _Ledger, config: PrepareConfig) -> str | None:
    # A hidden file beside each picture, as macOS adds them, is no fault of the data.
    counted = columns.reason != RejectReason.HIDDEN.value
    total = int(counted.sum())
    rejected = (columns.status == REJECTED) & counted
    if not classes:
        return f"none of {total} files is a picture that can be used"
    if rejected.sum() <= config.max_reject_fraction * total:
        return None
    reasons = Counter(columns.reason[rejected].tolist()).most_common()
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons)
    return (
        f"{rejected.sum()} of {total} files were rejected ({listed}), more than "
        f"--max_reject_fraction={config.max_reject_fraction:g}; raise it if that is expected"
    )
