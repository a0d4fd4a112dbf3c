"""Turns a bundle of sources into one pack of canonical images and their facts. Runs in workers.

Thumbnails lie beside the pack; the facts, written last, say that it is complete. A bundle whose
listing has not changed is not touched again, and of a changed one only the new or changed files
are decoded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from beam_pipelines.cache import outdated, packs, storage, thumbnails
from beam_pipelines.cache.facts import ImageFacts, to_lines
from beam_pipelines.cache.layout import FACTS
from beam_pipelines.inputs import prefetch
from beam_pipelines.inputs.prefetch import Content
from beam_pipelines.tasks import BundleResult, BundleTask
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, ImageHeader, RejectReason
from tfrecords.images.decode_pool import DECODE_SECONDS, Watch
from tfrecords.images.rejects import IGNORED
from tfrecords.inputs.read import reason_of
from tfrecords.inputs.rows import SourceFile
from tfrecords.sharding import stable_hash

# The reason of a file that was written to while the bake read it, as in `tfrecords.ledger`, which
# workers do not import: it needs pyarrow.
CHANGED = "changed"

_DETAIL = {
    RejectReason.NAME_NOT_UTF8: "the name is not UTF-8: rename the file",
    RejectReason.HIDDEN: "hidden files and files of the operating system are not read",
    RejectReason.NO_CLASS: "the file is in no class folder",
    RejectReason.SIDECAR: "by its name a description or similar file, not a picture: not read",
    RejectReason.EXCLUDED: "--include or --exclude leaves it out",
    RejectReason.UNLABELLED: "its folder has no classes: it is left for predict",
    RejectReason.OWN_OUTPUT: "it is part of a data set or a run that evenshard wrote",
    RejectReason.UNREADABLE: "the file could not be listed",
    RejectReason.DECODER_CRASHED: "decoding it crashes the process",
    RejectReason.DECODER_HUNG: f"reading or decoding it took more than {DECODE_SECONDS} s",
}


def canonicalise_bundle(task: BundleTask, watch: Watch) -> BundleResult:
    """Canonicalises a bundle, unless that has been done.

    Args:
      task: the bundle.
      watch: told which picture is being decoded; knows which ones crashed a process before.
    """
    path = storage.join(task.cache_dir, task.pack)
    if storage.exists(path + FACTS):
        return BundleResult(tuple(_read_facts(path)), decoded=0)
    sources = [SourceFile.from_json(line) for line in storage.read_bytes(task.listing).splitlines()]
    # Records are in the order of this hash, so each shard reads one stretch of the pack.
    sources.sort(key=lambda source: stable_hash("position", source.key))
    earlier = _Earlier.load(task)
    fresh = [source for source in sources if not earlier.has(source)]
    readable = [source for source in fresh if _rejected(source, watch) is None]
    rows = []
    with (
        packs.write(path) as pack,
        contextlib.closing(prefetch.in_order(readable)) as contents,
    ):
        bundle = _Bundle(task, pack)
        for source in sources:
            if earlier.has(source):
                row = earlier.reuse(source, bundle)
            elif (reason := _rejected(source, watch)) is not None:
                row = ImageFacts(
                    **_source_fields(source),
                    reason=reason.value,
                    detail=source.detail or _DETAIL[reason],
                )
            else:
                with watch.decoding(source.key):  # A share that hangs costs its picture alone.
                    content = next(contents)
                row = _canonicalise(source, content, bundle, watch)
            rows.append(row)
    thumbnails.write(path, bundle.thumbnails)
    storage.write_bytes(path + FACTS, to_lines(rows))
    return BundleResult(tuple(rows), decoded=sum(source.problem is None for source in fresh))


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


def _rejected(source: SourceFile, watch: Watch) -> RejectReason | None:
    """Returns why a source is rejected without being read, or None."""
    return source.problem or watch.blamed(source.key)


def _canonicalise(source: SourceFile, data: Content, bundle: _Bundle, watch: Watch) -> ImageFacts:
    """Hashes and decodes one source, and appends its image to the bundle."""
    task, base = bundle.task, _source_fields(source)
    if isinstance(data, OSError):
        return ImageFacts(**base, reason=reason_of(data).value, detail=data.strerror or str(data))
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) != source.bytes:
        return ImageFacts(
            **base,
            reason=CHANGED,
            detail=f"listed with {source.bytes} bytes, read {len(data)}",
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
        detail="; ".join(filter(None, (source.detail, image.note))) or None,
        sha256=sha256,
        phash=image.phash,
        fingerprint=image.fingerprint.hex(),
        **_header_fields(image.header),
        encoded_bytes=len(image.data),
        pack=task.pack,
        index=bundle.append(image.data, image.thumbnail),
    )


def _source_fields(source: SourceFile) -> dict[str, Any]:
    """Returns the fields of `ImageFacts` that the listing gives."""
    return {
        "key": source.key,
        "class_name": source.class_name,
        "bytes": source.bytes,
        "version": source.version,
        "split": source.split,
        "group_value": source.group,
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
    """Facts, images and thumbnails of this bundle's files from earlier bakes."""

    facts: dict[str, ImageFacts]
    thumbnails: dict[str, np.ndarray]
    cache_dir: str

    @classmethod
    def load(cls, task: BundleTask) -> _Earlier:
        facts: dict[str, ImageFacts] = {}
        of_pack: dict[str, np.ndarray] = {}
        for name in task.earlier:
            path = storage.join(task.cache_dir, name)
            facts.update(outdated.facts_in_force(task.cache_dir, name))
            of_pack[name] = thumbnails.read(path)
        return cls(facts, of_pack, task.cache_dir)

    def has(self, source: SourceFile) -> bool:
        """Returns whether there are facts of a source, which has not changed since."""
        row = self.facts.get(source.key)
        # The remark on a source belongs to this listing.
        remarked = source.problem is not None or source.detail is not None
        if row is None or remarked or row.reason in _NOT_REUSED:
            return False
        return (row.bytes, row.version) == (source.bytes, source.version)

    def reuse(self, source: SourceFile, bundle: _Bundle) -> ImageFacts:
        """Copies the image of a source that `has` knows."""
        row = self.facts[source.key]
        index = None
        if row.pack is not None and row.index is not None:
            image = next(packs.read(storage.join(self.cache_dir, row.pack), [row.index]))
            index = bundle.append(image, self.thumbnails[row.pack][row.index].tobytes())
        return dataclasses.replace(
            row,
            class_name=source.class_name,
            split=source.split,
            group_value=source.group,
            pack=None if index is None else bundle.task.pack,
            index=index,
        )


# These may have another result when tried again.
_NOT_REUSED = (
    CHANGED,
    RejectReason.UNREADABLE.value,
    RejectReason.DECODER_MISSING.value,
    RejectReason.NO_CLASS.value,
    RejectReason.MISSING.value,
    RejectReason.NOT_A_FILE.value,
    RejectReason.TOO_MANY_BYTES.value,
    # The next bake may have other flags.
    *(reason.value for reason in IGNORED),
)


def _read_facts(path: str) -> Iterator[ImageFacts]:
    return map(ImageFacts.from_json, storage.read_bytes(path + FACTS).splitlines())
