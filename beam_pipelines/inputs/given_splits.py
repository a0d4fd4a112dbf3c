"""Splits that the input fixes, and those of a bake: which there are, and in what fractions."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from beam_pipelines.choices import DEFAULT_SPLITS
from tfrecords.errors import UsageError
from tfrecords.inputs.rows import SourceFile
from tfrecords.inputs.say import many
from tfrecords.inputs.split_words import VALIDATION, split_of
from tfrecords.schema import TRAIN


def settle_splits(
    splits: tuple[tuple[str, float], ...], rows: tuple[SourceFile, ...]
) -> tuple[tuple[tuple[str, float], ...], tuple[SourceFile, ...], tuple[str, ...]]:
    """Returns the splits of a bake whose input may fix some, the rows, and what to say of it.

    The input decides which splits exist. Of the default ones that it leaves out only validation
    is taken from train, since a training needs one; of splits that a person named all are.

    Args:
      splits: names and fractions that were asked for, train first.
      rows: of the sources; a split that they call by another word gets the name asked for.

    Raises:
      UsageError: the input fixes splits and gives nothing to train on.
    """
    names = [name for name, _ in splits]
    rows = _by_asked_names(rows, names)
    usable = Counter(row.split for row in rows if row.problem is None)
    free = usable.pop(None, 0)
    given = {str(name): count for name, count in usable.items()}
    if not given:
        return splits, rows, ()
    if TRAIN not in given and not free:
        raise UsageError(
            f"the input fixes {many(sorted(given))} and has no picture to train on; "
            "name the train split, or give --splits_from=none (of a table, --split_column=none) to "
            "split again"
        )
    absent = [name for name in names if name not in given and name != TRAIN]
    dropped = [name for name in absent if name != VALIDATION and splits == DEFAULT_SPLITS]
    dropped = [] if free else dropped
    added = sorted(given.keys() - set(names))
    of_added = [(name, given[name] / (sum(given.values()) + free)) for name in added]
    settled = _fractions([pair for pair in splits if pair[0] not in dropped], of_added)
    notes = (
        []
        if free
        else list(_taken_notes(settled, absent, dropped, given, named=splits != DEFAULT_SPLITS))
    )
    if added:
        notes.append(f"the input fixes {many(added)} too, which --splits does not name; kept")
    return settled, rows, tuple(notes)


def validation_into_folds(
    rows: tuple[SourceFile, ...],
) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    """Returns rows whose validation pictures, if the input fixes any, are divided with train."""
    named = {row.split for row in rows if row.split is not None}
    validation = {name for name in named if split_of(name) == VALIDATION}
    if not validation:
        return rows, ()
    joined = TRAIN if TRAIN in named else None
    moved = tuple(
        dataclasses.replace(row, split=joined) if row.split in validation else row for row in rows
    )
    return moved, (
        f"the input fixes {many(sorted(validation))}: with --folds its pictures are divided "
        "with train",
    )


def _by_asked_names(rows: tuple[SourceFile, ...], names: Sequence[str]) -> tuple[SourceFile, ...]:
    """Returns rows whose splits have the names asked for: "val", if that is in `names`."""
    by_meaning = {split_of(name): name for name in reversed(names)}
    given = {row.split for row in rows if row.split is not None}
    other = {split: by_meaning[split] for split in given - set(names) if split in by_meaning}
    if not other:
        return rows
    return tuple(
        dataclasses.replace(row, split=other[row.split]) if row.split in other else row
        for row in rows
    )


def _fractions(
    kept: Sequence[tuple[str, float]], added: Sequence[tuple[str, float]]
) -> tuple[tuple[str, float], ...]:
    """Returns all splits with fractions that add up to 1: `added` keep theirs."""
    rest = 1 - sum(fraction for _, fraction in added)
    whole = sum(fraction for _, fraction in kept)
    if not added and abs(whole - 1) < 1e-6:
        return tuple(kept)
    scaled = [(name, fraction / whole * rest) for name, fraction in kept]
    # Short numbers in the manifest; none may become nothing.
    (train, _), *others = [(name, max(round(f, 6), 1e-6)) for name, f in (*scaled, *added)]
    return ((train, round(1 - sum(fraction for _, fraction in others), 6)), *others)


def _taken_notes(
    splits: Sequence[tuple[str, float]],
    absent: Sequence[str],
    dropped: Sequence[str],
    given: Collection[str],
    *,
    named: bool,
) -> Iterator[str]:
    """Yields a line for each split that is taken from train or left out; `named`: by --splits."""
    taken = [(name, fraction) for name, fraction in splits if name in absent]
    fractions = dict(splits)
    whole = fractions[TRAIN] + sum(fraction for _, fraction in taken)
    for name, fraction in taken:
        why = (
            ", as --splits says"
            if named
            else f" (name other --splits, as in --splits={_other_splits(given)}, to change that)"
        )
        yield f"the input has no {name} split: {fraction / whole:.0%} of train is taken for it{why}"
    for name in dropped:
        others = [other for other in fractions if other not in (TRAIN, *given)]
        example = _splits_text({**dict.fromkeys(others, 0.1), name: 0.15})
        yield (
            f"the input has no {name} split, and none is taken from train, so nothing can be "
            f"evaluated on it; to get one, name it, as in --splits={example}"
        )


def _other_splits(given: Collection[str]) -> str:
    """Returns what to give as --splits to have the given splits and no others."""
    held_out = sorted(name for name in given if name != TRAIN)
    return _splits_text(dict.fromkeys(held_out, 0.2 / max(1, len(held_out))))


def _splits_text(held_out: Mapping[str, float]) -> str:
    """Returns --splits with the given fractions, and the rest for train."""
    rest = 1 - sum(held_out.values())
    return ",".join(f"{name}:{share:g}" for name, share in ((TRAIN, rest), *held_out.items()))
