"""Cuts a folder into parts that stand alone, so that each can be written as soon as it arrives.

A part is a tar file of members that `unpack.py` knows: `PATH@OFFSET.xz`, a piece of a large file,
and `small-N.tar.xz`, many small ones.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

# Pieces of this many bytes are compressed each on its own; smaller files go together.
PIECE = 64 << 20
LARGE = 4 << 20

# Of a member in a tar file, and of the file's end.
_HEADER, _END = 1536, 16384


class Piece(NamedTuple):
    """A member before it is compressed.

    Attributes:
      name: of the member, without ".xz".
      files: the small files in it, relative to the folder; empty for a piece of a large one.
    """

    name: str
    files: tuple[str, ...] = ()


def pack(root: Path, out: Path, most: int, preset: int, threads: int = 2) -> list[Path]:
    """Returns the parts that it writes, with `members.txt`, the names of all members.

    Args:
      root: folder to pack.
      out: folder for the parts; parts that are there already go.
      most: bytes of a part.
      preset: of xz.
      threads: that compress.

    Raises:
      ValueError: a piece is larger than a part.
    """
    for old in out.glob("part[0-9][0-9]"):
        old.unlink()
    with ThreadPoolExecutor(threads) as pool:
        members = list(pool.map(lambda piece: _compressed(root, piece, preset), pieces(root)))
    parts: list[list[tuple[str, bytes]]] = []
    sizes: list[int] = []
    for name, data in sorted(members, key=lambda member: -len(member[1])):
        need = len(data) + _HEADER
        if need + _END > most:
            raise ValueError(f"{name} takes {len(data)} bytes, more than a part of {most}")
        fitting = [n for n, size in enumerate(sizes) if size + need + _END <= most]
        if not fitting:
            parts.append([])
            sizes.append(0)
            fitting = [len(parts) - 1]
        parts[fitting[0]].append((name, data))
        sizes[fitting[0]] += need
    names = [name for part in parts for name, _ in part]
    (out / "members.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return [_write(out / f"part{n:02d}", part) for n, part in enumerate(parts)]


def pieces(root: Path) -> Iterator[Piece]:
    """Yields what becomes a member each: small files together, large ones in pieces."""
    together: list[str] = []
    size = number = 0
    for path in _files(root):
        name, length = path.relative_to(root).as_posix(), path.lstat().st_size
        if length >= LARGE and not path.is_symlink():
            yield from (Piece(f"{name}@{offset}") for offset in range(0, length, PIECE))
            continue
        together.append(name)
        size += length
        if size > PIECE:
            yield Piece(f"small-{number}.tar", tuple(together))
            together, size, number = [], 0, number + 1
    if together:
        yield Piece(f"small-{number}.tar", tuple(together))


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if not name.endswith(".pyc"))


def _compressed(root: Path, piece: Piece, preset: int) -> tuple[str, bytes]:
    filters = [
        {"id": lzma.FILTER_X86},
        {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": PIECE},
    ]
    packed = lzma.compress(_raw(root, piece), lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    print(f"{piece.name}: {len(packed)} bytes", flush=True)
    return f"{piece.name}.xz", packed


def _raw(root: Path, piece: Piece) -> bytes:
    if not piece.files:
        name, _, offset = piece.name.rpartition("@")
        with (root / name).open("rb") as file:
            file.seek(int(offset))
            return file.read(PIECE)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in piece.files:
            archive.add(root / name, name, filter=_of_nobody)
    return raw.getvalue()


def _of_nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _write(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
