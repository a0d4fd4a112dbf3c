"""The join of `partitioned` as Beam steps. Its shuffles carry fingerprints and numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.cache import facts_table
from beam_pipelines.similarity import banding, partitioned

# Marks that a worker collects, 20 MB, so that they go to 100 parts in blocks of 200 kB.
_WAITING_ROWS = 1 << 19

# Outputs of the join: blocks of `partitioned.TWIN` and of `partitioned.PAIR`.
TWINS, PAIRS = "twins", "pairs"

_KEPT = "kept"


@dataclass
class JoinNearDuplicates(beam.PTransform):
    """Finds all near duplicates, a part of them at a time; outputs `TWINS` and `PAIRS`.

    Args:
      max_distance: as for `duplicates.near_groups`.
      parts: number of parts that each round is cut into.
      labelled: whether files that occur in two classes are left out.
    """

    max_distance: int
    parts: int
    labelled: bool

    def __post_init__(self) -> None:
        super().__init__()

    def expand(
        self, facts: beam.PCollection[tuple[None, bytes]]
    ) -> dict[str, beam.PCollection[bytes]]:
        distinct = (
            facts
            | "SpreadMarks"
            >> beam.ParDo(SpreadMarks(self.parts, self.labelled)).with_output_types(
                tuple[int, bytes]
            )
            | "MeetEqual" >> beam.GroupByKey()
            # (part, [marks])
            | "DropTwins" >> beam.ParDo(DropTwins(self.labelled)).with_outputs(_KEPT, TWINS)
        )
        counts = (
            distinct[_KEPT]
            | "SampleMasks"
            >> beam.FlatMap(_masked_words, self.max_distance, self.parts).with_output_types(
                tuple[tuple[int, int, int], bytes]
            )
            | "MeetUnderSampledMasks" >> beam.GroupByKey()
            # ((choice, sample, part), [words])
            | "CountPairs" >> beam.MapTuple(_count_pairs).with_output_types(partitioned.MaskCount)
        )
        pairs = (
            distinct[_KEPT]
            | "SpreadBands"
            >> beam.FlatMap(
                _bands, beam.pvalue.AsList(counts), self.max_distance, self.parts
            ).with_output_types(tuple[tuple[int, int], bytes])
            | "MeetUnderMasks" >> beam.GroupByKey()
            # ((number of the mask, part), [marks])
            | "FindPairs"
            >> beam.FlatMap(
                _pairs, beam.pvalue.AsList(counts), self.max_distance, self.parts
            ).with_output_types(tuple[int, bytes])
            | "MeetAgain" >> beam.GroupByKey()
            # (part, [pairs])
            | "UnitePairs" >> beam.MapTuple(_unique_pairs).with_output_types(bytes)
        )
        return {TWINS: distinct[TWINS], PAIRS: pairs}


class _Blocks:
    """Collects rows until those of a part make a block."""

    def __init__(self) -> None:
        self._rows_of_part: dict[int, list[np.ndarray]] = defaultdict(list)
        self._rows = 0

    def add(self, part: int, rows: np.ndarray) -> None:
        self._rows_of_part[part].append(rows)
        self._rows += len(rows)

    def full(self) -> bool:
        return self._rows >= _WAITING_ROWS

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Yields the collected rows, a block for each part, and forgets them."""
        rows_of_part, self._rows_of_part, self._rows = self._rows_of_part, defaultdict(list), 0
        for part in sorted(rows_of_part):
            yield part, np.concatenate(rows_of_part[part]).tobytes()


class SpreadMarks(beam.DoFn):
    """Sends the marks of blocks of facts to the parts of their fingerprints."""

    def __init__(self, parts: int, labelled: bool) -> None:
        self._parts = parts
        self._labelled = labelled

    def start_bundle(self) -> None:
        self._blocks = _Blocks()

    def process(self, facts: tuple[None, bytes]) -> Iterator[tuple[int, bytes]]:
        for batch in facts_table.batches(facts[1]):
            marked = partitioned.marks(batch, labelled=self._labelled)
            for part, rows in partitioned.parts(marked["words"], self._parts):
                self._blocks.add(part, marked[rows])
        if self._blocks.full():
            yield from self._blocks.take()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for block in self._blocks.take():
            yield WindowedValue(block, GlobalWindow().max_timestamp(), [GlobalWindow()])


class DropTwins(beam.DoFn):
    """Keeps one mark of each fingerprint; the others go to `TWINS`."""

    def __init__(self, labelled: bool) -> None:
        self._kind = partitioned.LABELLED_MARK if labelled else partitioned.MARK

    def process(self, part: tuple[int, Iterable[bytes]]) -> Iterator[beam.pvalue.TaggedOutput]:
        kept, twins = partitioned.distinct(partitioned.concatenated(list(part[1]), self._kind))
        yield beam.pvalue.TaggedOutput(_KEPT, kept.tobytes())
        yield beam.pvalue.TaggedOutput(TWINS, twins.tobytes())


def _masked_words(
    kept: bytes, max_distance: int, parts: int
) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    for key, words in partitioned.masked_words(
        np.frombuffer(kept, partitioned.MARK), max_distance, parts
    ):
        yield key, words.tobytes()


def _count_pairs(key: tuple[int, int, int], blocks: Iterable[bytes]) -> partitioned.MaskCount:
    choice, sample, _ = key
    words = np.frombuffer(b"".join(blocks), np.uint64)
    return partitioned.MaskCount(choice, sample, banding.count_pairs(words), len(words))


def _bands(
    kept: bytes, counts: Sequence[partitioned.MaskCount], max_distance: int, parts: int
) -> Iterator[tuple[tuple[int, int], bytes]]:
    masks = partitioned.best_masks(counts, max_distance)
    for key, band in partitioned.bands(np.frombuffer(kept, partitioned.MARK), masks, parts):
        yield key, band.tobytes()


def _pairs(
    band: tuple[tuple[int, int], Iterable[bytes]],
    counts: Sequence[partitioned.MaskCount],
    max_distance: int,
    parts: int,
) -> Iterator[tuple[int, bytes]]:
    (number, _), blocks = band
    mask = partitioned.best_masks(counts, max_distance)[number]
    pairs = partitioned.pairs_of(
        partitioned.concatenated(list(blocks), partitioned.MARK), mask, max_distance
    )
    # The same pair, found under other masks, goes to the same part.
    for part, rows in partitioned.parts(pairs["left"].astype(np.uint64), parts):
        yield part, pairs[rows].tobytes()


def _unique_pairs(_: int, blocks: Iterable[bytes]) -> bytes:
    return partitioned.unique_pairs(
        partitioned.concatenated(list(blocks), partitioned.PAIR)
    ).tobytes()
