"""Files that appear under their names complete or not at all.

What is written has a temporary name in the same directory first, so that a reader never sees
half a file and an interrupted command leaves the earlier one as it was.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from tfrecords.system import disk

_PREFIX = ".tmp-"
_OURS = re.compile(r"\.tmp-[0-9a-f]{16}-.")

# Names may have 255 bytes on most file systems. The end is kept: libraries go by the extension.
_KEPT_BYTES = 200

_BUFFER_BYTES = 1 << 20


def write_bytes(path: str | Path, data: bytes, *, durable: bool = True) -> None:
    """Writes a file; raises and `durable` as for `open_bytes`."""
    with open_bytes(path, durable=durable) as file:
        file.write(data)


def write_text(path: str | Path, text: str, *, durable: bool = True) -> None:
    """Writes a file of UTF-8; raises and `durable` as for `open_bytes`."""
    write_bytes(path, text.encode(), durable=durable)


def write_file(path: Path, data: bytes) -> Path:
    """Writes a file, with its directory if that is absent, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
    return path


@contextlib.contextmanager
def open_bytes(path: str | Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Yields a file that appears as `path` when the block ends without an error.

    Args:
      path: the final name; its directory must exist. A link stays one, and its target is
        replaced; a pipe or a device is written to as it is.
      durable: whether the file must survive a power cut from then on; costs a disk sync.

    Raises:
      OSError: the file cannot be written; nothing is left behind.
    """
    with temporary_path(path, durable=durable) as temporary:
        with open(str(temporary), "wb", buffering=_BUFFER_BYTES) as file:
            yield file


@contextlib.contextmanager
def open_text(
    path: str | Path, *, newline: str | None = None, errors: str = "strict", durable: bool = True
) -> Iterator[TextIO]:
    """Yields a UTF-8 file that appears as `path` when the block ends without an error.

    Args:
      path: as for `open_bytes`, as is `durable`.
      newline: as for the built-in `open`, as is `errors`.
    """
    with open_bytes(path, durable=durable) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", newline=newline, errors=errors)
        yield text
        text.flush()
        text.detach()


@contextlib.contextmanager
def temporary_path(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields the path of a file to write, which becomes `path` when the block ends.

    For libraries that take a path, and no open file. Its extension is that of `path`.

    Args:
      path: as for `open_bytes`, as is `durable`.
    """
    target = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        try:
            yield target
        except OSError as error:
            _name(error, target, path)
            raise
        return
    temporary = target.with_name(_temporary_name(target.name))
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        if isinstance(error, OSError):
            _name(error, temporary, path)
        raise
    if durable:
        _sync_directory(target.parent)


def _name(error: OSError, temporary: Path, path: str | Path) -> None:
    """Gives an error of writing the name that a person knows; a full disk's has none."""
    is_disk = error.filename is None and error.errno in disk.NUMBERS
    if is_disk or error.filename == str(temporary):
        error.filename = str(path)


def is_temporary(name: str) -> bool:
    """Returns whether a file name is one that a killed writer leaves behind."""
    return name.startswith(_PREFIX)


def is_ours(name: str) -> bool:
    """Returns whether a temporary name is of the exact form that this module gives.

    Stricter than `is_temporary`, for folders where others write too.
    """
    return _OURS.match(name) is not None


def remove_temporary(directory: str | Path) -> None:
    """Removes what killed writers left in a directory, which may be absent."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(directory)):
            if is_temporary(name):
                os.remove(os.path.join(directory, name))


def _temporary_name(name: str) -> str:
    # Unique among the machines of a cluster that share the file system.
    end = os.fsdecode(os.fsencode(name)[-_KEPT_BYTES:])
    return f"{_PREFIX}{secrets.token_hex(8)}-{end}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Makes a rename survive a power cut, where the system lets directories be opened."""
    with contextlib.suppress(OSError):
        _sync(directory)
