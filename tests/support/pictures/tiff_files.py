"""TIFF files of every arrangement of samples, written byte by byte from known ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

_KINDS = {"u": 1, "i": 2, "f": 3}
NONE, DEFLATE = 1, 8


@dataclass(frozen=True)
class Arrangement:
    """How samples lie in a TIFF.

    Attributes:
      big_endian: order of bytes.
      big: 64-bit offsets (BigTIFF).
      planar: samples in separate planes.
      compression: NONE or DEFLATE.
      predictor: 1 none, 2 differences, 3 differences of floats; with DEFLATE only.
      tile: width and height of tiles, or None for strips.
      rows: of a strip.
      tags: further tags of unsigned integers, or other values of the tags above.
    """

    big_endian: bool = False
    big: bool = False
    planar: bool = False
    compression: int = NONE
    predictor: int = 1
    tile: tuple[int, int] | None = None
    rows: int = 5
    tags: Mapping[int, Sequence[int]] = field(default_factory=dict)


def tiff(samples: np.ndarray, photometric: int, how: Arrangement | None = None) -> bytes:
    """Returns a TIFF of samples[height, width, channels], whose type is the file's."""
    how = how or Arrangement()
    height, width, channels = samples.shape
    order = ">" if how.big_endian else "<"
    planes = np.split(samples, channels, axis=2) if how.planar else [samples]
    parts = [_packed(part, how) for plane in planes for part in _parts(plane, how)]
    offsets_tag, counts_tag = (324, 325) if how.tile else (273, 279)
    tags: dict[int, Sequence[int]] = {
        256: [width], 257: [height], 258: [samples.dtype.itemsize * 8] * channels,
        259: [how.compression], 262: [photometric], 277: [channels],
        284: [2 if how.planar else 1], 317: [how.predictor], offsets_tag: [0] * len(parts),
        counts_tag: [len(part) for part in parts], 339: [_KINDS[samples.dtype.kind]] * channels,
        **({322: [how.tile[0]], 323: [how.tile[1]]} if how.tile else {278: [how.rows]}), **how.tags,
    }  # fmt: skip
    word, kind, head = ("Q", 16, "Q") if how.big else ("I", 4, "H")
    start = 16 if how.big else 8
    size = struct.calcsize(word)
    beyond = start + struct.calcsize(head) + len(tags) * (4 + 2 * size) + size
    long_values = sum(len(v) * size for v in tags.values() if len(v) > 1)
    at = beyond + long_values
    offsets = []
    for part in parts:
        offsets.append(at)
        at += len(part)
    tags |= {offsets_tag: offsets, **how.tags}
    rows, tail = b"", b""
    for tag in sorted(tags):
        packed = struct.pack(f"<{len(tags[tag])}{word}".replace("<", order), *tags[tag])
        rows += struct.pack(f"{order}HH{word}", tag, kind, len(tags[tag]))
        if len(tags[tag]) > 1:
            rows += struct.pack(f"{order}{word}", beyond + len(tail))
            tail += packed
        else:
            rows += packed
    mark = b"MM" if how.big_endian else b"II"
    if how.big:
        begin = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, start)
    else:
        begin = mark + struct.pack(f"{order}HI", 42, start)
    directory = struct.pack(f"{order}{head}", len(tags)) + rows + bytes(size) + tail
    return begin + directory + b"".join(parts)


def _parts(plane: np.ndarray, how: Arrangement) -> list[np.ndarray]:
    height, width, _ = plane.shape
    if how.tile is None:
        return [plane[top : top + how.rows] for top in range(0, height, how.rows)]
    across, down = how.tile
    full = np.pad(plane, ((0, -height % down), (0, -width % across), (0, 0)))
    return [
        full[top : top + down, left : left + across]
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def _packed(part: np.ndarray, how: Arrangement) -> bytes:
    order = ">" if how.big_endian else "<"
    height, width, channels = part.shape
    stored = part.astype(part.dtype.newbyteorder(order))
    if how.predictor == 2:
        integers = part.view(f"u{part.dtype.itemsize}")
        left = np.pad(integers, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        stored = (integers - left).astype(f"{order}u{part.dtype.itemsize}")
    data = stored.tobytes()
    if how.predictor == 3:
        # Bytes of a row sorted by significance, then differences at the distance of a pixel.
        raw = np.frombuffer(part.astype(part.dtype.newbyteorder(">")).tobytes(), np.uint8)
        planes = raw.reshape(height, width * channels, -1).transpose(0, 2, 1).reshape(height, -1)
        left = np.pad(planes, ((0, 0), (channels, 0)))[:, :-channels]
        data = (planes - left).tobytes()
    return zlib.compress(data) if how.compression == DEFLATE else data
