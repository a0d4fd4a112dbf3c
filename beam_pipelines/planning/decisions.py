"""What the plan decides about each source, as numbers, and the ledger that tells it in words.

A source takes 27 bytes here and some 200 in words, so the ledger is made a stretch of rows at a
time.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger
from tfrecords.images.canonicalise import RejectReason
from tfrecords.ledger import CAPPED, CHANGED, DUPLICATE, KEPT, REJECTED

STATUS = {name: number for number, name in enumerate(ledger.STATUSES)}

NONE = -1


class Ruling(enum.IntEnum):
    """Why the plan puts a picture aside; OWN where it does not, and its facts say what there is."""

    OWN = 0
    LABEL_CONFLICT = 1
    EQUAL = 2
    EQUAL_ELSEWHERE = 3
    NEAR = 4


# In the order of `Ruling`.
_DETAILS = (
    "",
    "an equal file has another class",
    "equal file",
    "equal file under another class",
    "near duplicate",
)


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Decisions, one element per source in key order; -1 stands for null.

    Attributes:
      status: uint8[n], places in `ledger.STATUSES`.
      ruling: uint8[n], `Ruling`.
      keeper: int32[n], the row that a duplicate is a duplicate of.
      group, rank, copies, shard, position: int32[n], columns of the ledger.
      split: int8[n], split index.
    """

    status: np.ndarray
    ruling: np.ndarray
    keeper: np.ndarray
    group: np.ndarray
    split: np.ndarray
    rank: np.ndarray
    copies: np.ndarray
    shard: np.ndarray
    position: np.ndarray

    @classmethod
    def of(cls, reason: pa.Array) -> Verdicts:
        """Returns those of sources that are kept unless they have a reason not to be."""
        status = np.full(len(reason), STATUS[REJECTED], np.uint8)
        status[reason.is_null().to_numpy(zero_copy_only=False)] = STATUS[KEPT]
        status[_equals(reason, CHANGED)] = STATUS[CHANGED]
        small = (np.full(len(reason), NONE, np.int32) for _ in range(6))
        keeper, group, rank, copies, shard, position = small
        return cls(
            status=status,
            ruling=np.zeros(len(reason), np.uint8),
            keeper=keeper,
            group=group,
            split=np.full(len(reason), NONE, np.int8),
            rank=rank,
            copies=copies,
            shard=shard,
            position=position,
        )

    def put_aside(self, rows: np.ndarray, ruling: Ruling, keepers: np.ndarray | int) -> None:
        """Rules that `rows` are in no split; `keepers` stay in their place, -1 for none."""
        rejected = ruling is Ruling.LABEL_CONFLICT
        self.status[rows] = STATUS[REJECTED if rejected else DUPLICATE]
        self.ruling[rows] = ruling
        self.keeper[rows] = keepers

    def cap(self, rows: np.ndarray) -> None:
        """Rules that `rows` have a split but no record."""
        self.status[rows] = STATUS[CAPPED]

    def counts(self) -> dict[str, int]:
        """Returns the number of sources of each status that occurs, in alphabetical order."""
        counted = np.bincount(self.status, minlength=len(ledger.STATUSES)).tolist()
        found = zip(ledger.STATUSES, counted, strict=True)
        return dict(sorted((name, count) for name, count in found if count))


