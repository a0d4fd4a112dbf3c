"""Reads and publishes files, on a local disk or through Beam's FileSystems.

Local paths never import Beam, so that the worker processes of a local bake start in a tenth of
a second. A file appears under its final name complete or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

from tfrecords import locations
from tfrecords.errors import BakeError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import LOCAL, FileKind, FileStatus
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.rows import ListedFile
from tfrecords.system import atomic, disk

_BEAM_ARGUMENTS = "EVENSHARD_BEAM_ARGUMENTS"


def is_remote(path: str) -> bool:
    """Returns whether `path` names an object store or a cluster file system, as in gs://."""
    return locations.is_url(path)


def join(directory: str, *names: str) -> str:
    """Returns `directory/name/…`."""
    return "/".join((directory.rstrip("/") or "/", *names)) if names else directory


def open_read(path: str) -> BinaryIO:
    """Returns a seekable file open for reading bytes."""
    if is_remote(path):
        filesystems = _filesystems()
        return filesystems.open(path, compression_type=_uncompressed())
    return LOCAL.open(path)


def read_bytes(path: str) -> bytes:
    """Returns the contents of a file."""
    with open_read(path) as file:
        return file.read()


@contextlib.contextmanager
def fetched(directory: str, *names: str) -> Iterator[str]:
    """Yields a local directory with these files: `directory` itself, or copies if it is remote.

    The readers of `tfrecords` know nothing of Beam and take local paths.
    """
    if not is_remote(directory):
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="evenshard-") as local:
        for name in names:
            with open_read(join(directory, name)) as file, open(join(local, name), "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        yield local


def make_directory(path: str) -> None:
    """Creates a directory and its parents; an object store has none to create."""
    if is_remote(path):
        with contextlib.suppress(OSError):
            _filesystems().mkdirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def exists(path: str) -> bool:
    """Returns whether there is a file at `path`."""
    return _filesystems().exists(path) if is_remote(path) else os.path.exists(path)


def list_names(directory: str) -> list[str]:
    """Returns the sorted names of the files in a directory, [] if there is none."""
    if is_remote(directory):
        matched = _filesystems().match([join(directory, "*")])[0].metadata_list
        return sorted(os.path.basename(file.path) for file in matched)
    try:
        return sorted(entry.name for entry in os.scandir(directory) if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


class StorageFiles:
    """The `tfrecords.inputs.files.FileSystem` of a bake: local paths and Beam's FileSystems."""

    def open(self, path: str) -> BinaryIO:
        return open_read(path)

    def stat(self, path: str) -> FileStatus:
        if not is_remote(path):
            return LOCAL.stat(path)
        filesystems = _filesystems()
        for found in filesystems.match([path])[0].metadata_list:
            return FileStatus(FileKind.FILE, found.size_in_bytes, _version(found))
        # An object store has no folders, only names that begin alike.
        if filesystems.match([join(path, "**")], limits=[1])[0].metadata_list:
            return FileStatus(FileKind.FOLDER, 0, 0)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def walk(self, root: str) -> Iterator[ListedFile]:
        if not is_remote(root):
            yield from LOCAL.walk(root)
            return
        root = join(root, "")
        for found in _filesystems().match([root + "**"])[0].metadata_list:
            name = found.path.removeprefix(root)
            problem = RejectReason.HIDDEN if is_hidden(name) else None
            yield ListedFile(
                name, found.path, found.size_in_bytes, _version(found), problem=problem
            )

    def write(self, path: str) -> AbstractContextManager[BinaryIO]:
        make_directory(os.path.dirname(path))
        return publish(path)

    def names(self, folder: str) -> list[str]:
        return list_names(folder)

    def free_bytes(self, folder: str) -> int | None:
        return None if is_remote(folder) else LOCAL.free_bytes(folder)


FILES = StorageFiles()


def _version(found: Any) -> int:
    """Returns when a remote file was last written, in ns; 0 where its store does not say."""
    return int((found.last_updated_in_seconds or 0) * 1e9)


def remove(path: str) -> None:
    """Removes a file or a whole directory, if it exists."""
    if is_remote(path):
        _remove_remote(path)
        return
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _remove_remote(path: str) -> None:
    """Removes all names that begin with `path`/, since an object store has no directories."""
    filesystems = _filesystems()
    with contextlib.suppress(Exception):
        below = filesystems.match([join(path, "**")])[0].metadata_list
        if below:
            filesystems.delete([file.path for file in below])
    with contextlib.suppress(Exception):
        filesystems.delete([path])


def rename(source: str, target: str) -> None:
    """Moves a finished file to its final name, replacing any file there."""
    if not is_remote(source):
        os.replace(source, target)
        return
    filesystems = _filesystems()
    if filesystems.exists(target):
        filesystems.delete([target])
    filesystems.rename([source], [target])


def write_bytes(path: str, data: bytes, *, durable: bool = False) -> None:
    """Publishes `data` as the file `path`; `durable` as for `publish`."""
    with publish(path, durable=durable) as file:
        file.write(data)


@contextlib.contextmanager
def publish(path: str, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Yields a file that appears as `path`, whole, when the block ends without an error.

    Args:
      path: the final name.
      durable: whether it must then survive a power cut; costs a disk sync.

    Raises:
      BakeError: the disk is full, read-only or refuses access.
    """
    try:
        writing = (
            _publish_remote(path) if is_remote(path) else atomic.open_bytes(path, durable=durable)
        )
        with writing as file:
            yield file
    except OSError as error:
        fault = disk.find(error)
        if fault is None:
            raise
        raise BakeError(f"{fault.line(path)}; the same command carries on") from error


@contextlib.contextmanager
def _publish_remote(path: str) -> Iterator[BinaryIO]:
    """Builds the file locally, since an object store may publish an interrupted stream."""
    with tempfile.TemporaryFile() as local:
        yield local
        local.seek(0)
        with _filesystems().create(path, compression_type=_uncompressed()) as remote:
            while chunk := local.read(1 << 22):
                remote.write(chunk)


def is_temporary(name: str) -> bool:
    """Returns whether `name` is a file that a killed `publish` left behind."""
    return atomic.is_temporary(name)


def configure(beam_arguments: Sequence[str]) -> None:
    """Gives Beam's file systems their options, in this process and in those it starts.

    S3 refuses to work without any, and endpoints and profiles are given only by them.
    """
    os.environ[_BEAM_ARGUMENTS] = json.dumps(list(beam_arguments))


def _filesystems() -> Any:
    from apache_beam.io.filesystems import FileSystems

    # Pipelines and an engine's workers set them, and Beam has no public way to check.
    if getattr(FileSystems, "_pipeline_options", None) is None:
        from apache_beam.options.pipeline_options import PipelineOptions

        arguments = json.loads(os.environ.get(_BEAM_ARGUMENTS, "[]"))
        FileSystems.set_options(PipelineOptions(arguments))
    return FileSystems


def _uncompressed() -> str:
    """Without it, Beam would guess a compression from the name and decompress pictures."""
    from apache_beam.io.filesystem import CompressionTypes

    return CompressionTypes.UNCOMPRESSED
