"""Thumbnails of the sources that a bake's report mentions."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageFile

from beam_pipelines.report.source_reader import ReadSource
from tfrecords import ledger, reader
from tfrecords.images import canonicalise
from tfrecords.images.rejects import ImageError, RejectReason
from tfrecords.manifest import Manifest
from tfrecords.reader import OpenShard
from tfrecords.reporting import html
from tfrecords.schema import ImageSpec, Resize

THUMBNAIL_SIDE = 128

# A source is opened again for its thumbnail only if that costs little and crashed no process.
_MAX_SOURCE_BYTES = 32 * 2**20
_MAX_SOURCE_PIXELS = 40_000_000
_SHOWABLE = frozenset(
    (
        RejectReason.TRUNCATED.value,
        RejectReason.CORRUPT.value,
        RejectReason.TOO_SMALL.value,
        RejectReason.TOO_LARGE.value,
        RejectReason.NO_CLASS.value,
        RejectReason.LABEL_CONFLICT.value,
    )
)


class Thumbnails:
    """Makes thumbnails of sources by key: from the shards if they are kept, else from the source.

    Args:
      dataset: the manifest.
      sources: the ledger.
      open_shard: opens a shard by file name; None if there are no shards yet.
      read_source: returns the bytes of a source by key; None if sources cannot be read.
    """

    def __init__(
        self,
        dataset: Manifest,
        sources: pa.Table,
        open_shard: OpenShard | None,
        read_source: ReadSource | None,
    ) -> None:
        self._spec = dataset.image
        self._sources = sources
        self._open_shard = open_shard
        self._read_source = read_source

    def of(self, keys: Iterable[str]) -> dict[str, str]:
        """Returns key → `src` of an image, for those of `keys` that can be shown."""
        rows = self._sources.filter(
            pc.field("key").isin(pa.array(sorted(set(keys)), pa.string()))
        ).to_pylist()
        kept = {}
        if self._open_shard is not None:
            kept = {(r["shard"], r["position"]): r["key"] for r in rows if r["shard"] is not None}
        uris = self._from_shards(kept)
        for row in rows:
            if row["key"] not in uris and (image := self._from_source(row)) is not None:
                uris[row["key"]] = _thumbnail(image)
        return uris

    def _from_shards(self, kept: dict[tuple[str, int], str]) -> dict[str, str]:
        if self._open_shard is None:
            return {}
        positions: dict[str, list[int]] = defaultdict(list)
        for shard, position in kept:
            positions[shard].append(position)
        return {
            kept[stored.shard, stored.position]: _thumbnail(
                Image.fromarray(canonicalise.decode_record(stored.record.image, self._spec))
            )
            for stored in reader.read_positions(positions, self._open_shard)
        }

    def _from_source(self, row: dict) -> Image.Image | None:
        if self._read_source is None or not _worth_opening(row):
            return None
        try:
            return lenient_decode(self._read_source(row["key"]))
        except (OSError, KeyError, ImageError):
            return None


def _thumbnail(image: Image.Image) -> str:
    return html.thumbnail_uri(image, THUMBNAIL_SIDE)


def _worth_opening(row: dict) -> bool:
    if row["status"] in (ledger.REJECTED, ledger.CHANGED) and row["reason"] not in _SHOWABLE:
        return False
    small = (row["bytes"] or 0) <= _MAX_SOURCE_BYTES
    return small and (row["width"] or 0) * (row["height"] or 0) <= _MAX_SOURCE_PIXELS


def lenient_decode(data: bytes) -> Image.Image:
    """Returns what can be decoded of a source, the rest grey: for people, never for training.

    Raises:
      ImageError: nothing can be decoded.
    """
    spec = ImageSpec(THUMBNAIL_SIDE, THUMBNAIL_SIDE, Resize.PAD)
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image, _ = canonicalise.decode(data, spec, _LIMITS)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    return image


_LIMITS = canonicalise.PixelLimits(
    1, _MAX_SOURCE_PIXELS, _MAX_SOURCE_PIXELS, canonicalise.Truncated.SHOW
)


def alternate_reasons(keys: Sequence[str], reasons: Sequence[str], limit: int) -> list[int]:
    """Returns at most `limit` indices, alternating between the reasons, in key order."""
    by_reason: dict[str, list[int]] = defaultdict(list)
    for index, reason in enumerate(reasons):
        by_reason[reason].append(index)
    in_rounds = sorted(
        (turn, reason, index)
        for reason, indices in by_reason.items()
        for turn, index in enumerate(sorted(indices, key=lambda i: keys[i]))
    )
    return [index for _, _, index in in_rounds[:limit]]
