"""One bundle of sources to one canonical file and its facts. Runs in worker processes.

The canonical file is a pack of encoded images, with their thumbnails beside it; the facts,
written last, say that it is complete. A bundle whose listing has not changed is not touched
again, and of a changed one only the new or changed files are decoded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from beam_pipelines.cache import packs, storage, thumbnails
from beam_pipelines.cache.facts import ImageFacts, to_lines
from beam_pipelines.inputs import prefetch
from beam_pipelines.inputs.prefetch import Content
from beam_pipelines.workers.pool import DECODE_SECONDS, Watch
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, ImageHeader, PixelLimits, RejectReason
from tfrecords.inputs.rows import SourceFile
from tfrecords.schema import ImageSpec
from tfrecords.sharding import stable_hash

FACTS = ".facts"

# The reason of a file that was written to while the bake read it; its status in the ledger too.
CHANGED = "changed"

_DETAIL = {
    RejectReason.NAME_NOT_UTF8: "the name is not UTF-8: rename the file",
    RejectReason.NAME_COLLISION: "another file has this name after Unicode normalisation",
    RejectReason.HIDDEN: "hidden files and what operating systems leave behind are not read",
    RejectReason.NO_CLASS: "the file lies outside every class folder",
    RejectReason.UNREADABLE: "the file could not be listed",
    RejectReason.DECODER_CRASHED: "decoding it kills the process",
    RejectReason.DECODER_HUNG: f"decoding it took more than {DECODE_SECONDS} s",
}


@dataclass(frozen=True, slots=True)
class BundleTask:
    """A bundle to canonicalise.

    Attributes:
      pack: name of the canonical file, without directory and suffix; it contains a digest of
        the listing, so another listing is another file.
      listing: path of the bundle's `SourceFile` rows, JSON lines.
      cache_dir: where canonical files live.
      earlier: canonical files that may hold some of these sources already.
      spec, limits: of the images.
    """

    pack: str
    listing: str
    cache_dir: str
    earlier: tuple[str, ...]
    spec: ImageSpec
    limits: PixelLimits


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A canonicalised bundle.

    Attributes:
      facts: one row per source of the bundle.
      decoded: how many were decoded now; the others were reused.
    """

    facts: tuple[ImageFacts, ...]
    decoded: int


def canonicalise_bundle(task: BundleTask, watch: Watch) -> BundleResult:
    """Canonicalises a bundle, or finds that it has been.

    Args:
      task: the bundle.
      watch: told which picture is being decoded, and knows which ones broke a process before.
    """
    path = storage.join(task.cache_dir, task.pack)
    if storage.exists(path + FACTS):
        return BundleResult(tuple(_read_facts(path)), decoded=0)
    listed = [SourceFile.from_json(line) for line in storage.read_bytes(task.listing).splitlines()]
    # Shards are cut from the order of this hash, so each reads one run of the pack.
    listed.sort(key=lambda source: stable_hash("position", source.key))
    earlier = _Earlier.load(task)
    fresh = [source for source in listed if not earlier.has(source)]
    wanted = [source for source in fresh if _refused(source, watch) is None]
    rows = []
    with (
        packs.write(path) as pack,
        contextlib.closing(prefetch.in_order(wanted)) as contents,
    ):
        bundle = _Bundle(task, pack)
        for source in listed:
            if earlier.has(source):
                row = earlier.reuse(source, bundle)
            elif (reason := _refused(source, watch)) is not None:
                row = ImageFacts(
                    **_listed(source), reason=reason.value, detail=source.detail or _DETAIL[reason]
                )
            else:
                row = _canonicalise(source, next(contents), bundle, watch)
            rows.append(row)
    thumbnails.write(path, bundle.thumbnails)
    storage.write_bytes(path + FACTS, to_lines(rows))
    return BundleResult(tuple(rows), decoded=len(fresh))


