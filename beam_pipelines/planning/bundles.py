"""Deals the listing of a bake into bundles, the units that are decoded and cached.

Imports no Arrow: the first bundles are begun before it is imported.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from beam_pipelines.cache import outdated, storage
from beam_pipelines.cache.facts import to_lines
from beam_pipelines.cache.layout import FACTS, Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.tasks import BundleTask
from tfrecords.inputs.rows import SourceFile
from tfrecords.sharding import stable_hash, stable_hashes

# A bundle takes a worker about a second: enough to hide the cost of a task, short enough
# to keep all workers busy to the end and to lose little when one dies.
BUNDLE_FILES = 192
_LEAST_FILES = 16
_LEAST_BUNDLES = 8

_PACK_NAME = re.compile(r"(?P<index>\d+)-of-(?P<count>\d+)-[0-9a-f]+(?:r\d+)?")


def count_bundles(files: int) -> int:
    """Returns a power of two, so that the bundles of a grown input are halves of earlier ones."""
    few = min(_LEAST_BUNDLES, files // _LEAST_FILES)
    least = max(1, few, -(-files // BUNDLE_FILES))
    return 1 << (least - 1).bit_length()


def bundle_of(key: str, bundles: int) -> int:
    """Returns which of `bundles` bundles a source belongs to."""
    return stable_hash("bundle", key) % bundles


def bundle_tasks(
    rows: Sequence[SourceFile], config: PrepareConfig, layout: Layout
) -> Iterator[BundleTask]:
    """Puts sources into bundles, writes each bundle's listing and yields its task.

    A bundle is a random sample of all classes, by a hash of the key (`bundle_of`, for many keys).
    """
    count = count_bundles(len(rows))
    bundles: dict[int, list[SourceFile]] = defaultdict(list)
    hashes = stable_hashes(("bundle",), (row.key for row in rows))
    for row, hashed in zip(rows, hashes, strict=True):
        bundles[hashed % count].append(row)
    finished = finished_packs(layout.canonical_dir, FACTS)
    earlier = EarlierPacks(finished, count)
    for index in sorted(bundles):
        lines = to_lines(bundles.pop(index))
        digest = hashlib.sha256(lines).hexdigest()[:12]
        listing = layout.listing(index)
        storage.write_bytes(listing, lines)
        yield BundleTask(
            pack=_name(f"{index:05d}-of-{count:05d}-{digest}", finished, layout.canonical_dir),
            listing=listing,
            cache_dir=layout.canonical_dir,
            earlier=earlier.of(index),
            spec=config.image,
            limits=config.limits,
        )


def _name(pack: str, finished: Collection[str], directory: str) -> str:
    """Returns the name of a bundle's pack; that of an earlier version if it is good as it is.

    What is made of a pack, as a shard is, is known by its name: another picture in it is another
    name.
    """
    if pack in finished and outdated.is_in_force(directory, pack):
        return pack
    return outdated.named(pack)


def finished_packs(directory: str, last_suffix: str) -> dict[str, tuple[int, int]]:
    """Returns name → (bundle, number of bundles) of the packs that are complete."""
    packs = {}
    for filename in storage.list_names(directory):
        match = _PACK_NAME.fullmatch(filename.removesuffix(last_suffix))
        if match is not None and filename.endswith(last_suffix):
            packs[match.string] = (int(match["index"]), int(match["count"]))
    return packs


class EarlierPacks:
    """Finds the packs that may hold files of a bundle; numbers of bundles are powers of two.

    Args:
      packs: name of a pack → its bundle and the number of bundles there were.
      count: number of bundles now.
    """

    def __init__(self, packs: dict[str, tuple[int, int]], count: int) -> None:
        self._names: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, (other, others) in packs.items():
            shared = min(count, others)
            self._names[shared, other % shared].append(name)
        self._shared = sorted({shared for shared, _ in self._names})

    def of(self, index: int) -> tuple[str, ...]:
        """Returns the packs for a bundle, sorted."""
        names = (self._names.get((shared, index % shared), []) for shared in self._shared)
        return tuple(sorted(itertools.chain.from_iterable(names)))
