"""`--plan_only`: what a bake would make and cost, from the listing and a sample of pictures.

Duplicates and rejects are known only after decoding, so the plan counts every file as a distinct
picture and says how many of the sample are not pictures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines import summary
from beam_pipelines.cache import facts_table, storage
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import NearDuplicates, SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from beam_pipelines.inputs import bake_input, sources
from beam_pipelines.inputs.bake_input import BakeInput
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.steps.augment import augmented_copy, copy_generator
from tfrecords import inspect, sizes
from tfrecords.errors import BakeError, UsageError
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError
from tfrecords.inputs.rows import SourceFile
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo
from tfrecords.sharding import shard_name, stable_hash

# A second or two of decoding gives the mean time of a picture to a few per cent.
SAMPLE = 200

# What the command of the bake calls its output, where a plan has none.
_EXAMPLE = "shards"

# Seconds of every bake beside decoding: to import, list and plan, to measure leaks and to draw the
# report. Measured: docs/performance.md, "What a plan counts".
START_SECONDS = 1.7


@dataclass(frozen=True, slots=True)
class Sample:
    """Measurements from decoding some of the sources.

    Attributes:
      pictures: number of sources decoded.
      rejected: number of sources that could not be decoded.
      encoded_bytes: mean size of a record's image.
      seconds: mean time per picture on one core.
      copy_seconds: mean time per augmented copy, without decoding.
    """

    pictures: int
    rejected: int
    encoded_bytes: float
    seconds: float
    copy_seconds: float


@dataclass(frozen=True, eq=False)
class Preview:
    """What a bake would make, and what it would cost.

    Attributes:
      config: of the bake, with what the input itself fixes.
      summary: number of files and classes.
      notes: how the input was understood, where it could have been otherwise.
      plan_notes: what the bake would say of its plan.
      failure: why the bake would fail, or None.
      manifest: that the bake would write, with empty digests.
      sources: the ledger that it would write.
      sample: measurements from decoding some of the sources.
      seconds: estimated time of the bake, its start and its report included.
      workers: number of processes that the estimate counts on.
    """

    config: PrepareConfig
    summary: str
    notes: tuple[str, ...]
    plan_notes: tuple[str, ...]
    failure: str | None
    manifest: Manifest
    sources: pa.Table
    sample: Sample
    seconds: float
    workers: int


def preview(config: PrepareConfig) -> Preview:
    """Returns what a bake would make and cost; writes nothing.

    Raises:
      UsageError: the input is not as expected, or no sampled file is a picture.
    """
    return _preview(config)[0]


def _preview(config: PrepareConfig) -> tuple[Preview, Sequence[SourceFile]]:
    """Returns a preview, and the rows of the files that were listed."""
    understood = BakeInput.of(config)
    config, rows = understood.config, understood.rows
    sources.check_groups(rows, config.group_by, config.group_column)
    sample = take_sample(rows, config)
    plan = make_plan(
        facts_table.facts_table([facts_table.facts_block(_expected(row, sample) for row in rows)]),
        _without_likeness(config),
    )
    workers = max(config.workers, 1)
    found = Preview(
        config=config,
        summary=understood.summary,
        notes=understood.notes,
        plan_notes=(*plan.notes, *_left_to_the_bake(config)),
        failure=plan.failure,
        manifest=planned_manifest(plan),
        sources=plan.sources,
        sample=sample,
        seconds=START_SECONDS + _work_seconds(plan, sample) / workers,
        workers=workers,
    )
    return found, rows


def run(config: PrepareConfig) -> int:
    """Prints the plan and returns the exit code.

    With --output_dir the plan is drawn to OUTPUT_DIR/report/plan.html; without, nothing is written.

    Raises:
      UsageError: as `preview`, or the output lies in the input.
      BakeError: the bake would fail.
    """
    if config.output_dir:
        bake_input.refuse_output(config)
        found, rows = _preview(config)
    else:
        found, rows = _preview_elsewhere(config)
    for note in found.notes:
        print(f"input: {note}")
    print(f"{found.summary}\n")
    planned = found.manifest
    width = shutil.get_terminal_size((100, 24)).columns
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    for line in inspect.class_table(planned, planned.splits, width, unicode):
        print(line)
    print()
    for line in inspect.split_table(planned.splits):
        print(line)
    if planned.folds:
        print()
        for line in inspect.fold_table(planned):
            print(line)
    print()
    print(cost(found))
    for note in found.plan_notes:
        print(f"note: {note}")
    if config.output_dir:
        print(f"drawn to {_draw(found, rows)}")
    if found.failure is not None:
        raise BakeError(f"this bake would fail: {found.failure}")
    output_dir = config.output_dir or _EXAMPLE
    bake = dataclasses.replace(config, output_dir=output_dir, plan_only=False)
    print(f"next: {summary.bake_command(bake)}")
    return 0


def _preview_elsewhere(config: PrepareConfig) -> tuple[Preview, Sequence[SourceFile]]:
    """Returns the same as `_preview`; a compressed tar is unpacked in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="evenshard-") as folder:
        return _preview(dataclasses.replace(config, output_dir=folder))


def _draw(found: Preview, rows: Sequence[SourceFile]) -> str:
    """Draws a plan into --output_dir and returns the path of its page."""
    # matplotlib takes a second to import.
    from beam_pipelines.report import page

    storage.make_directory(found.config.output_dir)
    by_key = {row.key: row for row in rows}
    return page.write_plan(
        found.config, found.manifest, found.sources, lambda key: sources.read(by_key[key])
    )


