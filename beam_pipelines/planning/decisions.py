"""What the plan decides about each source, and the rows of the ledger that say it in words.

A source takes 27 bytes as numbers and some 200 bytes in words, so the ledger is made a range
of rows at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.cache import facts_table
from beam_pipelines.planning.records import Records
from beam_pipelines.planning.stages import Balanced, Deduplicated, Exclusion, Grouping
from tfrecords import ledger
from tfrecords.images import rejects
from tfrecords.images.rejects import RejectReason
from tfrecords.ledger import CAPPED, CHANGED, DUPLICATE, IGNORED, KEPT, REJECTED

STATUS = {name: number for number, name in enumerate(ledger.STATUSES)}

IGNORED_REASONS = sorted(reason.value for reason in rejects.IGNORED)

_NULL = -1

_DETAILS = {
    Exclusion.NONE: "",
    Exclusion.LABEL_CONFLICT: "label conflict: an equal file has another class",
    Exclusion.EXACT_DUPLICATE: "equal file",
    Exclusion.EXACT_DUPLICATE_OF_ANOTHER_CLASS: "label conflict: equal file under another class",
    Exclusion.NEAR_DUPLICATE: "near duplicate",
}


_DUPLICATES = (
    Exclusion.EXACT_DUPLICATE,
    Exclusion.EXACT_DUPLICATE_OF_ANOTHER_CLASS,
    Exclusion.NEAR_DUPLICATE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decisions, one element per source in key order; -1 stands for null.

    Attributes:
      status: uint8[n], indices into `ledger.STATUSES`.
      exclusion: uint8[n], `Exclusion`; a source that the facts reject has NONE.
      original: int32[n], the row that a duplicate is a duplicate of.
      group, rank, copies, shard, position: int32[n], columns of the ledger.
      split: int8[n], split index.
    """

    status: np.ndarray
    exclusion: np.ndarray
    original: np.ndarray
    group: np.ndarray
    split: np.ndarray
    rank: np.ndarray
    copies: np.ndarray
    shard: np.ndarray
    position: np.ndarray

    def counts(self) -> dict[str, int]:
        """Returns the number of sources of each status that occurs, in alphabetical order."""
        counts = np.bincount(self.status, minlength=len(ledger.STATUSES)).tolist()
        by_status = zip(ledger.STATUSES, counts, strict=True)
        return dict(sorted((name, count) for name, count in by_status if count))


def decide(
    reason: pa.DictionaryArray,
    deduplicated: Deduplicated,
    grouping: Grouping,
    split_index: np.ndarray,
    balanced: Balanced,
    records: Iterable[Records],
) -> Decisions:
    """Collects what the stages of a plan decided.

    Args:
      reason: [n], why each source is rejected by its facts, or null.
      deduplicated, grouping, split_index, balanced: what the stages returned.
      records: of every split.
    """
    excluded, row, copies = deduplicated.excluded, deduplicated.pictures.row, balanced.copies
    result = _undecided(len(reason))
    result.status[reason.is_null().to_numpy(zero_copy_only=False)] = STATUS[KEPT]
    result.status[_equals(reason, CHANGED)] = STATUS[CHANGED]
    result.status[_equals(reason, *IGNORED_REASONS)] = STATUS[IGNORED]
    conflict = excluded.reason == Exclusion.LABEL_CONFLICT
    result.status[excluded.row] = np.where(conflict, STATUS[REJECTED], STATUS[DUPLICATE])
    result.exclusion[excluded.row] = excluded.reason
    result.original[excluded.row] = excluded.original
    result.group[row] = row[grouping.group]
    result.split[row] = split_index
    result.rank[row] = balanced.rank
    result.copies[row] = np.bincount(copies.row, minlength=len(row))
    result.status[row[copies.capped]] = STATUS[CAPPED]
    for of_split in records:
        is_original = of_split.copy == 0
        result.shard[of_split.row[is_original]] = of_split.shard[is_original]
        result.position[of_split.row[is_original]] = of_split.position[is_original]
    return result


def _undecided(sources: int) -> Decisions:
    original, group, rank, copies, shard, position = (
        np.full(sources, _NULL, np.int32) for _ in range(6)
    )
    return Decisions(
        status=np.full(sources, STATUS[REJECTED], np.uint8),
        exclusion=np.full(sources, Exclusion.NONE, np.uint8),
        original=original,
        group=group,
        split=np.full(sources, _NULL, np.int8),
        rank=rank,
        copies=copies,
        shard=shard,
        position=position,
    )


def rejections(decisions: Decisions, reason: pa.DictionaryArray) -> tuple[Counter[str], int]:
    """Returns the reasons of sources that their facts reject and the number of sources.

    Ignored ones do not count: a hidden file or a description beside each picture is no fault of
    the data. Nor do label conflicts, which are rejected because the configuration asks for it.
    """
    is_counted = decisions.status != STATUS[IGNORED]
    by_facts = ~reason.is_null().to_numpy(zero_copy_only=False)
    rejected = (decisions.status == STATUS[REJECTED]) & by_facts
    reasons = reason.take(pa.array(np.flatnonzero(rejected))).to_pylist()
    return Counter(reasons), int(is_counted.sum())


