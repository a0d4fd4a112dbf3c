"""Plans the whole data set from facts alone: which sources are kept, and as which records.

Pure functions on columns: no Beam, no pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import folds, kin, stages
from beam_pipelines.planning.classes import missing_notes
from beam_pipelines.planning.decisions import (
    Decisions,
    LedgerBuilder,
    decide,
    rejections,
)
from beam_pipelines.planning.folds import Folds
from beam_pipelines.planning.notes import absent_classes, lost_splits, notes_of, remarks
from beam_pipelines.planning.records import Records, records_of_folds, records_of_split
from beam_pipelines.planning.shortfall import Shortfall, find_shortfall
from beam_pipelines.planning.stages import Balanced, Grouping, Pictures
from beam_pipelines.similarity.partitioned import JoinedDuplicates
from beam_pipelines.tasks import CopyJob
from tfrecords import manifest
from tfrecords.manifest import FoldInfo
from tfrecords.schema import TRAIN, TRAIN_INDEX
from tfrecords.sharding import shard_name


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A data set on paper.

    Attributes:
      config: of the bake, with what `--split_by=auto` decided.
      facts: of `facts_table.FACTS`, one row per source, in key order.
      decisions: about the same rows.
      classes: names in label order.
      labels: int32[n], label of each row, -1 where it has none.
      records: split name → its records, train first.
      notes: what a person should know, one line each.
      failure: why no data set may be written, or None.
      folds: of the train split, for the manifest; empty where it has none.
      fold: int8[n], fold of each row, -1 where it is in none; None where there are none.
    """

    config: PrepareConfig
    facts: pa.Table
    decisions: Decisions
    classes: tuple[str, ...]
    labels: np.ndarray
    records: dict[str, Records]
    notes: tuple[str, ...] = ()
    failure: str | None = None
    folds: tuple[FoldInfo, ...] = ()
    fold: np.ndarray | None = None

    def counts(self, split_name: str, *, copies: bool) -> tuple[int, ...]:
        """Returns the number of originals, or of copies, of each class in a split."""
        records = self.records[split_name]
        rows = records.row[(records.copy > 0) == copies]
        return tuple(np.bincount(self.labels[rows], minlength=len(self.classes)).tolist())

    def statuses(self) -> dict[str, int]:
        """Returns the number of sources of each status, in alphabetical order."""
        return self.decisions.counts()

    def ledger(self, rows: int) -> Iterator[pa.Table]:
        """Yields `sources.parquet`, `rows` rows at a time, as tables of `ledger.SCHEMA`."""
        name = self.config.name
        builder = LedgerBuilder(
            self.facts,
            self.decisions,
            self.config.split_names,
            tuple(
                [shard_name(name, of, i, records.num_shards) for i in range(records.num_shards)]
                for of, records in self.records.items()
            ),
        )
        for start in range(0, len(self.facts), rows):
            yield builder.rows(start, min(start + rows, len(self.facts)))

    @property
    def sources(self) -> pa.Table:
        """The whole ledger, some 250 bytes a row."""
        return pa.concat_tables(self.ledger(max(1, len(self.facts))))

    def sources_digest(self) -> str:
        """Returns the digest of the sources."""
        return manifest.digest_of_sources(facts_table.keys_and_digests(self.facts))

    def copy_jobs(self) -> Iterator[CopyJob]:
        """Yields the copies to make, by source, in key order."""
        train = self.records[TRAIN]
        copies = np.flatnonzero(train.copy > 0)
        order = copies[np.lexsort((train.copy[copies], train.row[copies]))]
        yield from self.jobs_of(train.row[order], train.copy[order])

    def jobs_of(self, row: np.ndarray, copy: np.ndarray) -> Iterator[CopyJob]:
        """Yields the jobs of some copies, which are sorted by their row."""
        rows, starts = np.unique(row, return_index=True)
        if not len(rows):
            return
        sources = self.facts.select(["key", "sha256"]).take(pa.array(rows)).combine_chunks()
        keys = sources["key"].to_pylist()
        digests = facts_table.hexadecimal(facts_table.column(sources, "sha256")).to_pylist()
        numbers = np.split(copy, starts[1:])
        for key, digest, copies in zip(keys, digests, numbers, strict=True):
            yield CopyJob(key, digest, tuple(copies.tolist()))


