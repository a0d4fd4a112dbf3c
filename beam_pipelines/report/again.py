"""Writes the report of an earlier bake again, from what it left."""

from __future__ import annotations

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.report import page
from beam_pipelines.report.bake_facts import FACTS, REPORT_DIRECTORY, BakeFacts
from beam_pipelines.steps.publish import Outcome
from tfrecords.system import locks


def write_again(output_dir: str) -> tuple[str, str]:
    """Writes the report of a bake anew, and removes a cache that it would have removed.

    Returns:
      The page's path, and a note on what is missing on it; "" if nothing is.

    Raises:
      ManifestError, LedgerError: there is no data set, or it is damaged.
      DamagedRecordError: a shard with a picture to show is damaged.
      LockedError: a bake is writing there.
      BakeError: a file cannot be written.
    """
    storage.configure([])
    layout = Layout(output_dir, "", "")
    lock = storage.join(layout.cache_dir, "lock")
    if not storage.is_remote(output_dir) and locks.is_locked(lock):
        raise locks.LockedError(f"a bake is writing to {output_dir}: wait for it to end")
    facts, note = BakeFacts.load(output_dir) or _of_cache(layout), ""
    if facts is None:
        facts = BakeFacts()
        note = (
            f"{output_dir} has no {REPORT_DIRECTORY}/{FACTS}: without its leaks, notes and timings"
        )
    path = page.write_for(output_dir, facts)
    if not facts.keep_cache:
        storage.remove(layout.cache_dir)
    return path, note


def _of_cache(layout: Layout) -> BakeFacts | None:
    """Returns what a bake knew that was killed before it could write it beside the report."""
    try:
        outcome = Outcome.load(layout.cache_dir)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return BakeFacts(notes=outcome.notes, leaks=outcome.leaks, optimism=outcome.optimism)