def left_out(decisions: Decisions, reason: pa.DictionaryArray) -> dict[str, dict[str, int]]:
    """Returns status → reason in words → number of sources, of those in no shard.

    Args:
      decisions: about all sources.
      reason: why each is rejected by its facts, or null.
    """
    by_facts: Counter[str] = Counter()
    for value in pc.value_counts(reason.drop_null()).to_pylist():
        by_facts[value["values"]] += value["counts"]
    changed = by_facts.pop(CHANGED, 0)
    ignored = {name: by_facts.pop(name) for name in IGNORED_REASONS if name in by_facts}
    excluded = np.bincount(decisions.exclusion, minlength=len(Exclusion)).tolist()
    conflicts = Counter({RejectReason.LABEL_CONFLICT.value: excluded[Exclusion.LABEL_CONFLICT]})
    duplicates = {_DETAILS[kind]: excluded[kind] for kind in _DUPLICATES}
    capped = int((decisions.status == STATUS[CAPPED]).sum())
    result = {
        CAPPED: {"": capped},
        DUPLICATE: duplicates,
        REJECTED: dict((by_facts + conflicts).most_common()),
        CHANGED: {"": changed},
        IGNORED: dict(Counter(ignored).most_common()),
    }
    return {
        status: {name: count for name, count in counts.items() if count}
        for status, counts in result.items()
        if any(counts.values())
    }


@dataclass(frozen=True, slots=True, eq=False)
class LedgerBuilder:
    """Turns facts and decisions into rows of the ledger.

    Attributes:
      facts: of `facts_table.FACTS`, in key order.
      decisions: about the same rows.
      splits: names by split index.
      shards: names by shard, of each split.
    """

    facts: pa.Table
    decisions: Decisions
    splits: tuple[str, ...]
    shards: tuple[Sequence[str], ...]

    def rows(self, start: int, stop: int) -> pa.Table:
        """Returns a range of rows of the ledger, of `ledger.SCHEMA`."""
        facts = self.facts.slice(start, stop - start).combine_chunks()
        decided = {**self._words(facts, start, stop), **self._numbers(start, stop)}
        arrays = []
        for field in ledger.SCHEMA:
            values = decided.get(field.name)
            values = facts[field.name].combine_chunks() if values is None else values
            arrays.append(values.cast(field.type))
        return pa.Table.from_arrays(arrays, schema=ledger.SCHEMA)

    def _words(self, facts: pa.Table, start: int, stop: int) -> dict[str, pa.Array]:
        decisions = self.decisions
        split, shard = decisions.split[start:stop], decisions.shard[start:stop]
        first = np.cumsum([0, *map(len, self.shards)])
        shards = [name for names in self.shards for name in names]
        reason, detail = self._reasons(facts, start, stop)
        return {
            "class": facts["class_name"].combine_chunks(),
            "sha256": facts_table.hexadecimal(facts["sha256"].combine_chunks()),
            "status": _names(decisions.status[start:stop], ledger.STATUSES),
            "reason": reason,
            "detail": detail,
            "split": _names(split, self.splits),
            "shard": _names(np.where(shard >= 0, first[split] + shard, _NULL), shards),
            # A size of -1 stands for a file that could not even be listed.
            "bytes": _or_null(facts["bytes"].to_numpy()),
        }

    def _reasons(self, facts: pa.Table, start: int, stop: int) -> tuple[pa.Array, pa.Array]:
        exclusion = self.decisions.exclusion[start:stop]
        original = self.decisions.original[start:stop]
        conflict = pc.if_else(
            pa.array(exclusion == Exclusion.LABEL_CONFLICT),
            RejectReason.LABEL_CONFLICT.value,
            pa.scalar(None, pa.string()),
        )
        # Few sources are duplicates, so only the keys of their originals are looked up.
        duplicate = np.flatnonzero(original >= 0)
        keys = self.facts["key"].take(pa.array(original[duplicate])).combine_chunks()
        index = np.full(len(original), _NULL, np.int32)
        index[duplicate] = np.arange(len(duplicate))
        of_original = keys.take(_or_null(index)).cast(pa.string())
        of_facts = facts["reason"].cast(pa.string()).combine_chunks()
        is_excluded = exclusion != Exclusion.NONE
        why = _names(
            np.where(is_excluded, exclusion.astype(np.int32), _NULL),
            [_DETAILS[exclusion] for exclusion in Exclusion],
        )
        remark = facts["detail"].combine_chunks()
        both = pc.binary_join_element_wise(why.fill_null(""), remark.fill_null(""), "; ")
        why = pc.if_else(remark.is_valid(), both, why)
        detail = pc.if_else(pa.array(is_excluded), why, remark)
        return pc.coalesce(of_facts, conflict, of_original), detail

    def _numbers(self, start: int, stop: int) -> dict[str, pa.Array]:
        decisions = self.decisions
        columns = {
            "group": decisions.group,
            "rank": decisions.rank,
            "copies": decisions.copies,
            "position": decisions.position,
        }
        return {name: _or_null(values[start:stop]) for name, values in columns.items()}


def _names(number: np.ndarray, names: Sequence[str]) -> pa.Array:
    """Returns the name of each number, null for -1."""
    indices = _or_null(number.astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())


def _or_null(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _equals(names: pa.DictionaryArray, *wanted: str) -> np.ndarray:
    """Returns bool[n], whether each of a dictionary array's values is one of `wanted`."""
    # By the dictionary: as strings the names of a million rows would take 30 MB.
    equal = [index for index, value in enumerate(names.dictionary.to_pylist()) if value in wanted]
    indices = names.indices.fill_null(_NULL).to_numpy(zero_copy_only=False)
    return np.isin(indices, equal)
