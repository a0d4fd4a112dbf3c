"""Shards as the baselines write them: Examples in turn, without TensorFlow."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tfrecords import example, framing
from tfrecords.schema import ImageRecord


class Shards:
    """TFRecord files that are given records in turn.

    Attributes:
      count: records written.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        folder.mkdir(parents=True)
        self._held = ExitStack()
        names = [folder / f"plain-{i:05d}.tfrecord" for i in range(shards)]
        self._files: list[BinaryIO] = [self._held.enter_context(x.open("wb")) for x in names]
        self.count = 0

    def __enter__(self) -> Shards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def write(self, data: bytes, key: str) -> None:
        """Writes an encoded picture."""
        record = example.encode(ImageRecord(data, 0, key, 0, 0))
        self._files[self.count % len(self._files)].write(framing.frame(record))
        self.count += 1