def take_sample(rows: Sequence[SourceFile], config: PrepareConfig) -> Sample:
    """Decodes up to `SAMPLE` sources, picked by a hash of their keys.

    Raises:
      UsageError: none of them is a picture.
    """
    usable = [row for row in rows if row.problem is None]
    sampled = sorted(usable, key=lambda row: stable_hash("sample", row.key))[:SAMPLE]
    sizes, decoding, copying = [], 0.0, 0.0
    for row in sampled:
        started = time.perf_counter()
        try:
            data = sources.read(row)
            sizes.append(len(canonicalise.canonicalise(data, config.image, config.limits).data))
        except (ImageError, OSError):
            continue
        decoded = time.perf_counter()
        image, _ = canonicalise.decode(data, config.image, config.limits)
        began = time.perf_counter()
        generator = copy_generator(config.seed, row.key, 1)
        copy = augmented_copy(image, config.image, config.augment, generator)
        canonicalise.encode(copy, config.image)
        decoding += decoded - started
        copying += time.perf_counter() - began
    if not sizes:
        raise UsageError(
            f"none of {len(sampled)} sampled files of {config.input_dir} is a picture; "
            "see --help for the expected input"
        )
    count = len(sizes)
    return Sample(
        count, len(sampled) - count, float(np.mean(sizes)), decoding / count, copying / count
    )


def planned_manifest(plan: Plan) -> Manifest:
    """Returns the manifest that the bake would write, with empty digests."""
    splits = []
    for name, records in plan.records.items():
        sizes = plan.facts["encoded_bytes"].to_numpy()[records.row]
        shards = tuple(
            ShardInfo(
                shard_name(plan.config.name, name, index, records.num_shards),
                len(sizes[records.of_shard(index)]),
                int(sizes[records.of_shard(index)].sum()),
                "0" * 64,
            )
            for index in range(records.num_shards)
        )
        originals, copies = (plan.counts(name, copies=flag) for flag in (False, True))
        splits.append(SplitInfo(name, originals, copies, shards))
    return Manifest(
        name=plan.config.name,
        classes=plan.classes,
        image=plan.config.image,
        splits=tuple(splits),
        statuses=plan.statuses(),
        config=identity.for_manifest(plan.config),
        digests={"dataset": "0" * 64},
        folds=plan.folds,
    )


def _expected(row: SourceFile, sample: Sample) -> ImageFacts:
    """Returns facts of a source that was not decoded, as far as a plan needs them."""
    if row.problem is not None:
        return ImageFacts(
            row.key,
            row.class_name,
            row.bytes,
            row.version,
            row.split,
            row.problem.value,
            "",
            group_value=row.group,
        )
    return ImageFacts(
        row.key,
        row.class_name,
        row.bytes,
        row.version,
        row.split,
        sha256=hashlib.sha256(row.key.encode()).hexdigest(),
        phash=0,
        fingerprint="00" * 32,
        encoded_bytes=round(sample.encoded_bytes),
        group_value=row.group,
    )


def _without_likeness(config: PrepareConfig) -> PrepareConfig:
    """Returns the configuration without the options that need decoded pictures."""
    return dataclasses.replace(
        config,
        near_duplicates=NearDuplicates.OFF,
        split_by=SplitBy.RANDOM,
        max_reject_fraction=1.0,
    )


def _left_to_the_bake(config: PrepareConfig) -> Iterator[str]:
    """Yields what a bake may do otherwise, since it looks at every picture."""
    parts = []
    if config.near_duplicates is not NearDuplicates.OFF:
        parts.append(f"finds near duplicates (--near_duplicates={config.near_duplicates.value})")
    if config.split_by is SplitBy.APPEARANCE:
        parts.append("splits by appearance (--split_by=appearance)")
    elif config.split_by is SplitBy.AUTO:
        parts.append("splits by names or appearance if many pictures are related (--split_by=auto)")
    if parts:
        yield (
            f"planned without comparing pictures: the bake {' and '.join(parts)}, so that some go "
            "to another split or are left out"
        )


def _work_seconds(plan: Plan, sample: Sample) -> float:
    """Returns how long one core would decode and augment."""
    jobs = [len(job.copies) for job in plan.copy_jobs()]
    # A source with copies is decoded a second time for them.
    decoded, copies = len(plan.facts) + len(jobs), sum(jobs)
    return decoded * sample.seconds + copies * sample.copy_seconds


def cost(found: Preview) -> str:
    """Returns the time that a bake would take, in words, and what it is estimated from."""
    sample = found.sample
    rejects = ""
    if sample.rejected:
        files = sample.pictures + sample.rejected
        verb = "is not a picture" if sample.rejected == 1 else "are not pictures"
        rejects = f"; {sample.rejected} of {files} sampled files {verb}"
    return (
        f"about {_duration(found.seconds)} with {_workers(found.workers)}: "
        f"{START_SECONDS} s to start and to report, "
        f"{sample.seconds * 1e3:.1f} ms a picture, {sample.copy_seconds * 1e3:.1f} ms a copy "
        f"(sample of {sample.pictures}, {sizes.readable(sample.encoded_bytes)} a record{rejects})"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
