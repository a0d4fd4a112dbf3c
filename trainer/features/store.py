"""Features on disk: one row for each record of a split, float16, computed once.

    <data_dir>/.features/<digest>/rows       float16[records, channels], a sparse file
                                  sums       uint32[records], the CRC-32 of each row; 0: none yet
                                  about.json what they are the features of, for people

Rows stand in the order of the records in their shards, so that every selection of the split
shares them. A row has its sum after it is on disk, and is read only if its sum is right: whatever
was interrupted, damaged, or copied while it was computed is computed again. The folder is named by
a digest of all that decides its contents, so no other data set, network or size reads it. It may be
deleted at any time.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords.errors import TrainerError
from tfrecords.system import atomic, disk, locks
from tfrecords.system.locks import LockedError

FOLDER = ".features"
DTYPE = np.dtype("<f2")
_SUM = np.dtype("<u4")

# Rows that are checked at a time.
_CHUNK = 4096

# Seconds between looks at a lock that another run holds.
_PATIENCE = 0.5


@dataclass(frozen=True)
class FeatureStore:
    """The features of one split by one backbone.

    Attributes:
      folder: of the files.
      records: of the split.
      channels: of the features.
    """

    folder: Path
    records: int
    channels: int

    def done(self) -> np.ndarray:
        """Returns bool[records], which rows are computed."""
        return self._sums() != 0

    def intact(self, positions: np.ndarray) -> np.ndarray:
        """Returns bool[n], which rows are computed and as they were then; reads them.

        Args:
          positions: int64[n].
        """
        sums = self._sums()[positions]
        whole = sums != 0
        for start in range(0, len(positions) if whole.any() else 0, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            found = [_sum(row.tobytes()) for row in self.rows(positions[chunk])]
            whole[chunk] &= sums[chunk] == np.array(found, _SUM)
        return whole

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Returns float16[n, channels], rows that are done."""
        return np.asarray(self._map("r")[positions])

    def create(self, about: Mapping[str, object]) -> None:
        """Makes the files, where there are none of the right size.

        Raises:
          TrainerError: disk full, or not writable.
        """
        rows, sums = self.folder / "rows", self.folder / "sums"
        try:
            if self.done().any():
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic.write_text(self.folder / "about.json", json.dumps(about, indent=2))
            sums.write_bytes(bytes(self.records * _SUM.itemsize))
            with open(rows, "wb") as file:
                file.truncate(self._bytes)
        except OSError as error:
            fault = disk.find(error)
            raise TrainerError(
                fault.line(self.folder)
                if fault
                else f"cannot write features to {self.folder}: {error.strerror or error}"
            ) from error

    def write(self, parts: Iterator[tuple[np.ndarray, np.ndarray]], seconds: float = 5.0) -> None:
        """Writes rows as they come; at most the last `seconds` of work are lost if it is cut off.

        Args:
          parts: (positions int64[n], features [n, channels]).
          seconds: between the times when rows are marked as done.

        Raises:
          DiskError: disk full.
        """
        pending: list[tuple[np.ndarray, np.ndarray]] = []
        since = time.monotonic()
        # Not through a memory map: the kernel ends a process whose map has no room on the disk.
        with disk.explained(self.folder), open(self.folder / "rows", "r+b", buffering=0) as rows:
            try:
                for positions, features in parts:
                    stored = np.ascontiguousarray(features, DTYPE)
                    self._put(rows.fileno(), positions, stored)
                    sums = [_sum(row.tobytes()) for row in stored]
                    pending.append((positions, np.array(sums, _SUM)))
                    if time.monotonic() - since >= seconds:
                        self._mark(rows.fileno(), pending)
                        pending, since = [], time.monotonic()
            finally:
                self._mark(rows.fileno(), pending)

    @contextmanager
    def held(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Holds the features against other runs; waits for one that computes them.

        Args:
          waiting: called once if another run holds them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        told = False
        while True:
            with _attempt(self.folder / ".lock") as held:
                if held:
                    yield
                    return
            if not told:
                waiting()
                told = True
            time.sleep(_PATIENCE)

    def _sums(self) -> np.ndarray:
        """Returns uint32[records], the sums; none where the files are not of the right size."""
        try:
            sums = np.fromfile(self.folder / "sums", _SUM)
            whole = (self.folder / "rows").stat().st_size == self._bytes
        except FileNotFoundError:
            return np.zeros(self.records, _SUM)
        return sums if len(sums) == self.records and whole else np.zeros(self.records, _SUM)

    @property
    def _bytes(self) -> int:
        return self.records * self.channels * DTYPE.itemsize

    def _map(self, mode: str) -> np.memmap:
        shape = (self.records, self.channels)
        # numpy's stub lists the modes one by one and takes no str.
        return np.memmap(self.folder / "rows", DTYPE, mode, shape=shape)  # type: ignore[call-overload]

    def _put(self, descriptor: int, positions: np.ndarray, features: np.ndarray) -> None:
        """Writes rows, those that stand behind each other at once."""
        length = self.channels * DTYPE.itemsize
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        for part in np.split(np.arange(len(positions)), breaks):
            if len(part):
                _write_all(descriptor, features[part].tobytes(), int(positions[part[0]]) * length)

    def _mark(self, descriptor: int, pending: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Writes the sums of rows, once those are on disk."""
        if not pending:
            return
        os.fsync(descriptor)
        sums = np.fromfile(self.folder / "sums", _SUM)
        for positions, of_rows in pending:
            sums[positions] = of_rows
        with open(self.folder / "sums", "r+b", buffering=0) as file:
            _write_all(file.fileno(), sums.tobytes(), 0)
            os.fsync(file.fileno())


def _sum(row: bytes) -> int:
    """Returns the CRC-32 of a row; never 0, which stands for a row that is not computed."""
    return zlib.crc32(row) or 1


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Writes all of `data`: a disk that fills up takes a part of it first, and then refuses."""
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], offset + done)


@contextmanager
def _attempt(path: Path) -> Iterator[bool]:
    """Yields whether a lock could be taken, and holds it for the block if so."""
    lock = locks.locked(path, taken="another run computes features", advice="wait for it")
    try:
        lock.__enter__()
    except LockedError:
        yield False
        return
    try:
        yield True
    finally:
        lock.__exit__(None, None, None)
