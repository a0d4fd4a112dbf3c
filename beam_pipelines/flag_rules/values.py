"""Values of the bake's flags: from text or plain Python to the field's type, and back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from beam_pipelines.choices import (
    CLASS_ORDERS,
    DEFAULT_SPLITS,
    FOLDS,
    LEAST_FOLDS,
    MOST_FOLDS,
    Operation,
)
from tfrecords.cli import values
from tfrecords.inputs.rules import AUTO, FOLDERS, NO_FOLDERS
from tfrecords.inputs.split_words import split_of
from tfrecords.schema import TRAIN, VALIDATION

SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*")


def splits_of(value: Any) -> tuple[tuple[str, float], ...]:
    """Returns (name, fraction) pairs of "train:0.8,test:0.2", of a mapping or of such pairs.

    Raises:
      ValueError: anything else.
    """
    if isinstance(value, str):
        value = [part.partition(":")[::2] for part in value.split(",")]
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        return tuple((str(name).strip(), float(fraction)) for name, fraction in pairs)
    except (TypeError, ValueError) as error:
        raise ValueError("NAME:FRACTION,… is expected, such as train:0.8,test:0.2") from error


def settle_folds(
    splits: tuple[tuple[str, float], ...], folds: int | None
) -> tuple[tuple[tuple[str, float], ...], int | None]:
    """Returns the splits, and the number of folds that train is divided into, if it is.

    "folds:5,test:0.15" of --splits is --folds=5 with what the others leave for train. With folds
    the default splits are train alone: every fold is validation once, and test is asked for.

    Raises:
      ValueError: two numbers of folds, one that is out of range, or a validation split beside.
    """
    others = tuple(pair for pair in splits if pair[0] != FOLDS)
    told = [number for name, number in splits if name == FOLDS]
    if told:
        if len(told) > 1 or folds not in (None, told[0]) or TRAIN in dict(others):
            raise ValueError(
                f"{show_splits(splits)}: give folds:K once, in the place of {TRAIN}, as in "
                f"{FOLDS}:5,test:0.15"
            )
        if told[0] not in range(LEAST_FOLDS, MOST_FOLDS + 1):
            raise ValueError(
                f"{FOLDS}:{told[0]:g}: {LEAST_FOLDS} to {MOST_FOLDS} folds are possible"
            )
        folds = int(told[0])
        rest = round(1 - sum(fraction for _, fraction in others), 9)
        others = ((TRAIN, rest), *others)
    if folds is None:
        return splits, None
    if folds not in range(LEAST_FOLDS, MOST_FOLDS + 1):
        raise ValueError(f"--folds={folds}: {LEAST_FOLDS} to {MOST_FOLDS} folds are possible")
    if others == DEFAULT_SPLITS:
        others = ((TRAIN, 1.0),)
    if VALIDATION in dict(others):
        raise ValueError(
            f"{show_splits(splits)}: with folds, each is the {VALIDATION} split of one run: leave "
            f"{VALIDATION} out of --splits"
        )
    return others, folds


def operations_of(value: Any) -> tuple[Operation, ...]:
    """Returns operations in the order in which they are applied; () for "none" or "".

    Raises:
      ValueError: an operation that is not known.
    """
    if not isinstance(value, Iterable):
        raise ValueError("text or a list of texts is expected, () for none")
    items = value.split(",") if isinstance(value, str) else list(value)
    names = [item.value if isinstance(item, Operation) else str(item).strip() for item in items]
    names = [name for name in names if name not in ("", "none")]
    known = [operation.value for operation in Operation]
    for name in names:
        if name not in known:
            raise ValueError(f"{', '.join(known)}, or none, is expected, not {name!r}")
    return tuple(operation for operation in Operation if operation.value in names)


def splits_from_of(value: Any) -> str | tuple[tuple[str, str], ...]:
    """Returns "auto", "folders" or "none", or (folder, split) pairs of "a:train,b:test".

    Raises:
      ValueError: anything else.
    """
    if value in (AUTO, FOLDERS, NO_FOLDERS):
        return str(value)
    if isinstance(value, str):
        value = [part.rpartition(":")[::2] for part in value.split(",")]
    try:
        pairs = value.items() if isinstance(value, Mapping) else value
        told = tuple((str(folder).strip(), str(split).strip()) for folder, split in pairs)
    except (TypeError, ValueError):
        told = ()
    if not told or not all(folder and SPLIT_NAME.fullmatch(split) for folder, split in told):
        raise ValueError(
            f"{AUTO}, {FOLDERS} or {NO_FOLDERS} is expected, or FOLDER:SPLIT,… with the names of "
            "splits, such as fold1:train,fold2:test"
        )
    return tuple((folder, split_of(split) or split) for folder, split in told)


def class_order_of(value: Any) -> str | tuple[str, ...]:
    """Returns the name of an order, the path of a file with one, or class names in order.

    Raises:
      ValueError: anything else.
    """
    if isinstance(value, str) and value or hasattr(value, "__fspath__"):
        return str(value)
    if isinstance(value, (set, frozenset)):
        raise ValueError("a list is expected: the names in a set have no order")
    try:
        names = () if isinstance(value, str) else tuple(map(str, value))
    except TypeError:
        names = ()
    if not names:
        raise ValueError(f"{' or '.join(CLASS_ORDERS)} is expected, or a file with a class a line")
    return names


def classes_map_of(value: Any) -> str | tuple[tuple[str, str], ...] | None:
    """Returns the path of a table, or (from, to) pairs of a mapping or of such pairs.

    Raises:
      ValueError: anything else.
    """
    if value is None or isinstance(value, str) and value or hasattr(value, "__fspath__"):
        return None if value is None else str(value)
    try:
        pairs = value.items() if isinstance(value, Mapping) else value
        told = tuple((str(old), "" if new in (None, "-") else str(new)) for old, new in pairs)
    except (TypeError, ValueError) as error:
        raise ValueError("a CSV with the columns from and to is expected") from error
    if twice := [old for old, count in Counter(old for old, _ in told).items() if count > 1]:
        raise ValueError(f"{twice[0]!r} is mapped twice")
    return told


def show_pairs(value: str | tuple[tuple[str, str], ...] | None) -> str:
    """Returns pairs as on a command line, "a:b,c:d"; a word or a file as it is, "" for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return ",".join(f"{first}:{second}" for first, second in value)


def show_names(value: str | tuple[str, ...]) -> str:
    """Returns names as on a command line, "a,b"; a word or a file as it is."""
    return value if isinstance(value, str) else ",".join(value)


def auto_of(value: Any) -> int | None:
    """Returns a whole number, or None for auto.

    Raises:
      ValueError: it is neither.
    """
    if value is None or value == "auto":
        return None
    try:
        return values.whole_number(value)
    except ValueError as error:
        raise ValueError("auto or a whole number is expected") from error


def show_auto(value: int | None) -> str:
    """Returns a number as on a command line, "auto" for None."""
    return "auto" if value is None else str(value)


def show_splits(splits: tuple[tuple[str, float], ...]) -> str:
    """Returns splits as on a command line, "train:0.8,test:0.2"."""
    return ",".join(f"{name}:{fraction:g}" for name, fraction in splits)


def record_size_of(value: Any) -> tuple[int, int]:
    """Returns (height, width) of records in pixels, from 128, "96x128" or a pair.

    Raises:
      ValueError: it is no size.
    """
    size = values.image_size(value)
    if size is None:
        raise ValueError("N or HxW in pixels is expected, such as 128 or 96x128")
    return size
