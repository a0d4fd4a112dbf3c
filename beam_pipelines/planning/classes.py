"""The classes of a data set: their order, which is that of the labels, and which lack pictures."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.choices import NATURAL
from tfrecords.inputs.say import many
from tfrecords.schema import TRAIN_INDEX

# A class that loses more than this share of its files is named, however few they are in all.
_MUCH = 0.2

_NUMBER = re.compile(r"([0-9]+)")


def in_order(names: Collection[str], order: str | Sequence[str]) -> tuple[str, ...]:
    """Returns class names in the order of their labels.

    Args:
      names: distinct.
      order: "natural" counts digits as numbers, so that 2 is before 10; "name" compares
        characters; or all names in their order, perhaps with others between.
    """
    if order == NATURAL:
        return tuple(sorted(names, key=lambda name: (_natural(name), name)))
    if isinstance(order, str):
        return tuple(sorted(names))
    return tuple(name for name in order if name in set(names))


def missing_notes(
    classes: Sequence[str],
    label: np.ndarray,
    split_index: np.ndarray,
    splits: Sequence[str],
    facts: pa.Table,
) -> Iterator[str]:
    """Yields a line each for classes without a train picture, without any, and with far fewer.

    Args:
      classes: that have a label, in label order.
      label: int32[k], of each picture in a split.
      split_index: int8[k].
      splits: their names.
      facts: of all sources: class_name and reason.
    """
    counts = np.zeros((len(classes), len(splits)), np.int64)
    np.add.at(counts, (label, split_index), 1)
    untrained = [
        f"{classes[row]} ({_counts(counts[row], splits)})"
        for row in np.flatnonzero(counts[:, TRAIN_INDEX] == 0).tolist()
    ]
    if untrained:
        yield f"no picture to train on: {many(untrained)}"
    if vanished := list(_vanished(classes, facts)):
        yield f"no class is made of {many(vanished)}: none of their files is a usable picture"
    if thinned := list(_thinned(classes, facts)):
        yield f"many files are rejected in {many(thinned)}"


def _thinned(classes: Sequence[str], facts: pa.Table) -> Iterator[str]:
    """Yields the classes of which many files are rejected, and how many."""
    named = facts.select(["class_name", "reason"]).filter(pc.field("class_name").is_valid())
    grouped = named.group_by("class_name").aggregate([([], "count_all"), ("reason", "count")])
    counts = {
        row["class_name"]: (row["reason_count"], row["count_all"]) for row in grouped.to_pylist()
    }
    for name in classes:
        rejected, files = counts[name]
        if rejected > _MUCH * files:
            yield f"{name} ({rejected:,} of {files:,})"


def _vanished(classes: Sequence[str], facts: pa.Table) -> Iterator[str]:
    """Yields the classes of the input that have no label, and why their files were rejected."""
    named = facts.select(["class_name", "reason"]).filter(pc.field("class_name").is_valid())
    grouped = named.group_by(["class_name", "reason"]).aggregate([([], "count_all")])
    reasons: dict[str, list[str]] = {}
    for row in grouped.to_pylist():
        if row["class_name"] not in classes:
            told = f"{row['count_all']:,} {row['reason']}"
            reasons.setdefault(row["class_name"], []).append(told)
    for name in sorted(reasons):
        yield f"{name} ({', '.join(sorted(reasons[name]))})"


def _counts(counts: np.ndarray, splits: Sequence[str]) -> str:
    told = [f"{count:,} {name}" for count, name in zip(counts.tolist(), splits, strict=True)]
    return ", ".join(text for text, count in zip(told, counts, strict=True) if count) or "0 in all"


def _natural(name: str) -> list[tuple[int, str]]:
    """Returns a key that counts digits as numbers: text and numbers take turns in it."""
    parts = _NUMBER.split(name)
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]