def make_plan(
    facts: pa.Table,
    config: PrepareConfig,
    thumbnails: LoadThumbnails | None = None,
    joined: JoinedDuplicates | None = None,
    expect: kin.ExpectShare | None = None,
) -> Plan:
    """Plans a data set in four stages: deduplicate, group, assign splits, balance.

    Args:
      facts: of `facts_table.FACTS`, in key order; with `joined` they need no fingerprint.
      config: of the bake.
      thumbnails: loads those of some rows; a split by appearance needs it, and without it
        `--split_by=auto` deals at random.
      joined: near duplicates, if workers have found them already.
      expect: as for `kin.decide`.

    Raises:
      ValueError: a split by appearance without thumbnails.
    """
    classes, pictures = Pictures.of(facts, config)
    labels = np.full(len(facts), -1, np.int32)
    labels[pictures.row] = pictures.label

    deduplicated = stages.deduplicate(pictures, facts, config, joined)
    pictures = deduplicated.pictures
    grouping = stages.group_pictures(deduplicated, facts, config, joined)
    decided = kin.decide(pictures, grouping.group, facts, config, thumbnails, expect)
    # The manifest says what was decided: the same flags then bake the same data set.
    config = decided.config(config)
    if decided.names is not None:
        grouping = stages.group_pictures(deduplicated, facts, config, joined)
    following = stages.follow_given(pictures, grouping, config)
    if decided.split_by is SplitBy.APPEARANCE:
        unit = stages.cluster_groups(following, grouping.group, thumbnails, config)
        grouping = dataclasses.replace(grouping, unit=unit)
    split_index = stages.assign_splits(following, grouping.unit, config)
    balanced, folded = _balance(pictures, facts, grouping, split_index, len(classes), config)
    records, fold_shards = _records(facts, pictures, split_index, folded, balanced, config)
    keys = facts["key"]
    short = find_shortfall(pictures, grouping, split_index, keys, classes, config)
    reason = facts_table.column(facts, "reason")
    decisions = decide(reason, deduplicated, grouping, split_index, balanced, records.values())
    return Plan(
        config=config,
        facts=facts,
        decisions=decisions,
        classes=classes,
        labels=labels,
        records=records,
        notes=(
            *missing_notes(classes, pictures.label, split_index, config.split_names, facts),
            *remarks(facts, pictures.row),
            *lost_splits(facts, pictures.row, config),
            *([note] if (note := decided.note()) else ()),
            *absent_classes(pictures, split_index, classes, config),
            *notes_of(deduplicated, grouping, split_index, short, keys, classes, config),
            *_fold_notes(folded, pictures, grouping, split_index, classes),
        ),
        failure=_failure(classes, decisions, reason, short, folded, config),
        folds=() if folded is None else _fold_infos(folded, fold_shards),
        fold=None if folded is None else _of_rows(folded.fold, pictures.row, len(facts)),
    )


def _records(
    facts: pa.Table,
    pictures: Pictures,
    split_index: np.ndarray,
    folded: Folds | None,
    balanced: Balanced,
    config: PrepareConfig,
) -> tuple[dict[str, Records], tuple[int, ...]]:
    """Returns the records of each split, train first, and the shards of each fold of train."""
    others = {
        name: records_of_split(index, facts, pictures, split_index, balanced)
        for index, name in enumerate(config.split_names)
        if index != TRAIN_INDEX
    }
    if folded is None:
        train = records_of_split(
            TRAIN_INDEX, facts, pictures, split_index, balanced, config.num_shards
        )
        return {TRAIN: train, **others}, ()
    train, shards = records_of_folds(
        facts, pictures, split_index, folded, balanced, config.num_shards
    )
    return {TRAIN: train, **others}, shards


def _balance(
    pictures: Pictures,
    facts: pa.Table,
    grouping: Grouping,
    split_index: np.ndarray,
    classes: int,
    config: PrepareConfig,
) -> tuple[Balanced, Folds | None]:
    """Returns ranks and copies of the train split, and its folds if there are any."""
    policy = config.balance_policy()
    if config.folds is None:
        return stages.balance_train(pictures, split_index, classes, policy), None
    train = np.flatnonzero(split_index == TRAIN_INDEX)
    order = stages.fold_order(pictures, facts, config)[train]
    # A unit that a given split divides has a part in train, whose smallest picture names it here.
    _, first, member = np.unique(grouping.unit[train], return_index=True, return_inverse=True)
    fold = np.full(len(pictures.row), folds.EVERY_TRAIN, np.int8)
    fold[train] = folds.deal(first[member], pictures.label[train], order, config.folds)
    return folds.balance_folds(pictures, split_index, fold, config.folds, classes, policy)


def _fold_notes(
    folded: Folds | None,
    pictures: Pictures,
    grouping: Grouping,
    split_index: np.ndarray,
    classes: Sequence[str],
) -> Iterator[str]:
    if folded is not None:
        is_train = split_index == TRAIN_INDEX
        yield from folds.notes(folded, grouping.unit, pictures.label, is_train, classes)


def _fold_infos(folded: Folds, shards: Sequence[int]) -> tuple[FoldInfo, ...]:
    counts = (folded.originals, folded.train_originals, folded.train_copies)
    return tuple(
        FoldInfo(shards[number], *(tuple(count[number].tolist()) for count in counts))
        for number in range(folded.count)
    )


def _of_rows(values: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    """Returns int8[rows], the values of pictures at their rows and -1 elsewhere."""
    result = np.full(rows, -1, np.int8)
    result[row] = values
    return result


def _failure(
    classes: Sequence[str],
    decisions: Decisions,
    reason: pa.DictionaryArray,
    short: Shortfall,
    folded: Folds | None,
    config: PrepareConfig,
) -> str | None:
    rejected, total = rejections(decisions, reason)
    if not classes:
        return f"none of the {total} files is a usable picture"
    if rejected.total() > config.max_reject_fraction * total:
        reasons = ", ".join(f"{count} {name}" for name, count in rejected.most_common())
        return (
            f"{rejected.total()} of {total} files were rejected ({reasons}), more than "
            f"--max_reject_fraction={config.max_reject_fraction:g}; raise it if that is expected"
        )
    if config.allow_empty_splits:
        return None
    return short.failure() or (folded.failure() if folded is not None else None)
