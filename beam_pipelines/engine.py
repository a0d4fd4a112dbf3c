"""Runs the pipeline of a bake on one of Beam's runners."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult
from apache_beam.utils.shared import Shared

from beam_pipelines import flags
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.faults import bake_error
from beam_pipelines.pipeline import COUNTERS, BakeDataset
from beam_pipelines.steps.publish import Outcome
from beam_pipelines.tasks import BundleTask
from tfrecords.images.decode_pool import WorkerPool

# Modules of Beam 2.77's runners that log what a worker raised before they raise it.
_LOGS_ERRORS = ("common", "worker.sdk_worker")


def bake(
    bundles: Sequence[BundleTask],
    config: PrepareConfig,
    layout: Layout,
    num_bundles: int,
    beam_arguments: Sequence[str],
    pool: WorkerPool | None,
) -> tuple[Outcome, dict[str, int]]:
    """Bakes; returns the outcome and the counters, {} if the runner has none.

    Args:
      bundles: of the sources.
      config, layout: of the bake.
      num_bundles: number of bundles that the sources are in.
      beam_arguments: options of Beam, including the runner.
      pool: of worker processes, for steps that run in this process; None if there is none.
    """
    shared = Shared()
    if pool is not None:
        # Kept as long as `pool` is, so that every step of this process acquires it.
        shared.acquire(lambda: pool)
    # Beam logs each stage of each worker; warnings still reach the terminal.
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    root = beam.Pipeline(options=flags.beam_options(beam_arguments))
    with _plain_labels():
        (
            root
            | "ListBundles" >> beam.Create(bundles, reshuffle=True)
            | "Bake" >> BakeDataset(config, num_bundles, shared)
        )
    with _told_once():
        result = root.run()
        result.wait_until_finish()
    return Outcome.load(layout.cache_dir), _counters(result)


def _is_news(record: logging.LogRecord) -> bool:
    """Returns whether a runner logs something else than the error that ends the bake anyway."""
    error = record.exc_info[1] if record.exc_info else None
    told = (error, Exception(record.getMessage()))
    return not any(each is not None and bake_error(each) for each in told)


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """Keeps Beam from logging the tracebacks of what is raised too, and then told in one line."""
    loggers = [logging.getLogger(f"apache_beam.runners.{name}") for name in _LOGS_ERRORS]
    for logger in loggers:
        logger.addFilter(_is_news)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_news)


@contextlib.contextmanager
def _plain_labels() -> Iterator[None]:
    """Keeps Beam 2.77 from naming steps after the cell of a notebook.

    It imports its interactive package for that, which fails without pandas and with pandas 3.
    """
    from apache_beam import pipeline

    original = pipeline.alter_label_if_ipython
    pipeline.alter_label_if_ipython = lambda transform, pvalueish: None
    try:
        yield
    finally:
        pipeline.alter_label_if_ipython = original


def _counters(result: PipelineResult) -> dict[str, int]:
    try:
        counters = result.metrics().query(MetricsFilter().with_namespace(COUNTERS))["counters"]
    except (NotImplementedError, ValueError):
        # Runners without metrics raise one or the other; the data set is no worse for it.
        return {}
    return {counter.key.metric.name: int(counter.result) for counter in counters}
