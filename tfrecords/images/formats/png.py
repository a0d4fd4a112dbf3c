"""The chunks of a PNG: damaged metadata is left out, what decoding takes is known before."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ImageFile, PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Ancillary chunks that belong to the pixels.
_OF_PIXELS = (b"tRNS",)

# Apple's variant, which Xcode writes into iPhone applications: deflate without zlib's header,
# blue before red, colours multiplied by alpha.
_APPLE = b"CgBI"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: its kind, where it starts and ends, and whether its checksum is right."""

    kind: bytes
    start: int
    end: int
    intact: bool

    @property
    def ancillary(self) -> bool:
        """Whether a decoder may do without it."""
        return bool(self.kind[0] & 0x20)


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yields the chunks of a PNG up to the first that reaches beyond the end of the file."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        checksum = zlib.crc32(memoryview(data)[at + 4 : end - 4])
        yield Chunk(kind, at, end, checksum == int.from_bytes(data[end - 4 : end], "big"))
        at = end


def without_damaged_metadata(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Returns a PNG without metadata of a wrong checksum, and the kinds that were left out.

    Chunks of the pixels stay, damaged or not: a picture with wrong colours is corrupt.
    """
    damaged = [c for c in chunks(data) if not c.intact and c.ancillary and c.kind not in _OF_PIXELS]
    return _without(data, damaged)


def without_metadata(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Returns a PNG with the chunks of its pixels alone, and the kinds that were left out."""
    return _without(data, [c for c in chunks(data) if c.ancillary and c.kind not in _OF_PIXELS])


def is_apple(data: bytes) -> bool:
    """Returns whether a PNG is in the form that iPhone applications use."""
    return data[12:16] == _APPLE


def _without(data: bytes, left_out: list[Chunk]) -> tuple[bytes, tuple[str, ...]]:
    parts, at = [], 0
    for chunk in left_out:
        parts.append(data[at : chunk.start])
        at = chunk.end
    kinds = sorted({chunk.kind.decode("latin-1") for chunk in left_out})
    return b"".join((*parts, data[at:])), tuple(kinds)


def scale_colour_key(image: ImageFile.ImageFile) -> None:
    """Brings the transparent colour of a PNG to the 8 bits of its pixels.

    Pillow scales samples of 2, 4 and 16 bits and leaves the colour as the file has it.
    """
    key = image.info.get("transparency")
    if key is None or not isinstance(image, PngImagePlugin.PngImageFile):
        return
    samples = image.tile[0][3]
    if samples == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif samples in ("L;2", "L;4"):
        image.info["transparency"] = key * 255 // (3 if samples == "L;2" else 15)
