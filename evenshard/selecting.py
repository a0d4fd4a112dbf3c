"""Which records of a split a caller asked for, by the names that all functions share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from tfrecords.cli import flags
from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest
from tfrecords.schema import ImageRecord
from trainer.data.selection import Selection, Source
from trainer.data_flags import DataFlags


def select(
    manifest: Manifest, classes: str | Collection[str], per_class: int | None, originals_only: bool
) -> Selection:
    """Returns the selection that the arguments of these names ask for.

    Raises:
      UsageError: a class that the data set does not have, a number below 1, or no number.
    """
    per_class = checked("per_class", per_class)
    originals_only = checked("originals_only", originals_only)
    names = several("classes", classes)
    for name in names:
        if name not in manifest.classes:
            hint = meant(name, manifest.classes)
            raise UsageError(f"classes: data set {manifest.name!r} has no class {name!r}{hint}")
    if per_class is not None and per_class < 1:
        raise UsageError(f"per_class={per_class} must be at least 1")
    labels = tuple(
        label for label, name in enumerate(manifest.classes) if not names or name in names
    )
    return Selection(
        classes=tuple(manifest.classes[label] for label in labels),
        labels=labels,
        max_rank=per_class,
        originals_only=originals_only,
    )


def several(name: str, value: Any) -> list[str]:
    """Returns an argument that is one text or several as a list.

    Raises:
      UsageError: it is neither.
    """
    items = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    for item in items:
        if not isinstance(item, str):
            raise UsageError(
                f"{name}: text or a list of texts is expected, not {flags.shown(item)}"
            )
    return items


def checked(name: str, value: Any) -> Any:
    """Returns an argument as `evenshard.train` takes the one of its name.

    Raises:
      UsageError: it is not of that kind, such as True or 2.5 for a number.
    """
    try:
        return flags.value_of(DataFlags, name, value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}={value!r}: {error}") from error


def is_selected(record: ImageRecord, source: Source) -> bool:
    """Returns whether the selection of a split holds a record of its shards."""
    selection = source.selection
    if source.ranks is not None:
        numbers = (np.array([number]) for number in (record.label, record.rank, record.copy))
        return bool(source.selects(*numbers)[0])
    return (
        record.label in selection.labels
        and (selection.max_rank is None or record.rank < selection.max_rank)
        and not (selection.originals_only and record.copy)
    )


def meant(name: str, known: Collection[str]) -> str:
    """Returns "; did you mean …?" with the nearest known name, or nothing where none is near."""
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
