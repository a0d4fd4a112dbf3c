"""The invariants between `sources.parquet`, the shards and the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import ledger, manifest
from tfrecords.checks.shards import NO_LABEL, Problem
from tfrecords.manifest import Manifest
from tfrecords.schema import record_id
from tfrecords.sharding import stable_hash

_COLUMNS = [
    "key", "class", "status", "reason", "sha256", "split", "rank", "copies", "shard", "position",
]  # fmt: skip


def check_ledger(
    data_dir: Path, found: Manifest, facts: Mapping[str, np.ndarray], splits: Collection[str]
) -> Iterator[Problem]:
    """Checks each row of the ledger, then its sums, against the manifest and the shards.

    Args:
      data_dir: of the data set.
      found: its manifest.
      facts: shard file name → `checks.FACTS`[records]; shards that are not intact left out.
      splits: names of those whose counts are compared.
    """
    audit = _Audit(found, facts)
    try:
        # Every column is read, so that damage to any is noticed.
        for batch in ledger.stream(data_dir, ledger.SCHEMA.names):
            for row in batch.select(_COLUMNS).to_pylist():
                if what := audit.fault_of(row):
                    yield _of_ledger(f"row {row['key']!r}: {what}")
    except ledger.LedgerError as error:
        yield _of_ledger(error.what)
        return
    for what in audit.fault_of_sums(splits):
        yield _of_ledger(what)


def _of_ledger(what: str) -> Problem:
    return Problem(manifest.SOURCES, what)


class _Audit:
    """Takes the rows of a ledger one by one and remembers only sums."""

    def __init__(self, found: Manifest, facts: Mapping[str, np.ndarray]) -> None:
        self._manifest = found
        self._facts = facts
        self._labels = {name: label for label, name in enumerate(found.classes)}
        self._listed = {shard.filename for split in found.splits for shard in split.shards}
        self._previous = ""
        self._statuses: Counter[str] = Counter()
        self._originals: Counter[tuple[str, str]] = Counter()
        self._copies: Counter[tuple[str, str]] = Counter()
        self._digest = hashlib.sha256()

    def fault_of(self, row: Mapping[str, Any]) -> str | None:
        """Returns what is wrong with a row by itself or with its record."""
        key, status = row["key"], row["status"]
        in_order = self._previous < key or not self._previous
        previous, self._previous = self._previous, key
        self._statuses[status] += 1
        self._digest.update(f"{row['sha256']}  {key}\n".encode())
        if status == ledger.KEPT:
            self._originals[row["split"], row["class"]] += 1
            self._copies[row["split"], row["class"]] += row["copies"] or 0
        if not in_order:
            return f"not in key order, or twice: it follows {previous!r}"
        if status not in ledger.STATUSES:
            return f"status {status!r}; expected one of {', '.join(ledger.STATUSES)}"
        if status != ledger.KEPT:
            return self._fault_of_left_out(row)
        return self._fault_of_kept(row)

    def _fault_of_left_out(self, row: Mapping[str, Any]) -> str | None:
        if row["shard"] is not None:
            return f"status {row['status']!r}, yet in shard {row['shard']}"
        if row["reason"] is None and row["status"] != ledger.CAPPED:
            return f"status {row['status']!r} without a reason"
        return None

    def _fault_of_kept(self, row: Mapping[str, Any]) -> str | None:
        if row["class"] not in self._labels:
            return f"kept with class {row['class']!r}, which the manifest does not name"
        if row["shard"] not in self._listed:
            return f"kept in shard {row['shard']!r}, which the manifest does not list"
        facts = self._facts.get(row["shard"])
        if facts is None:
            return None  # Of another split, or damaged and already named.
        position = row["position"]
        if position is None or not 0 <= position < len(facts):
            return f"position {position} of {row['shard']}, which has {len(facts)} records"
        return self._fault_of_record(row, facts[position])

    def _fault_of_record(self, row: Mapping[str, Any], record: np.void) -> str | None:
        if record["label"] == NO_LABEL:
            return None
        place = f"record {row['position']} of {row['shard']}"
        if record["id"] != stable_hash(record_id(row["key"], 0)):
            return f"{place} is another picture"
        expected = self._labels[row["class"]], row["rank"], 0
        came = int(record["label"]), int(record["rank"]), int(record["copy"])
        if came != expected:
            return f"{place} has (label, rank, copy) {came}, the row says {expected}"
        return None

    def fault_of_sums(self, splits: Collection[str]) -> Iterator[str]:
        """Yields what is wrong with the counts and the digest over all rows."""
        expected = {name: count for name, count in self._manifest.statuses.items() if count}
        if self._statuses != expected:
            yield f"statuses are {_counts(self._statuses)}; the manifest says {_counts(expected)}"
        for split in self._manifest.splits:
            if split.name not in splits:
                continue
            for label, name in enumerate(self._manifest.classes):
                came = self._originals[split.name, name], self._copies[split.name, name]
                wanted = split.originals[label], split.copies[label]
                if came != wanted:
                    yield (
                        f"split {split.name!r}, class {name!r}: rows give {came[0]} originals and "
                        f"{came[1]} copies, the manifest says {wanted[0]} and {wanted[1]}"
                    )
        if (digest := self._digest.hexdigest()) != self._manifest.digests.get("sources"):
            yield f"its digest is {digest[:12]}…, the manifest says another"


def _counts(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(statuses.items())) or "none"
