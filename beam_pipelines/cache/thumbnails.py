"""Thumbnails beside the packs, 768 bytes a picture, to compare how pictures look.

Like pixels, and unlike facts, they stay in files: a split by appearance and the leak meter
read those that they need.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beam_pipelines.cache import storage
from tfrecords.errors import BakeError
from tfrecords.images.fingerprints import THUMBNAIL_SIDE

if TYPE_CHECKING:
    import pyarrow as pa  # Workers, which import this module, need none.

THUMBNAILS = ".thumbs"

_SHAPE = (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
BYTES = THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3

# Rows of a table of facts → their thumbnails, uint8[k, 16, 16, 3].
LoadThumbnails = Callable[[np.ndarray], np.ndarray]


def write(path: str, thumbnails: Sequence[bytes]) -> None:
    """Writes the thumbnails of the pack `path`, in the order of its records."""
    storage.write_bytes(path + THUMBNAILS, b"".join(thumbnails))


def read(path: str) -> np.ndarray:
    """Returns the thumbnails of the pack `path`, uint8[n, 16, 16, 3].

    Raises:
      BakeError: the file is damaged.
    """
    data = storage.read_bytes(path + THUMBNAILS)
    try:
        return np.frombuffer(data, np.uint8).reshape(-1, *_SHAPE)
    except ValueError as error:
        raise BakeError(
            f"the cached file {path + THUMBNAILS} is damaged: remove the .cache folder of the "
            "output directory and rerun the command"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Where the thumbnails of some pictures are: what a task names instead of holding them.

    Attributes:
      packs: paths of packs, without suffix.
      pack, index: int32[k], of each picture: its pack's index in `packs`, its record there.
    """

    packs: tuple[str, ...]
    pack: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.pack)

    def load(self, rows: np.ndarray) -> np.ndarray:
        """Returns the thumbnails of some of them, uint8[len(rows), 16, 16, 3]."""
        return gather(self.packs, self.pack[rows], self.index[rows])


def locate(cache_dir: str, facts: pa.Table, rows: np.ndarray) -> Located:
    """Returns where the thumbnails of some pictures are.

    Args:
      cache_dir: where the packs are.
      facts: of `facts_table.FACTS`.
      rows: int64[k], of `facts`, each of a picture.
    """
    some = facts.select(["pack", "index"]).take(rows)
    # Encoded again: the dictionary of some rows also names the packs of others.
    packs = some["pack"].cast("string").combine_chunks().dictionary_encode()
    paths = tuple(storage.join(cache_dir, name) for name in packs.dictionary.to_pylist())
    return Located(paths, packs.indices.to_numpy(), some["index"].to_numpy())


def load(cache_dir: str, facts: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Returns the thumbnails of some pictures, uint8[k, 16, 16, 3]; arguments as of `locate`."""
    found = locate(cache_dir, facts, rows)
    return gather(found.packs, found.pack, found.index)


def gather(paths: Sequence[str], pack: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Returns the thumbnails of some pictures, uint8[k, 16, 16, 3]; reads each file once.

    Args:
      paths: of packs, without suffix.
      pack, index: int32[k], of each picture: its pack's index in `paths`, its record there.
    """
    result = np.empty((len(pack), *_SHAPE), np.uint8)
    by_pack = np.argsort(pack, kind="stable")
    bounds = [0, *np.cumsum(np.bincount(pack, minlength=len(paths))).tolist()]
    for path, (start, end) in zip(paths, itertools.pairwise(bounds), strict=True):
        if start < end:
            of_pack = by_pack[start:end]
            result[of_pack] = read(path)[index[of_pack]]
    return result
