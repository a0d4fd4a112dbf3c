"""The last lines of a bake: what is in the data set, what is not and why, and what to do next."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from beam_pipelines.cache import storage
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.similarity.leak_meter import BAD, LeakMeter
from beam_pipelines.similarity.optimism import Optimism
from tfrecords import inspect, manifest
from tfrecords.cli import flags, following
from tfrecords.ledger import CAPPED, CHANGED, DUPLICATE
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN

_REPORT = "report/index.html"


def summary_lines(
    config: PrepareConfig,
    dataset: Manifest,
    left_out: Mapping[str, Mapping[str, int]],
    *,
    reported: bool = True,
) -> Iterator[str]:
    """Yields the lines.

    Args:
      config: of the bake.
      dataset: its manifest.
      left_out: status → reason in words → number of sources that are in no shard.
      reported: whether its report is written.
    """
    counts = _train_counts(dataset)
    spread = (
        f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    )
    yield f"{config.output_dir}: {len(dataset.classes):,} classes, {spread} train records each"
    yield from inspect.split_table(dataset.splits)
    if dataset.folds:
        yield from inspect.fold_table(dataset)
    yield from left_out_table(config, left_out)
    if left_out:
        yield f"each file's reason is in {storage.join(config.output_dir, manifest.SOURCES)}"
    yield from _last_lines(config, dataset, reported=reported)


def already_lines(config: PrepareConfig, dataset: Manifest) -> Iterator[str]:
    """Yields what is said of a data set that the same bake has given before."""
    yield f"{config.output_dir} is complete, with the same input and flags: nothing to do"
    yield from _last_lines(config, dataset, reported=True)


def _last_lines(config: PrepareConfig, dataset: Manifest, *, reported: bool) -> Iterator[str]:
    yield f"digest {dataset.digest}"
    if reported:
        yield f"report {storage.join(config.output_dir, _REPORT)}"
    yield following.training(config.output_dir, folded=bool(dataset.folds))


def honesty_lines(
    config: PrepareConfig,
    split_by: SplitBy,
    leaks: Sequence[LeakMeter],
    optimism: Optimism | None,
) -> Iterator[str]:
    """Yields what the split claims and, where that is too much, the command that mends it.

    Args:
      config: of the bake.
      split_by: what pictures were split by.
      leaks: the leak meter of each held-out split.
      optimism: of the first held-out split, if it was measured.
    """
    if optimism is not None:
        yield optimism.note()
    if split_by is SplitBy.RANDOM and any(meter.share >= BAD for meter in leaks):
        yield f"to split by appearance instead: {_appearance_command(config)}"


def left_out_table(
    config: PrepareConfig, left_out: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """Yields a row for each status: how many sources, and why."""
    if not left_out:
        return
    rows = [("left out", "files", "why")]
    for status, reasons in left_out.items():
        rows.append((status, f"{sum(reasons.values()):,}", _why(config, status, reasons)))
    width = max(len(status) for status, _, _ in rows)
    count_width = max(len(count) for _, count, _ in rows)
    for status, count, why in rows:
        yield f"{status:{width}}  {count:>{count_width}}  {why}"


def _train_counts(dataset: Manifest) -> list[int]:
    """Returns the number of records of each class in train; of folds, in each fold's train."""
    if not dataset.folds:
        train = dataset.split(TRAIN)
        return [sum(pair) for pair in zip(train.originals, train.copies, strict=True)]
    return [
        originals + copies
        for fold in dataset.folds
        for originals, copies in zip(fold.train_originals, fold.train_copies, strict=True)
    ]


def _appearance_command(config: PrepareConfig) -> str:
    """Returns the command that bakes the same by appearance, ready to paste."""
    plain = dataclasses.replace(config, split_by=SplitBy.AUTO, overwrite=False)
    return bake_command(plain, "--split_by=appearance", "--overwrite")


def bake_command(config: PrepareConfig, *added: str) -> str:
    """Returns the command that bakes by a configuration and further flags, ready to paste."""
    if isinstance(config.class_order, tuple) or config.classes_map is not None:
        # What these files said is known, and no longer where they are.
        return f"the same command with {' '.join(added)}" if added else "the same with `bake`"
    # The number of processes is the machine's, unless it was given.
    given = [flag for flag in flags.command_line(config) if not flag.startswith("--workers=")]
    return shlex.join(["evenshard", "bake", *given, *config.beam_options, *added])


def _why(config: PrepareConfig, status: str, reasons: Mapping[str, int]) -> str:
    if status == CAPPED:
        return f"pictures of large classes beyond {_cap(config)}: in no shard"
    if status == CHANGED:
        return "written to while the bake read them: bake again"
    if status == DUPLICATE:
        listed = ", ".join(f"{count:,} {_many(reason, count)}" for reason, count in reasons.items())
        return f"of pictures that are kept: {listed}"
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())


def _many(reason: str, count: int) -> str:
    """Returns a kind of duplicates as it reads behind their number."""
    return reason if count == 1 else re.sub(r"equal file|near duplicate", r"\g<0>s", reason)


def _cap(config: PrepareConfig) -> str:
    if config.per_class is not None:
        return f"--per_class={config.per_class}"
    if config.max_per_class is not None:
        return f"--max_per_class={config.max_per_class}"
    return f"--balance={config.balance}"
