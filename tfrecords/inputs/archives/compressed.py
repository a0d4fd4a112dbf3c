"""Compressed tars, made plain once: nothing can be read from the middle of a compressed stream."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import io
import lzma
import zlib
from typing import BinaryIO, cast

from tfrecords import sizes
from tfrecords.errors import UsageError
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.say import Say

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MAGIC_BYTES = 6

_SUFFIX = ".tar"

_CHUNK = 4 << 20

# Of the decompressor of an xz stream: its largest preset, -9, needs 65 MiB.
XZ_MEMORY = 256 << 20

# What is left free of a disk, whatever a small file inflates to.
_RESERVE = 1 << 30


def compression_of(file: BinaryIO) -> str | None:
    """Returns how a file is compressed, by its first bytes; None if it is not."""
    file.seek(0)
    begin = file.read(_MAGIC_BYTES)
    return next((name for magic, name in _MAGIC.items() if begin.startswith(magic)), None)


def plain_tar(source: InputPath, spool_dir: str, files: FileSystem, say: Say) -> str:
    """Returns the path of a compressed tar's plain form, which is made if it is not there.

    Args:
      source: the compressed tar.
      spool_dir: folder of plain forms; "" where there is none to write to.
      files: where both lie.
      say: told what was done.

    Raises:
      UsageError: there is no folder to write to or no room, or the tar is damaged.
      OSError: it cannot be read.
    """
    if not spool_dir:
        raise UsageError(
            f"{source}: a compressed tar cannot be read from the middle; "
            "decompress it first (`gunzip`, `bunzip2`, `unxz` or `unzstd`) and give the .tar"
        )
    status = files.stat(source.path)
    identity = f"{source.path}\0{status.bytes}\0{status.version}".encode("utf-8", "surrogateescape")
    name = hashlib.sha256(identity).hexdigest()[:16] + _SUFFIX
    path = f"{spool_dir.rstrip('/')}/{name}"
    if name not in files.names(spool_dir):
        try:
            with files.open(source.path) as file, files.write(path) as plain:
                _decompress(source, file, plain, _Disk(spool_dir, files), status.bytes)
        except _TooMuchMemory as error:
            raise UsageError(
                f"{source} needs more than {XZ_MEMORY >> 20} MiB of memory to be decompressed: "
                "decompress it first (`unxz`) and give the .tar"
            ) from error
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(source, spool_dir, str(error)) from error
            if isinstance(error, OSError) and error.errno is not None:
                raise  # Of a disk; those of a decompressor have no number.
            raise UsageError(
                f"{source} is damaged or was cut off: {error}; get it again, or unpack what can be "
                "read of it and give the folder"
            ) from error
        say(f"{source} is compressed, and was decompressed to {path}")
    return path


class _Disk:
    """How much room there is below a folder.

    Args:
      folder: that is written to.
      files: where it lies.
    """

    def __init__(self, folder: str, files: FileSystem) -> None:
        self.folder = folder
        self._files = files
        self._reserve = min(_RESERVE, (files.free_bytes(folder) or 0) // 10)

    def lacks_room(self) -> bool:
        """Returns whether less is free than should be left."""
        free = self._files.free_bytes(self.folder)
        return free is not None and free < self._reserve


def _decompress(source: InputPath, file: BinaryIO, plain: BinaryIO, disk: _Disk, size: int) -> None:
    """Writes all of `file`, which has `size` bytes, decompressed to `plain`."""
    # Workers import this module, and show no progress.
    from tfrecords.cli.progress import Progress

    written = done = 0
    with (
        contextlib.closing(_stream(file)) as stream,
        Progress("decompress", size, "B") as progress,
    ):
        while chunk := stream.read(_CHUNK):
            if disk.lacks_room():
                raise _no_room(source, disk.folder, f"{sizes.readable(written)} are written")
            plain.write(chunk)
            written += len(chunk)
            progress.advance(file.tell() - done)
            done = file.tell()


def _no_room(source: InputPath, folder: str, said: str) -> UsageError:
    return UsageError(
        f"{source}: there is no room for it at {folder}: {said}; make room, choose another "
        "output folder, or decompress it elsewhere and give the .tar"
    )


def _stream(file: BinaryIO) -> BinaryIO:
    kind = compression_of(file)
    file.seek(0)
    if kind == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    if kind == "xz":
        return cast(BinaryIO, io.BufferedReader(_Xz(file), _CHUNK))
    if kind == "zstd":
        return cast(BinaryIO, io.BufferedReader(_Arrow(file), _CHUNK))
    return cast(BinaryIO, gzip.GzipFile(fileobj=file))


class _TooMuchMemory(Exception):
    """A stream asks for a larger dictionary than it may have."""


class _Xz(io.RawIOBase):
    """XZ streams one behind the other, in bounded memory: `lzma.LZMAFile` knows no limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun: lzma.LZMADecompressor | None = None
        self._left = b""

    def readable(self) -> bool:
        return True

    # The stub asks for any writable buffer; a BufferedReader gives a memoryview.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._begun is None:
                # Zeros may fill up the end of a stream.
                left = self._left.lstrip(b"\0")
                while not left:
                    chunk = self._file.read(_CHUNK)
                    if not chunk:
                        return 0
                    left = chunk.lstrip(b"\0")
                self._left = left
                self._begun = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
            data = self._run(self._begun, len(buffer))
            if self._begun.eof:
                self._left, self._begun = self._begun.unused_data, None
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _run(self, decompressor: lzma.LZMADecompressor, length: int) -> bytes:
        given, self._left = self._left, b""
        if not given and decompressor.needs_input:
            given = self._file.read(_CHUNK)
            if not given:
                raise EOFError("it ends before its end mark")
        try:
            return decompressor.decompress(given, length)
        except lzma.LZMAError as error:
            if "limit" in str(error):
                raise _TooMuchMemory(str(error)) from error
            raise


class _Arrow(io.RawIOBase):
    """Zstandard, one frame behind the other, through pyarrow: Python has it from 3.14 on."""

    def __init__(self, file: BinaryIO) -> None:
        # Workers import this module, and need none of it.
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")

    def readable(self) -> bool:
        return True

    # The stub asks for any writable buffer; a BufferedReader gives a memoryview.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
