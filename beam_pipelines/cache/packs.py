"""Packs: many images in one file, each framed with its CRC, and an index of their offsets.

Canonical images and augmented copies are in packs. Shards are copied out of them by record
number, so images are encoded once and never pass through Beam.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from beam_pipelines.cache import storage
from tfrecords import framing
from tfrecords.errors import BakeError

PACK = ".pack"
INDEX = ".index"


class PackWriter:
    """Appends images to an open file and records their offsets."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offsets: list[int] = []
        self._end = 0

    def append(self, image: bytes) -> int:
        """Writes an image and returns its record number."""
        framed = framing.frame(image)
        self._file.write(framed)
        self._offsets.append(self._end)
        self._end += len(framed)
        return len(self._offsets) - 1

    def index(self) -> bytes:
        """Returns the offsets as little-endian 64-bit numbers."""
        return np.asarray(self._offsets, "<u8").tobytes()


@contextlib.contextmanager
def write(path: str) -> Iterator[PackWriter]:
    """Yields a writer of the pack `path`, published with its index when the block ends.

    The index comes last: where it exists, the pack is complete.
    """
    with storage.publish(path + PACK) as file:
        writer = PackWriter(file)
        yield writer
    storage.write_bytes(path + INDEX, writer.index())


def read(path: str, indices: Sequence[int]) -> Iterator[bytes]:
    """Yields the images of a pack at the given record numbers, in the order given.

    Raises:
      BakeError: the pack is damaged.
    """
    offsets = np.frombuffer(storage.read_bytes(path + INDEX), "<u8")
    with storage.open_read(path + PACK) as file:
        for index in indices:
            file.seek(int(offsets[index]))
            try:
                _, image = next(framing.read_frames(file, path + PACK))
            except (framing.DamagedRecordError, StopIteration) as error:
                raise BakeError(
                    f"the cached file {path + PACK} is damaged at record {index}: remove the "
                    ".cache folder of the output directory and rerun the command"
                ) from error
            yield image
