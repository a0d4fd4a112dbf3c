"""Takes GPU code for other cards, and the symbol table, out of a shared library, in place.

A library holds GPU code in containers of images, machine code ("cubin") or PTX, each for one
compute capability. Images of 9.0 stay; PTX stays where a container has no machine code of 9.0, and
then only the highest below. The others become zeros, which compress to nothing: nothing moves.
Containers are looked for in the whole file: TensorFlow keeps most of its own outside of the
section that is meant for them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ARCH = 90
_MAGIC = b"\x50\xed\x55\xba"
_CONTAINER = struct.Struct("<IHHQ")  # Magic, version, bytes of this header, bytes that follow.
_IMAGE = struct.Struct("<HHIQ")  # Kind, version, bytes of this header, bytes of the image.
_ARCH_AT = 28
_PTX, _CUBIN = 1, 2
_KINDS = (1, 2, 8, 16, 64)


class Image(NamedTuple):
    """One image of a container.

    Attributes:
      kind: `_PTX`, `_CUBIN` or another.
      start, size: of its bytes in the file.
      arch: compute capability, 90 for 9.0.
    """

    kind: int
    start: int
    size: int
    arch: int


def prune(path: Path) -> str:
    """Prunes a file, if it is a shared library; returns a line on what was left out."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        before = len(data)
        if data[:4] != b"\x7fELF":
            return f"{path.name}: left as it is"
        dropped = sum(_prune_container(data, images) for images in containers(data))
        end = _cut_tail(data)
        data.flush()
    with path.open("r+b") as file:
        file.truncate(end)
    return f"{path.name}: {before - end} bytes of tables and {dropped} of GPU code left out"


def containers(data: mmap.mmap) -> Iterator[list[Image]]:
    """Yields the images of each container in a file."""
    place = data.find(_MAGIC)
    while place >= 0:
        _, version, header, size = _CONTAINER.unpack_from(data, place)
        if version == 1 and header == _CONTAINER.size and place + header + size <= len(data):
            yield list(_images(data, place + header, place + header + size))
        place = data.find(_MAGIC, place + 4)


def _images(data: mmap.mmap, place: int, end: int) -> Iterator[Image]:
    while place + 64 <= end:
        kind, _, header, size = _IMAGE.unpack_from(data, place)
        if kind not in _KINDS or not 48 <= header <= 4096 or place + header + size > end:
            return
        (arch,) = struct.unpack_from("<I", data, place + _ARCH_AT)
        yield Image(kind, place + header, size, arch)
        place += header + size


def _prune_container(data: mmap.mmap, images: list[Image]) -> int:
    """Zeroes the images that the card cannot use, or need not; returns their bytes."""
    has_code = any(image.kind == _CUBIN and image.arch == ARCH for image in images)
    texts = [image.arch for image in images if image.kind == _PTX and image.arch <= ARCH]
    dropped = 0
    for image in images:
        stays = (
            image.kind not in (_PTX, _CUBIN)
            or (image.kind == _CUBIN and image.arch == ARCH)
            or (image.kind == _PTX and not has_code and image.arch == max(texts, default=0))
        )
        if not stays:
            data[image.start : image.start + image.size] = bytes(image.size)
            dropped += image.size
    return dropped


def _cut_tail(data: mmap.mmap) -> int:
    """Forgets the section headers, which the loader does not read; returns the end of the rest."""
    (headers,) = struct.unpack_from("<Q", data, 0x20)
    each, count = struct.unpack_from("<HH", data, 0x36)
    ends = []
    for number in range(count):
        offset = headers + number * each
        (start,) = struct.unpack_from("<Q", data, offset + 8)
        (size,) = struct.unpack_from("<Q", data, offset + 32)
        ends.append(start + size)
    struct.pack_into("<Q", data, 0x28, 0)
    struct.pack_into("<HHH", data, 0x3A, 0, 0, 0)
    return int(max(ends))
