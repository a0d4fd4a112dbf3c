"""Data sets in buckets: gs://bucket/shards, and other file systems that TensorFlow opens.

A `FarPath` opens files as `pathlib.Path` does, through TensorFlow, which is imported when the
first one is opened. Nothing is stored on this machine's disk.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from tfrecords import manifest
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest, ManifestError
from trainer import tensorflow_import

# A request to a bucket takes 20 to 100 ms, however small it is: send this many at once.
REQUESTS_AT_ONCE = 32

_BUFFER_BYTES = 1 << 20
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_COPY_COMMANDS = {"s3": "aws s3 sync", "hdfs": "hdfs dfs -get"}


@dataclass(frozen=True, order=True)
class FarPath:
    """A file or folder of one of TensorFlow's file systems.

    Attributes:
      url: with its scheme, without a slash at the end.
    """

    url: str

    def __truediv__(self, name: str) -> FarPath:
        return FarPath(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Returns the file, open and seekable.

        Raises:
          OSError: it does not exist (FileNotFoundError) or cannot be read.
        """
        return io.BufferedReader(_FarFile(self.url, self.size()), _BUFFER_BYTES)

    def size(self) -> int:
        """Returns the number of bytes of the file; raises as `open`."""
        tf = _tensorflow()
        try:
            return int(tf.io.gfile.stat(self.url).length)
        except tf.errors.OpError as error:
            raise _os_error(error, self.url) from error


def folder(data_dir: str | Folder) -> Folder:
    """Returns the data set's folder that a flag names.

    Raises:
      UsageError: a URL that TensorFlow does not read; the text says what to do instead.
    """
    if not isinstance(data_dir, str):
        return data_dir
    match = _URL.fullmatch(data_dir)
    if match is None:
        return Path(data_dir)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return Path(rest)
    if scheme not in _tensorflow().io.gfile.get_registered_schemes():
        raise UsageError(_not_read(data_dir, scheme))
    return FarPath(f"{scheme}://{rest.rstrip('/')}")


def load(data_dir: str | Folder) -> Manifest:
    """Returns the manifest of the data set that a flag names.

    Class names in another order, or other counts, would make wrong results of sound shards.

    Raises:
      UsageError, ManifestError: as `folder` and `manifest.load`, or the manifest is not as the
        bake wrote it.
    """
    found = manifest.load(place := folder(data_dir))
    if found.broken_seal:
        raise ManifestError(
            f"{place / manifest.MANIFEST} is not as the bake wrote it: {found.broken_seal}; "
            "restore the file, or bake again with --overwrite"
        )
    return found


def splits_of(data_dir: str | Folder) -> list[str]:
    """Returns the splits of a data set that have records; none where it cannot be read."""
    try:
        return [split.name for split in load(data_dir).splits if split.records]
    except EvenshardError:
        return []


def is_far(path: Folder) -> bool:
    """Returns whether a path is on another machine."""
    return isinstance(path, FarPath)


def sizes(paths: Sequence[Folder]) -> Iterator[int | OSError]:
    """Yields the size of each file in bytes, or the error of reading it."""
    if not any(map(is_far, paths)):
        yield from map(_size, paths)
        return
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        yield from pool.map(_size, paths)


def check_local(name: str, value: str) -> None:
    """Refuses a URL for output, which is written by renaming and locking files.

    Raises:
      UsageError: the flag `name` is a URL.
    """
    if _URL.fullmatch(value):
        raise UsageError(
            f"--{name}={value}: results are written to a directory of this machine, not to a URL; "
            "copy it when the command is done"
        )


def _size(path: Folder) -> int | OSError:
    try:
        return path.size() if isinstance(path, FarPath) else Path(str(path)).stat().st_size
    except OSError as error:
        return error


def _not_read(data_dir: str, scheme: str) -> str:
    tf = _tensorflow()
    known = sorted(name for name in tf.io.gfile.get_registered_schemes() if name)
    command = _COPY_COMMANDS.get(scheme)
    example = f" (`{command} {data_dir} /data/shards`)" if command else ""
    return (
        f"--data_dir={data_dir}: TensorFlow {tf.__version__} reads paths and "
        f"{', '.join(f'{name}://' for name in known)}, not {scheme}://. Copy the shards to a disk "
        f"first{example}, or mount them; docs/engines.md says how"
    )


def _tensorflow() -> Any:
    """Returns TensorFlow; if it is not imported yet, imports it without its log."""
    if "tensorflow" not in sys.modules:
        tensorflow_import.set_read_ahead()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with tensorflow_import.held_back():
            importlib.import_module("tensorflow")
    return sys.modules["tensorflow"]


class _FarFile(io.RawIOBase):
    """A file of a known size, read through TensorFlow; its errors become OSError."""

    def __init__(self, url: str, size: int) -> None:
        super().__init__()
        self._url, self._size, self._position = url, size, 0
        self._file = _tensorflow().io.gfile.GFile(url, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._position)
        if count <= 0:
            return 0
        tf = _tensorflow()
        try:
            if self._file.tell() != self._position:
                self._file.seek(self._position)
            data = self._file.read(count)
        except tf.errors.OpError as error:
            raise _os_error(error, self._url) from error
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _os_error(error: Any, url: str) -> OSError:
    """Returns the error that the operating system raises for a local file."""
    errors = _tensorflow().errors
    if isinstance(error, errors.NotFoundError):
        return FileNotFoundError(errno.ENOENT, "no such file", url)
    reason = (error.message or type(error).__name__).strip().splitlines()[0]
    if isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError)):
        return PermissionError(errno.EACCES, reason, url)
    return OSError(errno.EIO, reason, url)
