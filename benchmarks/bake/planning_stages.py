"""The stages of `benchmarks.bake.planning`, run and measured in one process."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import bundles, make_tasks
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.similarity import banding, duplicates, partitioned
from beam_pipelines.similarity.partitioned import JoinedDuplicates
from benchmarks.bake import synthetic_facts
from benchmarks.bake.synthetic_facts import Shape
from benchmarks.harness.stage_meter import Meter, Stage
from tfrecords.inputs.rows import SourceFile

_LENGTH_BYTES = 8

# Blocks of facts that are made again to see what making them takes.
_BLOCKS_MADE = 50


def measure(pictures: int, masks: int) -> list[Stage]:
    """Plans made-up pictures as an engine would, and returns its stages.

    Args:
      pictures: how many.
      masks: under which near duplicates are looked for, spread over all; 0 for all.
    """
    shape = Shape(pictures)
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        meter.enter()
        _list(shape, folder, meter)
        _write(folder / "blocks", synthetic_facts.blocks(shape))
        _make_blocks(folder / "blocks", shape, meter)
        joined = _join(folder, shape, masks, meter)
        meter.enter()
        facts = meter.whole(
            "gather", lambda: facts_table.facts_table(_read(folder / "blocks"), ["fingerprint"])
        )
        _plan(facts, joined, shape, folder, meter)
    return list(meter.stages.values())


def _list(shape: Shape, folder: Path, meter: Meter) -> None:
    """What the command holds: a row for each file, from which it deals bundles."""
    layout = Layout.of(PrepareConfig(input_dir="in", output_dir=folder))
    Path(layout.listing_dir).mkdir(parents=True)
    config = PrepareConfig(input_dir="in", output_dir=folder)

    def listed() -> int:
        rows = [
            SourceFile(key, f"/mnt/pictures/{key}", key.split("/")[0], 100_000 + place, place)
            for place, key in enumerate(synthetic_facts.keys(shape))
        ]
        return _count(bundles.bundle_tasks(rows, config, layout))

    meter.whole("list, in the command", listed)


def _make_blocks(path: Path, shape: Shape, meter: Meter) -> None:
    """How workers make blocks of their facts: some are made again."""
    some = itertools.islice(_read(path), _BLOCKS_MADE)
    batches = [batch for block in some for batch in facts_table.batches(block)]
    for batch in batches:
        rows = [_facts(row) for row in batch.to_pylist()]
        meter.part("make blocks", facts_table.facts_block, rows)
    meter.scale("make blocks", shape.pictures / sum(len(batch) for batch in batches))


def _facts(row: dict[str, Any]) -> ImageFacts:
    """Returns a row of a table of facts as workers have it."""
    text = {name: row[name] and row[name].hex() for name in ("sha256", "fingerprint")}
    return ImageFacts(**{**row, **text, "version": 0})


class _Parts:
    """Rows in files, one for each key: what a shuffle is between two rounds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._keys: dict[Any, Path] = {}

    def add(self, sent: Iterable[tuple[Any, np.ndarray]]) -> None:
        for key, rows in sent:
            path = self._keys.setdefault(key, self._folder / str(len(self._keys)))
            with path.open("ab") as file:
                file.write(rows.tobytes())

    def take(self, kind: Any) -> Iterator[tuple[Any, np.ndarray]]:
        """Yields the rows of each key; its file is gone then."""
        for key, path in sorted(self._keys.items()):
            rows = np.fromfile(path, kind)
            path.unlink()
            yield key, rows
        self._folder.rmdir()


def _join(folder: Path, shape: Shape, masks: int, meter: Meter) -> JoinedDuplicates:
    """The rounds of `partitioned`, as the steps of `beam_join` run them."""
    count = -(-shape.pictures // partitioned.PART_ROWS)
    limit = duplicates.MAX_DISTANCE
    spread = _Parts(folder / "marks")
    for block in _read(folder / "blocks"):
        spread.add(meter.part("spread marks", _marks, block, count))
    kept = _Parts(folder / "kept")
    twins = []
    for part, marked in spread.take(partitioned.MARK):
        of_part, others = meter.part("drop twins", partitioned.distinct, marked)
        kept.add([(part, of_part)])
        twins.append(others.tobytes())
    parts = [rows for _, rows in kept.take(partitioned.MARK)]
    chosen = _chosen_masks(folder, parts, count, meter)
    some = chosen[:: max(1, len(chosen) // masks)] if masks else chosen
    pairs = _Parts(folder / "pairs")
    for mask in some:
        bands = _Parts(folder / "bands")
        for rows in parts:
            bands.add(meter.part("spread bands", list, partitioned.bands(rows, [mask], count)))
        for _, band in bands.take(partitioned.MARK):
            found = meter.part("find pairs", partitioned.pairs_of, band, mask, limit)
            again = partitioned.parts(found["left"].astype(np.uint64), count)
            pairs.add((part, found[rows]) for part, rows in again)
    united = [
        meter.part("unite pairs", partitioned.unique_pairs, rows).tobytes()
        for _, rows in pairs.take(partitioned.PAIR)
    ]
    for name in ("spread bands", "find pairs", "unite pairs"):
        meter.scale(name, len(chosen) / len(some))
    return JoinedDuplicates.of(twins, united)


def _marks(block: bytes, count: int) -> list[tuple[int, np.ndarray]]:
    (batch,) = facts_table.batches(block)
    marked = partitioned.marks(batch, labelled=False)
    return [(part, marked[rows]) for part, rows in partitioned.parts(marked["words"], count)]


def _chosen_masks(
    folder: Path, parts: list[np.ndarray], count: int, meter: Meter
) -> tuple[np.uint64, ...]:
    limit = duplicates.MAX_DISTANCE
    shown = _Parts(folder / "shown")
    for rows in parts:
        shown.add(meter.part("show masks", list, partitioned.masked_words(rows, limit, count)))
    counted = [
        partitioned.MaskCount(
            *key[:2],
            meter.part("count pairs", banding.count_pairs, words),
            len(words),
        )
        for key, words in shown.take(np.uint64)
    ]
    return partitioned.best_masks(counted, limit)


def _plan(
    facts: pa.Table, joined: JoinedDuplicates, shape: Shape, folder: Path, meter: Meter
) -> None:
    config = PrepareConfig(input_dir="in", output_dir=folder, per_class=400)
    layout = Layout.of(config)
    plan = meter.whole("plan", lambda: make_plan(facts, config, joined=joined))
    meter.whole("ledger", lambda: _write_ledger(folder / "ledger", plan))
    meter.whole("digest", plan.sources_digest)
    order = meter.whole("copy order", lambda: make_tasks.CopyOrder.of(plan, shape.bundles))
    packs = meter.whole(
        "copies", lambda: [task.pack for task in make_tasks.copy_tasks(plan, order, layout)]
    )
    meter.whole("shards", lambda: _count(make_tasks.shard_tasks(plan, order, packs, layout)))


def _write_ledger(path: Path, plan: Plan) -> None:
    with path.open("wb") as file:
        facts_table.write_ledger(file, plan.ledger(facts_table.LEDGER_ROWS))


def _write(path: Path, blocks: Iterable[bytes]) -> None:
    """Blocks wait on disk, as in an engine's shuffle, so that only what a stage holds counts."""
    with path.open("wb") as file:
        for block in blocks:
            file.write(len(block).to_bytes(_LENGTH_BYTES, "little") + block)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield file.read(int.from_bytes(length, "little"))


def _count(made: Iterable[Any]) -> int:
    """Returns how many there are; each is gone before the next is made."""
    return sum(1 for _ in made)