def rejections(verdicts: Verdicts, reason: pa.Array) -> tuple[Counter[str], int]:
    """Returns the reasons of rejected sources and the number of sources, hidden ones apart.

    A hidden file beside each picture, as macOS adds them, is no fault of the data.
    """
    counted = ~_equals(reason, RejectReason.HIDDEN.value)
    rejected = np.flatnonzero((verdicts.status == STATUS[REJECTED]) & counted)
    own = reason.take(pa.array(rejected)).to_pylist()
    # Whatever the facts do not name is the plan's own: a label conflict.
    named = (name or RejectReason.LABEL_CONFLICT.value for name in own)
    return Counter(named), int(counted.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """Turns verdicts into rows of the ledger.

    Attributes:
      facts: of `tables.FACTS`, in key order.
      verdicts: of the same rows.
      splits: names by split index.
      shards: names by shard, of each split.
    """

    facts: pa.Table
    verdicts: Verdicts
    splits: tuple[str, ...]
    shards: tuple[Sequence[str], ...]

    def rows(self, start: int, stop: int) -> pa.Table:
        """Returns a stretch of the ledger, of `ledger.SCHEMA`."""
        facts = self.facts.slice(start, stop - start).combine_chunks()
        decided = {**self._words(facts, start, stop), **self._numbers(start, stop)}
        arrays = []
        for field in ledger.SCHEMA:
            values = decided.get(field.name)
            values = facts[field.name].combine_chunks() if values is None else values
            arrays.append(values.cast(field.type))
        return pa.Table.from_arrays(arrays, schema=ledger.SCHEMA)

    def _words(self, facts: pa.Table, start: int, stop: int) -> dict[str, pa.Array]:
        verdicts = self.verdicts
        split, shard = verdicts.split[start:stop], verdicts.shard[start:stop]
        first = np.cumsum([0, *map(len, self.shards)])
        shards = [name for names in self.shards for name in names]
        reason, detail = self._reasons(facts, start, stop)
        return {
            "class": facts["class_name"].combine_chunks(),
            "sha256": hexadecimal(facts["sha256"].combine_chunks()),
            "status": named(verdicts.status[start:stop], ledger.STATUSES),
            "reason": reason,
            "detail": detail,
            "split": named(split, self.splits),
            "shard": named(np.where(shard >= 0, first[split] + shard, NONE), shards),
            # A size of -1 stands for a file that could not even be listed.
            "bytes": _or_null(facts["bytes"].to_numpy()),
        }

    def _reasons(self, facts: pa.Table, start: int, stop: int) -> tuple[pa.Array, pa.Array]:
        ruling = self.verdicts.ruling[start:stop]
        keeper = self.verdicts.keeper[start:stop]
        conflict = pc.if_else(
            pa.array(ruling == Ruling.LABEL_CONFLICT),
            RejectReason.LABEL_CONFLICT.value,
            pa.scalar(None, pa.string()),
        )
        # Few are duplicates, so their keepers' keys are fetched alone.
        places = np.flatnonzero(keeper >= 0)
        keys = self.facts["key"].take(pa.array(keeper[places])).combine_chunks()
        which = np.full(len(keeper), NONE, np.int32)
        which[places] = np.arange(len(places))
        of_keeper = keys.take(_or_null(which)).cast(pa.string())
        own = facts["reason"].cast(pa.string()).combine_chunks()
        ruled = named(np.where(ruling > 0, ruling.astype(np.int32), NONE), _DETAILS)
        detail = pc.if_else(pa.array(ruling > 0), ruled, facts["detail"].combine_chunks())
        return pc.coalesce(own, conflict, of_keeper), detail

    def _numbers(self, start: int, stop: int) -> dict[str, pa.Array]:
        names = ("group", "rank", "copies", "position")
        return {name: _or_null(getattr(self.verdicts, name)[start:stop]) for name in names}


def named(number: np.ndarray, names: Sequence[str]) -> pa.Array:
    """Returns the name of each number, null for -1."""
    indices = _or_null(number.astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())


def hexadecimal(digests: pa.Array) -> pa.Array:
    """Returns 32-byte digests in hex, nulls as they are."""
    if digests.null_count == len(digests):
        return pa.nulls(len(digests), pa.string())
    width: int = digests.type.byte_width
    data = digests.buffers()[1].slice(digests.offset * width, len(digests) * width)
    text = data.to_pybytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, 2 * width, dtype=np.int32)
    found = pa.StringArray.from_buffers(len(digests), pa.py_buffer(offsets), pa.py_buffer(text))
    return pc.if_else(digests.is_valid(), found, pa.scalar(None, pa.string()))


def _or_null(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _equals(names: pa.Array, name: str) -> np.ndarray:
    """Returns bool[n], whether each of a dictionary array's values is `name`."""
    # By the dictionary: as strings the names of a million rows would take 30 MB.
    wanted = [place for place, found in enumerate(names.dictionary.to_pylist()) if found == name]
    indices = names.indices.fill_null(NONE).to_numpy(zero_copy_only=False)
    return np.isin(indices, wanted)
