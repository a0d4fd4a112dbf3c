"""Carries out a bake whose bundles are dealt: runs the steps, writes the report, cleans up."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from beam_pipelines import complete, faults, flags, local
from beam_pipelines.bake_steps import COPIES_MADE, DECODED, SHARDS_WRITTEN
from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import COPIES, FACTS, Layout
from beam_pipelines.cache.packs import INDEX, PACK
from beam_pipelines.cache.thumbnails import THUMBNAILS
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.dealing import Dealt, say
from beam_pipelines.planning.bundles import count_bundles
from beam_pipelines.progress import BakeProgress
from beam_pipelines.report.bake_facts import REPORT_DIRECTORY, REPORT_PAGE, BakeFacts
from beam_pipelines.report.source_reader import source_reader
from beam_pipelines.steps import publish
from beam_pipelines.steps.measure_leaks import Measured
from beam_pipelines.steps.publish import OUTCOME, Outcome
from beam_pipelines.summary import already_lines, honesty_lines, summary_lines
from beam_pipelines.tasks import BundleTask, PlanSummary
from tfrecords import manifest
from tfrecords.cli.run import one_line
from tfrecords.errors import BakeError
from tfrecords.images.decode_pool import WorkerPool
from tfrecords.manifest import Manifest

if TYPE_CHECKING:
    from beam_pipelines.report.draw_figures import Drawing


def carry_out(
    dealt: Dealt,
    layout: Layout,
    beam_arguments: Sequence[str],
    pool: WorkerPool | None,
) -> int:
    """Carries out a bake and returns the command's exit code; raises what `run` does.

    Args:
      dealt: its input.
      layout: of the bake.
      beam_arguments: options of Beam, including the runner.
      pool: of worker processes, for steps that run in this process; None if there is none.
    """
    config, bundles, files = dealt.config, dealt.bundles, dealt.files
    figures = _Figures(pool)
    with BakeProgress(layout, len(bundles), dealt.to_decode) as progress:
        outcome, counters = _run_pipeline(dealt, layout, beam_arguments, pool, figures)
    _say_outcome(config, outcome)
    if outcome.failure is not None:
        raise BakeError(f"{outcome.failure}. Each file's reason is in {outcome.ledger}")
    facts = BakeFacts(
        files,
        progress.seconds,
        (*dealt.notes, *outcome.notes),
        outcome.leaks,
        optimism=outcome.optimism,
    )
    try:
        failure = _try_report(facts, layout, pool, figures.drawing)
    finally:
        _remove_spooled(layout, dealt.spooled)
        _clean(config, layout, bundles, outcome)
    if failure is not None:
        # A full disk may have room now that the cache is gone.
        failure = _try_report(facts, layout, pool)
    with storage.fetched(config.output_dir, manifest.MANIFEST) as folder:
        dataset = manifest.load(folder)
    done = _work_done(dataset, counters, dealt.to_decode)
    if done is not None:
        say(done)
    for line in summary_lines(config, dataset, outcome.left_out, reported=failure is None):
        say(line)
    if failure is not None:
        raise _unreported(config, failure) from failure
    return 0


def _say_outcome(config: PrepareConfig, outcome: Outcome) -> None:
    for note in outcome.notes:
        say(f"note: {note}")
    for meter in outcome.leaks:
        say(meter.note(by_appearance=outcome.split_by is SplitBy.APPEARANCE))
    for line in honesty_lines(config, outcome.split_by, outcome.leaks, outcome.optimism):
        say(line)


def already_baked(config: PrepareConfig) -> int:
    """Says that the data set is there; writes its report, if that was cut off.

    Raises:
      UsageError: another data set is there.
      BakeError: its report cannot be written.
    """
    dataset = complete.require_same(config)
    if not storage.exists(storage.join(config.output_dir, REPORT_DIRECTORY, REPORT_PAGE)):
        from beam_pipelines.report import again

        try:
            again.write_again(config.output_dir)
        except Exception as error:  # Of any library that draws, as below.
            raise _unreported(config, error) from error
    for line in already_lines(config, dataset):
        say(line)
    return 0


def _unreported(config: PrepareConfig, failure: Exception) -> BakeError:
    return BakeError(
        f"the data set in {config.output_dir} is complete, but its report is not written: "
        f"{one_line(failure)}. Then `evenshard report {shlex.quote(config.output_dir)}` writes it"
    )


class _Figures:
    """The figures of the report, begun while the last shards are written.

    Args:
      pool: of worker processes, or None.

    Attributes:
      drawing: None until begun, and where that failed: the report begins them again and tells why.
    """

    def __init__(self, pool: WorkerPool | None) -> None:
        self._pool = pool
        self.drawing: Drawing | None = None

    def begin(self, summary: PlanSummary, measured: Sequence[Measured]) -> None:
        from beam_pipelines.report import page

        with contextlib.suppress(Exception):
            with storage.open_read(summary.sources) as file:
                sources = pq.read_table(file, columns=list(page.FIGURE_COLUMNS))
            leaks = publish.leaks_of(summary, measured)
            planned = publish.manifest_of(summary, ())
            self.drawing = page.begin_figures(planned, sources, leaks, self._pool)


def _run_pipeline(
    dealt: Dealt,
    layout: Layout,
    beam_arguments: Sequence[str],
    pool: WorkerPool | None,
    figures: _Figures,
) -> tuple[Outcome, dict[str, int]]:
    """Bakes without or with Beam; returns the outcome and the counters, {} if there are none."""
    storage.remove(storage.join(layout.cache_dir, OUTCOME))
    num_bundles = count_bundles(dealt.files)
    bundles, config = dealt.bundles, dealt.config
    try:
        if flags.needs_beam(beam_arguments):
            from beam_pipelines import engine

            return engine.bake(bundles, config, layout, num_bundles, beam_arguments, pool)
        return local.bake(bundles, config, layout, num_bundles, pool, figures.begin)
    except Exception as error:
        bake_error = faults.bake_error(error)
        if bake_error is None or bake_error is error:
            raise
        raise bake_error from error


def _work_done(dataset: Manifest, counters: dict[str, int], to_decode: int) -> str | None:
    """Returns what this run did and what it reused from earlier ones; None if not counted."""
    if not counters:
        return None
    copies = sum(sum(split.copies) for split in dataset.splits)
    shards = sum(len(split.shards) for split in dataset.splits)
    work = (
        ("decoded", counters.get(DECODED, 0), to_decode, "files"),
        ("made", counters.get(COPIES_MADE, 0), copies, "copies"),
        ("wrote", counters.get(SHARDS_WRITTEN, 0), shards, "shards"),
    )
    text = ", ".join(f"{verb} {done:,} of {total:,} {unit}" for verb, done, total, unit in work)
    reused = any(done < total for _, done, total, _ in work)
    return text + ("; the rest was reused from earlier runs" if reused else "")


def _remove_spooled(layout: Layout, read: Collection[str]) -> None:
    """Removes the plain forms of compressed tars that were the input of earlier bakes."""
    for name in storage.list_names(layout.spool_dir):
        path = storage.join(layout.spool_dir, name)
        if path not in read:
            storage.remove(path)


def _clean(
    config: PrepareConfig, layout: Layout, bundles: Sequence[BundleTask], outcome: Outcome
) -> None:
    """Removes the cache, or the part of it that the finished bake did not use."""
    if not config.keep_cache:
        storage.remove(layout.cache_dir)
        return
    kept = {task.pack for task in bundles} | set(outcome.copy_packs)
    for directory, last in ((layout.canonical_dir, FACTS), (layout.copies_dir, COPIES)):
        for name in storage.list_names(directory):
            # The suffix that says "complete" goes first, so no half pack is ever used.
            stem = name.removesuffix(last)
            if name.endswith(last) and stem not in kept:
                for suffix in (last, THUMBNAILS, INDEX, PACK):
                    storage.remove(storage.join(directory, stem + suffix))


def _try_report(
    facts: BakeFacts, layout: Layout, pool: WorkerPool | None, drawing: Drawing | None = None
) -> Exception | None:
    """Writes the report; returns what kept it from being written, for the data set is complete."""
    from beam_pipelines.report import page

    try:
        facts.save(layout.output_dir)
        reader = source_reader(layout, facts.files)
        page.write_for(layout.output_dir, facts, reader, pool, drawing)
    except Exception as error:
        # Of any library that draws: the data set is no worse for it, and the error is told.
        return error
    return None
