"""Data sets that are no path of this machine: gs://bucket/shards and what else TensorFlow opens.

A far folder opens files as `pathlib.Path` does, through TensorFlow's file systems, which are
imported when the first one is opened. Nothing is kept on the disk.
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

from tfrecords import manifest as manifests
from tfrecords.errors import UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from trainer import tensorflow_import

# A question to a bucket takes 20 to 100 ms, whatever is asked: ask of this many shards at once.
QUESTIONS_AT_ONCE = 32

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
          OSError: it is absent (FileNotFoundError) or cannot be read.
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

    Raises:
      UsageError, ManifestError: as `folder` and `manifest.load`.
    """
    return manifests.load(folder(data_dir))


def is_far(place: Folder) -> bool:
    """Returns whether reading a place means asking another machine."""
    return isinstance(place, FarPath)


def sizes(places: Sequence[Folder]) -> Iterator[int | OSError]:
    """Yields the size of each file in bytes, or what keeps it from being read; far ones at once."""
    if not any(map(is_far, places)):
        yield from map(_size, places)
        return
    with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
        yield from pool.map(_size, places)


def check_local(name: str, value: str) -> None:
    """Refuses a URL for what is written by renaming and locking files.

    Raises:
      ValueError: the flag `name` is a URL.
    """
    if _URL.fullmatch(value):
        raise ValueError(
            f"--{name}={value}: results are written to a directory of this machine, not to a URL; "
            "copy it when the command is done"
        )


def _size(place: Folder) -> int | OSError:
    try:
        return place.size() if isinstance(place, FarPath) else Path(str(place)).stat().st_size
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
    """Returns TensorFlow, imported without its log where nobody has imported it yet."""
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
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        tf = _tensorflow()
        try:
            if self._file.tell() != self._position:
                self._file.seek(self._position)
            found = self._file.read(wanted)
        except tf.errors.OpError as error:
            raise _os_error(error, self._url) from error
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _os_error(error: Any, url: str) -> OSError:
    """Returns what the operating system would have raised for a local file."""
    errors = _tensorflow().errors
    if isinstance(error, errors.NotFoundError):
        return FileNotFoundError(errno.ENOENT, "no such file", url)
    what = (error.message or type(error).__name__).strip().splitlines()[0]
    if isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError)):
        return PermissionError(errno.EACCES, what, url)
    return OSError(errno.EIO, what, url)
