"""What a person should know about a plan, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import named_groups, split
from beam_pipelines.planning.shortfall import Shortfall
from beam_pipelines.planning.stages import Deduplicated, Grouping, Pictures
from tfrecords import manifest
from tfrecords.inputs.say import counted, many
from tfrecords.schema import TRAIN_INDEX

# Where the largest class has fewer than twice the pictures of the smallest, nobody need balance.
_UNBALANCED = 2


def remarks(facts: pa.Table, row: np.ndarray) -> Iterator[str]:
    """Yields a line for pictures that are odd and kept all the same.

    Args:
      facts: of all sources.
      row: int32[k], of the pictures among them.
    """
    detail = facts["detail"].take(pa.array(row))
    odd = np.flatnonzero(detail.is_valid().to_numpy())
    if len(odd):
        key, text = facts["key"][int(row[odd[0]])], detail[int(odd[0])]
        pictures = "unusual picture is" if len(odd) == 1 else "unusual pictures are"
        yield (
            f"{len(odd):,} {pictures} kept, such as {key.as_py()!r} ({text.as_py()}); see detail "
            f"in {manifest.SOURCES}"
        )


def lost_splits(facts: pa.Table, row: np.ndarray, config: PrepareConfig) -> Iterator[str]:
    """Yields a line for each split that the input fixes and of which no picture is left.

    Like a split that the input lacks, it is taken from train, which nobody expects of this one.

    Args:
      facts: of all sources.
      row: int32[k], of the pictures that stay.
      config: of the bake.
    """
    split_of_row = facts_table.column(facts, "split")
    left = set(split_of_row.take(pa.array(row)).to_pylist())
    files = Counter(split_of_row.to_pylist())
    train, *others = config.split_names
    for name in others:
        if name not in left and (count := files[name]):
            yield (
                f"the input fixes {name}, but none of its {counted(count, 'file')} is left "
                "(rejected, or equal to a picture of another split; sources.parquet says which): "
                f"its fraction is taken from {train} instead"
            )


def absent_classes(
    pictures: Pictures, split_index: np.ndarray, classes: Sequence[str], config: PrepareConfig
) -> Iterator[str]:
    """Yields a line for each held-out split that groups leave without some of the classes.

    Args:
      pictures: of all splits.
      split_index: int8[k].
      classes: names in label order.
      config: of the bake.
    """
    if not classes or (pictures.fixed >= 0).any():
        return
    quota = split.quota_table(
        np.bincount(pictures.label, minlength=len(classes)), [share for _, share in config.splits]
    )
    for index, name in enumerate(config.split_names):
        got = np.bincount(pictures.label[split_index == index], minlength=len(classes))
        absent = np.flatnonzero((quota[:, index] > 0) & (got == 0)).tolist()
        if absent and index != TRAIN_INDEX and got.any():
            yield (
                f"{name} has no picture of {many([classes[label] for label in absent])}: a group "
                "is never divided, and theirs are larger than its part"
            )


def notes_of(
    deduplicated: Deduplicated,
    grouping: Grouping,
    split_index: np.ndarray,
    shortfall: Shortfall,
    keys: pa.ChunkedArray,
    classes: Sequence[str],
    config: PrepareConfig,
) -> Iterator[str]:
    """Yields the notes of a plan.

    Args:
      deduplicated, grouping, split_index, shortfall: what its stages returned.
      keys: of all sources.
      classes: names in label order.
      config: of the bake.
    """
    pictures = deduplicated.pictures
    if deduplicated.conflicts:
        yield (
            f"{deduplicated.conflicts} files are equal to a file of another class "
            f"(label_conflicts={config.label_conflicts.value}); see detail in {manifest.SOURCES}"
        )
    tightened = deduplicated.tightened + grouping.tightened
    if tightened:
        noun = "class" if tightened == 1 else "classes"
        yield (
            f"in {tightened} {noun}, chains of near duplicates joined more than a fifth of the "
            "pictures; a smaller distance was used there"
        )
    if grouping.named is not None:
        of_pictures = keys.take(pa.array(pictures.row))
        yield from named_groups.notes(
            grouping.named, of_pictures, pictures.label, classes, split_index, config.split_names
        )
    if config.allow_empty_splits or shortfall.failure() is None:
        yield from shortfall.lines()
    # Named groups that the given split divides are said with what else there is to say of them.
    near = grouping.group if grouping.named is None else grouping.near
    divided = 0 if near is None else len(split.divided_groups(near, split_index))
    if divided:
        groups = counted(divided, "group")
        yield f"the given split divides {groups} of near duplicates: its evaluation leaks"
    counts = np.bincount(pictures.label[split_index == TRAIN_INDEX], minlength=len(classes))
    yield from _class_sizes(counts, classes, config)


def _class_sizes(
    counts: np.ndarray, classes: Sequence[str], config: PrepareConfig
) -> Iterator[str]:
    by_size = sorted(
        (int(counts[label]), classes[label]) for label in np.flatnonzero(counts).tolist()
    )
    if by_size and not config.balances and by_size[-1][0] >= _UNBALANCED * by_size[0][0]:
        (least, of_least), (most, of_most) = by_size[0], by_size[-1]
        yield (
            f"the classes are not balanced: {least:,} ({of_least}) to {most:,} ({of_most}) train "
            f"pictures each, median {by_size[len(by_size) // 2][0]:,}; --per_class=N gives each N"
        )
