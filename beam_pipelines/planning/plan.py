"""From facts alone to the whole data set on paper: who is kept, where, as which record.

Pure functions on columns: no Beam, no pixels. Rows are in key order throughout, so "the
smallest row" of several is the one whose key sorts first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.config import (
    DROP_DISTANCE,
    MAX_DISTANCE,
    NearDuplicates,
    PrepareConfig,
    SplitBy,
)
from beam_pipelines.planning import balance, sharding, split
from beam_pipelines.planning.decisions import Ruling, Verdicts, Wording, hexadecimal, rejections
from beam_pipelines.similarity import appearance, duplicates, partitioned
from beam_pipelines.similarity.partitioned import Joined
from beam_pipelines.steps.copies import CopyJob
from tfrecords import manifest
from tfrecords.images import fingerprints
from tfrecords.schema import TRAIN, record_id
from tfrecords.sharding import shard_name, stable_hashes

# Keys that are Python strings at a time: 130 bytes each.
_KEYS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records of one split, in the order of their shards.

    Attributes:
      row: int32[m], row of the source in the facts.
      copy: int32[m], 0 for an original.
      rank: int32[m].
      shard, position: int32[m].
      num_shards: of the split.
    """

    row: np.ndarray
    copy: np.ndarray
    rank: np.ndarray
    shard: np.ndarray
    position: np.ndarray
    num_shards: int

    def of_shard(self, shard: int) -> slice:
        """Returns where the records of a shard are."""
        # Of the column's own type, or each search would first convert the whole column.
        ends = np.array([shard, shard + 1], self.shard.dtype)
        return slice(*np.searchsorted(self.shard, ends).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A data set on paper.

    Attributes:
      config: of the bake.
      facts: of `tables.FACTS`, one row per source, in key order.
      verdicts: what was decided about the same rows.
      classes: names in label order.
      labels: int32[n], label of each row, -1 where it has none.
      records: split name → its records, train first.
      notes: what a person should know, one line each.
      failure: why no data set may be written, or None.
    """

    config: PrepareConfig
    facts: pa.Table
    verdicts: Verdicts
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
        return self.verdicts.counts()

    def ledger(self, rows: int) -> Iterator[pa.Table]:
        """Yields `sources.parquet`, `rows` rows at a time, as tables of `ledger.SCHEMA`."""
        name = self.config.name
        wording = Wording(
            self.facts,
            self.verdicts,
            self.config.split_names,
            tuple(
                [shard_name(name, of, i, records.num_shards) for i in range(records.num_shards)]
                for of, records in self.records.items()
            ),
        )
        for start in range(0, len(self.facts), rows):
            yield wording.rows(start, min(start + rows, len(self.facts)))

    @property
    def sources(self) -> pa.Table:
        """The whole ledger, some 250 bytes a row."""
        return pa.concat_tables(self.ledger(max(1, len(self.facts))))

    def sources_digest(self) -> str:
        """Returns the digest of what went in."""
        return manifest.digest_of_sources(self._keys_and_digests())

    def _keys_and_digests(self) -> Iterator[tuple[str, str | None]]:
        for start in range(0, len(self.facts), _KEYS_AT_ONCE):
            some = self.facts.select(["key", "sha256"]).slice(start, _KEYS_AT_ONCE)
            sha256 = hexadecimal(some["sha256"].combine_chunks()).to_pylist()
            yield from zip(some["key"].to_pylist(), sha256, strict=True)

    def hashes(self, parts: Sequence[str | int], row: np.ndarray) -> np.ndarray:
        """Returns uint64[k], `stable_hash` of `parts` and the key of each row."""
        return _hashes(parts, self.facts, row)

    def copy_jobs(self) -> Iterator[CopyJob]:
        """Yields the copies to make, by source, in key order."""
        train = self.records[TRAIN]
        chosen = np.flatnonzero(train.copy > 0)
        line = chosen[np.lexsort((train.copy[chosen], train.row[chosen]))]
        yield from self.jobs_of(train.row[line], train.copy[line])

    def jobs_of(self, row: np.ndarray, copy: np.ndarray) -> Iterator[CopyJob]:
        """Yields jobs for copies that are sorted by their row."""
        rows, starts = np.unique(row, return_index=True)
        if not len(rows):
            return
        some = self.facts.select(["key", "sha256"]).take(pa.array(rows)).combine_chunks()
        sha256 = hexadecimal(some["sha256"].combine_chunks()).to_pylist()
        numbers = np.split(copy, starts[1:])
        for key, digest, copies in zip(some["key"].to_pylist(), sha256, numbers, strict=True):
            yield CopyJob(key, digest, tuple(copies.tolist()))


@dataclass(slots=True)
class _Pictures:
    """The pictures among the sources, as arrays of one length; `row` leads back."""

    row: np.ndarray
    label: np.ndarray
    order: np.ndarray
    fixed: np.ndarray

    def take(self, chosen: np.ndarray) -> _Pictures:
        columns = (self.row, self.label, self.order, self.fixed)
        return _Pictures(*(column[chosen] for column in columns))


@dataclass(slots=True)
class _Desk:
    """What planning works with."""

    facts: pa.Table
    config: PrepareConfig
    verdicts: Verdicts
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> pa.Array:
        return self.facts[name].combine_chunks()


def make_plan(
    facts: pa.Table,
    config: PrepareConfig,
    thumbnails: LoadThumbnails | None = None,
    joined: Joined | None = None,
) -> Plan:
    """Plans a data set.

    Args:
      facts: of `tables.FACTS`, in key order; with `joined` they need no fingerprint.
      config: of the bake.
      thumbnails: loads those of some rows; a split by appearance needs it.
      joined: near duplicates, where they have been found already.

    Raises:
      ValueError: a split by appearance without thumbnails.
    """
    desk = _Desk(facts, config, Verdicts.of(facts["reason"].combine_chunks()))
    classes, pictures = _pictures(desk)
    labels = np.full(len(facts), -1, np.int32)
    labels[pictures.row] = pictures.label
    pictures = _without_exact_duplicates(pictures, desk)
    pictures, group = _grouped(pictures, desk, joined)
    units = _units(pictures, group, config, thumbnails)
    split_index = _dealt(pictures, units, config)
    desk.notes.extend(_divided_note(group, split_index))
    rank = balance.ranks(pictures.label, pictures.order, split_index)
    train_counts = np.bincount(
        pictures.label[split_index == split.TRAIN_INDEX], minlength=len(classes)
    )
    targets = config.balance_policy().targets(train_counts)
    copies = balance.plan_copies(pictures.label, split_index, rank, targets)
    _note_places(pictures, group, split_index, rank, copies, desk.verdicts)
    records = {
        name: _records(index, pictures.row, split_index, rank, copies, desk)
        for index, name in enumerate(config.split_names)
    }
    for of_split in records.values():
        _note_shards(of_split, desk.verdicts)
    return Plan(
        config=config,
        facts=facts,
        verdicts=desk.verdicts,
        classes=classes,
        labels=labels,
        records=records,
        notes=tuple(desk.notes),
        failure=_failure(classes, desk),
    )


def _pictures(desk: _Desk) -> tuple[tuple[str, ...], _Pictures]:
    """Returns the classes that have a picture, sorted by name, and the pictures."""
    row = np.flatnonzero(desk.facts["reason"].is_null().to_numpy())
    classes, label = _numbered(desk.column("class_name").take(pa.array(row)))
    return classes, _Pictures(
        row=row.astype(np.int32),
        label=label,
        order=_hashes(("order", desk.config.seed), desk.facts, row),
        fixed=_places(desk.column("split"), desk.config.split_names)[row],
    )


def _numbered(names: pa.DictionaryArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the different names in order and int32[n], the place of each row's among them."""
    indices = names.indices.to_numpy()
    used = np.flatnonzero(np.bincount(indices, minlength=len(names.dictionary)))
    found = names.dictionary.take(pa.array(used)).to_pylist()
    classes = tuple(sorted(set(found)))
    number = {name: index for index, name in enumerate(classes)}
    places = np.zeros(len(names.dictionary), np.int32)
    places[used] = [number[name] for name in found]
    return classes, places[indices]


def _places(names: pa.DictionaryArray, order: Sequence[str]) -> np.ndarray:
    """Returns int8[n], where each name is in `order`, -1 for null and for any other."""
    known = {name: index for index, name in enumerate(order)}
    # The last place is that of null, whose index is -1.
    places = [*(known.get(name, -1) for name in names.dictionary.to_pylist()), -1]
    return np.array(places, np.int8)[names.indices.fill_null(-1).to_numpy()]


def _hashes(parts: Sequence[str | int], facts: pa.Table, row: np.ndarray) -> np.ndarray:
    """Returns uint64[n], `stable_hash` of the keys of some rows."""
    return _hashes_of_ids(parts, facts, row, np.zeros(0, np.int32))


def _hashes_of_ids(
    parts: Sequence[str | int], facts: pa.Table, row: np.ndarray, copy: np.ndarray
) -> np.ndarray:
    """Returns uint64[n], `stable_hash` of record ids; of a row beyond `copy` the key is the id."""
    result = np.empty(len(row), np.uint64)
    for start in range(0, len(row), _KEYS_AT_ONCE):
        some = slice(start, start + _KEYS_AT_ONCE)
        ids: Iterable[str] = facts["key"].take(pa.array(row[some])).to_pylist()
        if len(copy):
            ids = map(record_id, ids, copy[some].tolist())
        result[some] = stable_hashes(parts, ids)
    return result


def _without_exact_duplicates(pictures: _Pictures, desk: _Desk) -> _Pictures:
    policy = desk.config.label_conflicts
    digests = facts_table.binary(desk.column("sha256"))[pictures.row]
    found = duplicates.exact(digests, pictures.label, policy)
    is_kept = found.keeper == np.arange(len(pictures.row))
    refused = np.flatnonzero(found.keeper < 0)
    desk.verdicts.put_aside(pictures.row[refused], Ruling.LABEL_CONFLICT, -1)
    equal = np.flatnonzero(~is_kept & (found.keeper >= 0))
    keeper = found.keeper[equal]
    elsewhere = pictures.label[equal] != pictures.label[keeper]
    for ruling, chosen in ((Ruling.EQUAL, ~elsewhere), (Ruling.EQUAL_ELSEWHERE, elsewhere)):
        rows, keepers = pictures.row[equal[chosen]], pictures.row[keeper[chosen]]
        desk.verdicts.put_aside(rows, ruling, keepers)
    conflicts = int(found.conflict.sum())
    if conflicts:
        desk.notes.append(
            f"{conflicts} files are equal to a file of another class "
            f"(label_conflicts={policy.value}); see detail in {manifest.SOURCES}"
        )
    return pictures.take(np.flatnonzero(is_kept))


def _grouped(
    pictures: _Pictures, desk: _Desk, joined: Joined | None
) -> tuple[_Pictures, np.ndarray]:
    """Returns the pictures to deal and, for each, the smallest member of its group."""
    config = desk.config
    groupings = []
    if config.near_duplicates is not NearDuplicates.OFF:
        near = _near_groups(pictures, desk, joined)
        if config.near_duplicates is NearDuplicates.DROP:
            pictures = _without_near_duplicates(pictures, near.group, desk.verdicts)
        else:
            groupings.append(near.group)
        desk.notes.extend(_tightened_note(near))
    if config.group_by is not None:
        groupings.append(_groups_of_names(desk.facts, pictures.row, config.group_by))
    # One grouping alone is already by the smallest member.
    if len(groupings) == 1:
        return pictures, groupings[0]
    return pictures, duplicates.merge(*groupings, np.full(len(pictures.row), -1))


def _near_groups(pictures: _Pictures, desk: _Desk, joined: Joined | None) -> duplicates.NearGroups:
    max_distance = near_distance(desk.config)
    if joined is None:
        words = fingerprints.columns(facts_table.binary(desk.column("fingerprint"))[pictures.row])
        return duplicates.near_groups(words, pictures.label, max_distance)
    rows = pa.array(pictures.row)
    ids = partitioned.picture_ids(
        desk.column("pack").take(rows), desk.column("index").take(rows).to_numpy()
    )
    return joined.near_groups(ids, pictures.label, max_distance)


def near_distance(config: PrepareConfig) -> int:
    """Returns the bits that near duplicates may differ in.

    A false link costs a group nothing, but it would cost a dropped picture its place.
    """
    if config.near_distance is not None:
        return config.near_distance
    drop = config.near_duplicates is NearDuplicates.DROP
    return DROP_DISTANCE if drop else MAX_DISTANCE


def _tightened_note(near: duplicates.NearGroups) -> Iterator[str]:
    if near.tightened:
        yield (
            f"near duplicates chained over a fifth of {len(near.tightened)} classes: "
            "the distance was tightened there"
        )


def _without_near_duplicates(
    pictures: _Pictures, group: np.ndarray, verdicts: Verdicts
) -> _Pictures:
    is_kept = group == np.arange(len(group))
    dropped = np.flatnonzero(~is_kept)
    verdicts.put_aside(pictures.row[dropped], Ruling.NEAR, pictures.row[group[dropped]])
    return pictures.take(np.flatnonzero(is_kept))


def _groups_of_names(facts: pa.Table, row: np.ndarray, pattern: str) -> np.ndarray:
    """Groups keys by the first capture of `pattern`, or by the whole match."""
    compiled = re.compile(pattern)
    first: dict[str, int] = {}
    group = np.arange(len(row))
    for start in range(0, len(row), _KEYS_AT_ONCE):
        keys = facts["key"].take(pa.array(row[start : start + _KEYS_AT_ONCE])).to_pylist()
        for index, key in enumerate(keys, start):
            match = compiled.search(key)
            if match is not None:
                name = match.group(1) if compiled.groups and match.group(1) else match.group(0)
                group[index] = first.setdefault(name, index)
    return group


def _units(
    pictures: _Pictures,
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


def _dealt(pictures: _Pictures, units: np.ndarray, config: PrepareConfig) -> np.ndarray:
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
    pictures: _Pictures,
    group: np.ndarray,
    split_index: np.ndarray,
    rank: np.ndarray,
    copies: balance.CopyPlan,
    verdicts: Verdicts,
) -> None:
    row = pictures.row
    verdicts.group[row] = row[group]
    verdicts.split[row] = split_index
    verdicts.rank[row] = rank
    verdicts.copies[row] = np.bincount(copies.row, minlength=len(row))
    verdicts.cap(row[copies.capped])


def _records(
    index: int,
    rows: np.ndarray,
    split_index: np.ndarray,
    rank: np.ndarray,
    copies: balance.CopyPlan,
    desk: _Desk,
) -> Records:
    originals = np.flatnonzero((split_index == index) & ~copies.capped)
    row, ranks = rows[originals], rank[originals].astype(np.int32)
    copy = np.zeros(len(originals), np.int32)
    position_hash = _hashes(("position",), desk.facts, row)
    if index == split.TRAIN_INDEX:
        of_copies = rows[copies.row]
        hash_of_copies = _hashes_of_ids(("position",), desk.facts, of_copies, copies.copy)
        position_hash = np.concatenate((position_hash, hash_of_copies))
        row = np.concatenate((row, of_copies))
        copy = np.concatenate((copy, copies.copy))
        ranks = np.concatenate((ranks, copies.rank.astype(np.int32)))
    total_bytes = pc.sum(desk.facts["encoded_bytes"].take(pa.array(row))).as_py() or 0
    num_shards = sharding.count_shards(total_bytes, len(row))
    if desk.config.num_shards is not None and index == split.TRAIN_INDEX:
        num_shards = max(1, min(desk.config.num_shards, len(row)))
    line, shard, position = sharding.deal(position_hash, num_shards)
    return Records(row[line], copy[line], ranks[line], shard, position, num_shards)


def _note_shards(records: Records, verdicts: Verdicts) -> None:
    original = records.copy == 0
    row = records.row[original]
    verdicts.shard[row] = records.shard[original]
    verdicts.position[row] = records.position[original]


def _failure(classes: Sequence[str], desk: _Desk) -> str | None:
    rejected, total = rejections(desk.verdicts, desk.column("reason"))
    if not classes:
        return f"none of {total} files is a picture that can be used"
    allowed = desk.config.max_reject_fraction
    if rejected.total() <= allowed * total:
        return None
    listed = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
    return (
        f"{rejected.total()} of {total} files were rejected ({listed}), more than "
        f"--max_reject_fraction={allowed:g}; raise it if that is expected"
    )
