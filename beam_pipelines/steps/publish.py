"""Publishes a data set: shards under their final names, tables beside them, the manifest last."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import SHARD_DONE, Layout
from beam_pipelines.choices import SplitBy
from beam_pipelines.similarity.leak_meter import MEASURED_FOLD, LeakMeter, total_of_splits
from beam_pipelines.similarity.optimism import Optimism
from beam_pipelines.steps.measure_leaks import Measured
from beam_pipelines.tasks import PlanSummary, ShardResult
from tfrecords import manifest, tfds
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo
from tfrecords.sharding import is_shard_name

OUTCOME = "outcome.json"
FAILED_SOURCES = "sources.failed.parquet"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a bake ended, for the command that started it.

    Attributes:
      failure: why there is no data set, or None.
      ledger: path of the table of sources.
      notes: of the plan.
      leaks: the leak meter of each held-out split.
      copy_packs: names of the packs of copies that the plan uses.
      left_out: status → reason in words → number of sources that are in no shard.
      split_by: what pictures were split by, after `--split_by=auto` decided.
      optimism: what the first held-out split claims, or None if nothing was compared.
    """

    failure: str | None
    ledger: str
    notes: tuple[str, ...]
    leaks: tuple[LeakMeter, ...]
    copy_packs: tuple[str, ...]
    left_out: Mapping[str, Mapping[str, int]]
    split_by: SplitBy
    optimism: Optimism | None = None

    @classmethod
    def load(cls, cache_dir: str) -> Outcome:
        """Returns the outcome that `publish_dataset` left."""
        fields = json.loads(storage.read_bytes(storage.join(cache_dir, OUTCOME)))
        return cls(
            fields["failure"],
            fields["ledger"],
            tuple(fields["notes"]),
            tuple(map(LeakMeter.from_fields, fields["leaks"])),
            tuple(fields["copy_packs"]),
            fields["left_out"],
            SplitBy(fields["split_by"]),
            Optimism.from_fields(fields["optimism"]),
        )


def publish_dataset(
    summary: PlanSummary,
    shards: Iterable[ShardResult],
    leaks: Iterable[Measured],
    layout: Layout,
) -> Outcome:
    """Publishes the data set, or only the ledger if the plan failed.

    May be repeated after a kill: what has been moved already is left alone.

    Args:
      summary: of the plan.
      shards: all of them, in any order.
      leaks: meters of some classes each, and the optimism, in any order.
      layout: of the bake.
    """
    output_dir = layout.output_dir
    of_splits: tuple[LeakMeter, ...] = ()
    measured = list(leaks)
    claims = [each for each in measured if isinstance(each, Optimism)]
    if summary.failure is None:
        of_splits = leaks_of(summary, measured)
        ledger = storage.join(output_dir, manifest.SOURCES)
        _publish(manifest_of(summary, shards), summary, layout)
    else:
        complete = storage.exists(storage.join(output_dir, manifest.MANIFEST))
        name = FAILED_SOURCES if complete else manifest.SOURCES
        ledger = storage.join(output_dir, name)
        storage.write_bytes(ledger, storage.read_bytes(summary.sources))
    outcome = Outcome(
        summary.failure,
        ledger,
        summary.notes,
        of_splits,
        summary.copy_packs,
        summary.left_out,
        SplitBy(summary.config["split_by"]),
        claims[0] if claims else None,
    )
    storage.write_bytes(
        storage.join(layout.cache_dir, OUTCOME), json.dumps(dataclasses.asdict(outcome)).encode()
    )
    return outcome


def leaks_of(summary: PlanSummary, measured: Iterable[Measured]) -> tuple[LeakMeter, ...]:
    """Returns the leak meter of each held-out split, from its parts in any order."""
    meters = [each for each in measured if isinstance(each, LeakMeter)]
    return total_of_splits(meters, [*summary.splits, *([MEASURED_FOLD] if summary.folds else [])])


def manifest_of(summary: PlanSummary, shards: Iterable[ShardResult]) -> Manifest:
    """Returns the manifest of a plan and the shards that are written."""
    infos: dict[str, list[ShardInfo]] = defaultdict(list)
    for shard in shards:
        infos[shard.split].append(shard.info)
    splits = tuple(
        SplitInfo(
            name,
            originals,
            copies,
            tuple(sorted(infos[name], key=lambda info: info.filename)),
        )
        for name, (originals, copies) in summary.splits.items()
    )
    return Manifest(
        name=summary.name,
        classes=summary.classes,
        image=summary.image,
        splits=splits,
        statuses=summary.statuses,
        config=summary.config,
        digests={
            "sources": summary.sources_digest,
            "config": manifest.digest_of_config(summary.config),
            "dataset": manifest.digest_of_shards(splits),
        },
        folds=summary.folds,
    )


def _publish(complete: Manifest, summary: PlanSummary, layout: Layout) -> None:
    output_dir = layout.output_dir
    final = storage.join(output_dir, manifest.MANIFEST)
    # From here to the last line there is no data set: a reader never sees a mix of two.
    storage.remove(final)
    kept = {shard.filename for split in complete.splits for shard in split.shards}
    for name in storage.list_names(output_dir):
        if is_shard_name(name) and name not in kept:
            storage.remove(storage.join(output_dir, name))
    for name in sorted(kept):
        staged = storage.join(layout.staging_dir, name)
        if storage.exists(staged):
            storage.rename(staged, storage.join(output_dir, name))
            storage.remove(staged + SHARD_DONE)
    storage.remove(storage.join(output_dir, FAILED_SOURCES))
    files = {name: text.encode() for name, text in tfds.metadata_files(complete).items()}
    files[manifest.SOURCES] = storage.read_bytes(summary.sources)
    for name, data in files.items():
        storage.write_bytes(storage.join(output_dir, name), data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    sealed = dataclasses.replace(complete, files=digests).sealed()
    storage.write_bytes(final, sealed.to_json().encode(), durable=True)