@dataclass(slots=True)
class _Bundle:
    """A bundle in the making: its pack and, in the same order, thumbnails."""

    task: BundleTask
    pack: packs.PackWriter
    thumbnails: list[bytes] = field(default_factory=list)

    def append(self, image: bytes, thumbnail: bytes) -> int:
        """Adds a picture and returns its record number."""
        self.thumbnails.append(thumbnail)
        return self.pack.append(image)


def _refused(source: SourceFile, watch: Watch) -> RejectReason | None:
    """Returns why a source is rejected without being read, or None."""
    return source.problem or watch.blamed(source.key)


def _canonicalise(source: SourceFile, data: Content, bundle: _Bundle, watch: Watch) -> ImageFacts:
    """Hashes and decodes one source, and appends its image to the bundle."""
    task, base = bundle.task, _listed(source)
    if isinstance(data, OSError):
        return ImageFacts(
            **base, reason=RejectReason.UNREADABLE.value, detail=data.strerror or str(data)
        )
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) != source.bytes:
        return ImageFacts(
            **base, reason=CHANGED, detail=f"listed with {source.bytes} bytes, read {len(data)}"
        )
    try:
        with watch.decoding(source.key):
            image = canonicalise.canonicalise(data, task.spec, task.limits)
    except ImageError as error:
        return ImageFacts(
            **base,
            reason=error.reason.value,
            detail=error.detail,
            sha256=sha256,
            **_header_fields(error.header),
        )
    return ImageFacts(
        **base,
        sha256=sha256,
        phash=image.phash,
        fingerprint=image.fingerprint.hex(),
        **_header_fields(image.header),
        encoded_bytes=len(image.data),
        pack=task.pack,
        index=bundle.append(image.data, image.thumbnail),
    )


def _listed(source: SourceFile) -> dict[str, Any]:
    """Returns the fields that the listing knows."""
    return {
        "key": source.key,
        "class_name": source.class_name,
        "bytes": source.bytes,
        "version": source.version,
        "split": source.split,
    }


def _header_fields(header: ImageHeader | None) -> dict[str, Any]:
    if header is None:
        return {}
    # By hand: dataclasses.asdict copies deeply, which costs more than hashing the file.
    return {
        "format": header.format,
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
    }


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Facts, images and thumbnails that earlier bakes found for files of this bundle."""

    rows: dict[str, ImageFacts]
    thumbnails: dict[str, np.ndarray]
    cache_dir: str

    @classmethod
    def load(cls, task: BundleTask) -> _Earlier:
        rows: dict[str, ImageFacts] = {}
        small: dict[str, np.ndarray] = {}
        for name in task.earlier:
            path = storage.join(task.cache_dir, name)
            rows.update((row.key, row) for row in _read_facts(path))
            small[name] = thumbnails.read(path)
        return cls(rows, small, task.cache_dir)

    def has(self, source: SourceFile) -> bool:
        """Returns whether a source is known already and has not changed since."""
        row = self.rows.get(source.key)
        if row is None or source.problem is not None or row.reason in _NOT_REUSED:
            return False
        return (row.bytes, row.version) == (source.bytes, source.version)

    def reuse(self, source: SourceFile, bundle: _Bundle) -> ImageFacts:
        """Copies the image of a source that `has` knows."""
        row = self.rows[source.key]
        index = None
        if row.pack is not None and row.index is not None:
            image = next(packs.read(storage.join(self.cache_dir, row.pack), [row.index]))
            index = bundle.append(image, self.thumbnails[row.pack][row.index].tobytes())
        return dataclasses.replace(
            row,
            class_name=source.class_name,
            split=source.split,
            pack=None if index is None else bundle.task.pack,
            index=index,
        )


# These may turn out otherwise when tried again.
_NOT_REUSED = (
    CHANGED,
    RejectReason.UNREADABLE.value,
    RejectReason.NAME_COLLISION.value,
    RejectReason.NO_CLASS.value,
)


def _read_facts(path: str) -> Iterator[ImageFacts]:
    return map(ImageFacts.from_json, storage.read_bytes(path + FACTS).splitlines())
