"""Picture files written byte by byte from known samples, independently of any image library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

# The passes of an interlaced PNG: first column, first row, column step, row step.
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def png(
    samples: np.ndarray,
    depth: int,
    colour: int,
    *,
    interlaced: bool = False,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """Returns a PNG of integer samples[height, width, channels] at `depth` bits each.

    Rows alternate between the filters "none" and "sub".
    """
    height, width, channels = samples.shape
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b"".join(
        _png_rows(samples[y::dy, x::dx], depth, channels)
        for x, y, dx, dy in passes
        if x < width and y < height
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    body = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, body))


def _png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, data = chunk
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_rows(samples: np.ndarray, depth: int, channels: int) -> bytes:
    step = max(1, depth * channels // 8)
    out = b""
    for index, row in enumerate(samples):
        raw = np.frombuffer(_packed(row.reshape(-1), depth), np.uint8)
        if index % 2:
            left = np.concatenate([np.zeros(step, np.uint8), raw])[: len(raw)]
            out += b"\x01" + (raw - left).tobytes()
        else:
            out += b"\x00" + raw.tobytes()
    return out


def _packed(values: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = (values[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def bmp(
    rows: Sequence[bytes],
    width: int,
    bits: int,
    *,
    palette: bytes = b"",
    masks: tuple[int, ...] = (),
    compression: int = 0,
    top_down: bool = False,
) -> bytes:
    """Returns a BMP of packed rows, top row first; each is padded to four bytes here."""
    compression = 3 if masks else compression
    if compression in (0, 3):
        rows = [row + bytes(-len(row) % 4) for row in rows]
    height = len(rows)
    body = b"".join(rows if top_down else rows[::-1])
    mask_bytes = struct.pack(f"<{len(masks)}I", *masks)
    offset = 14 + 40 + len(mask_bytes) + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII",
        40, width, -height if top_down else height, 1, bits, compression, len(body), 0, 0,
        len(palette) // 4, 0,
    )  # fmt: skip
    head = struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset)
    return head + info + mask_bytes + palette + body


def tiff(
    samples: np.ndarray,
    photometric: int,
    *,
    big_endian: bool = False,
    bits: int | None = None,
    data: bytes | None = None,
    extra: Mapping[int, int] | None = None,
) -> bytes:
    """Returns an uncompressed one-strip TIFF of samples[height, width, channels].

    Args:
      samples: integers or floats; their type is the file's.
      photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK, 8 CIE L*a*b*.
      big_endian: byte order.
      bits: of a sample; by the type of `samples` if not given.
      data: the strip, if numpy has no type for its packing.
      extra: further tags of one SHORT each.
    """
    height, width, channels = samples.shape
    order = ">" if big_endian else "<"
    strip = data or samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    depth = [bits or samples.dtype.itemsize * 8] * channels
    tags: dict[int, list[int]] = {
        256: [width], 257: [height], 258: depth, 259: [1], 262: [photometric],
        273: [0], 277: [channels], 278: [height], 279: [len(strip)], 339: [kind] * channels,
    } | {tag: [value] for tag, value in (extra or {}).items()}  # fmt: skip
    directory = 2 + 12 * len(tags) + 4
    overflow, base = b"", 8 + directory
    long_values = {tag: v for tag, v in tags.items() if len(v) > 2}
    tags[273] = [base + sum(2 * len(v) for v in long_values.values())]
    entries = b""
    for tag in sorted(tags):
        values = tags[tag]
        if tag in (273, 279):
            entries += struct.pack(f"{order}HHII", tag, 4, 1, values[0])
            continue
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            where = struct.pack(f"{order}I", base + len(overflow))
            overflow += packed
        else:
            where = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, 3, len(values)) + where
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8)
    count = struct.pack(f"{order}H", len(tags))
    return head + count + entries + bytes(4) + overflow + strip


# sRGB's primaries and white as ICC profiles state them, adapted to D50.
_RED, _GREEN, _BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
_D50 = (0.9642, 1.0, 0.8249)


def icc_rgb(
    gamma: float, *, swapped: bool = False, description: str = "written by a test"
) -> bytes:
    """Returns an RGB profile of sRGB's primaries; `swapped` calls its first channel green."""
    first, second = (_GREEN, _RED) if swapped else (_RED, _GREEN)
    curve = _icc_gamma(gamma)
    tags = {b"rXYZ": _icc_xyz(first), b"gXYZ": _icc_xyz(second), b"bXYZ": _icc_xyz(_BLUE)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _icc(b"RGB ", b"XYZ ", tags, description=description)


def icc_grey(gamma: float) -> bytes:
    """Returns a grey profile."""
    return _icc(b"GRAY", b"XYZ ", {b"kTRC": _icc_gamma(gamma)})


def icc_cmyk_key_only() -> bytes:
    """Returns a CMYK profile in which only K is ink: L* = 100 (1 - K), a* = b* = 0."""
    identity = bytes(range(256))
    # Grid of 2 points a channel, the last (K) varying fastest.
    grid = b"".join(bytes((0 if point % 2 else 255, 128, 128)) for point in range(16))
    matrix = struct.pack(">9i", *(int(v * 65_536) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + grid + identity * 3
    return _icc(b"CMYK", b"Lab ", {b"A2B0": table}, kind=b"prtr")


def _icc(
    space: bytes,
    pcs: bytes,
    tags: Mapping[bytes, bytes],
    kind: bytes = b"mntr",
    description: str = "written by a test",
) -> bytes:
    text = description.encode() + b"\0"
    named = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
        b"wtpt": _icc_xyz(_D50),
    } | dict(tags)
    directory, body = b"", b""
    start = 128 + 4 + 12 * len(named)
    for name, data in named.items():
        directory += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4s4sI4sIII12s4s44s",
        start + len(body), b"none", 0x02100000, kind, space, pcs, bytes(12), b"acsp", b"none",
        b"none", 0, b"none", 0, 0, 0, _icc_xyz(_D50)[8:], b"none", bytes(44),
    )  # fmt: skip
    return header + struct.pack(">I", len(named)) + directory + body


def _icc_xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65_536) for v in values))


def _icc_gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
