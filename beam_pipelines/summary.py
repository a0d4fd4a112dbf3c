"""The last lines of a bake: what is in the data set, what is not and why, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from beam_pipelines.cache import storage
from beam_pipelines.config import PrepareConfig
from tfrecords import inspect, manifest
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
    train = dataset.split(TRAIN)
    counts = [sum(pair) for pair in zip(train.originals, train.copies, strict=True)]
    spread = (
        f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    )
    yield f"{config.output_dir}: {len(dataset.classes):,} classes, {spread} train records each"
    yield from inspect.split_table(dataset.splits)
    yield from left_out_table(config, left_out)
    if left_out:
        yield f"each file's reason is in {storage.join(config.output_dir, manifest.SOURCES)}"
    yield f"digest {dataset.digest}"
    if reported:
        yield f"report {storage.join(config.output_dir, _REPORT)}"
    yield f"next: {next_command(config.output_dir)}"


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


def next_command(data_dir: str) -> str:
    """Returns the command that trains on a data set, ready to paste."""
    return f"evenshard train {shlex.quote(f'--data_dir={data_dir}')} --run_dir=runs/first"


def _why(config: PrepareConfig, status: str, reasons: Mapping[str, int]) -> str:
    if status == CAPPED:
        return f"pictures of large classes beyond {_cap(config)}: in no shard"
    if status == CHANGED:
        return "written to while the bake read them: bake again"
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"of pictures that are kept: {listed}" if status == DUPLICATE else listed


def _cap(config: PrepareConfig) -> str:
    if config.per_class is not None:
        return f"--per_class={config.per_class}"
    if config.max_per_class is not None:
        return f"--max_per_class={config.max_per_class}"
    return f"--balance={config.balance}"
