"""The blocks before the first picture of a GIF: long comments are left out."""

from __future__ import annotations

# Pillow joins the pieces of 255 bytes that a comment comes in at a cost that grows with the
# square of their number: 20 MB take half an hour.
_MAX_EXTENSION = 64 << 10

_EXTENSION, _PICTURE = 0x21, 0x2C
_GRAPHIC_CONTROL = 0xF9


def without_bulk(data: bytes) -> bytes:
    """Returns a GIF without the long comments before its first picture.

    An ordinary GIF is returned as it is.
    """
    if len(data) < 13:
        return data
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    parts, kept = [], 0
    while at + 2 < len(data) and data[at] != _PICTURE:
        start = at
        if data[at] != _EXTENSION:
            at += 1
            continue
        label = data[at + 1]
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        if at - start > _MAX_EXTENSION and label != _GRAPHIC_CONTROL:
            parts.append(data[kept:start])
            kept = at
    return b"".join((*parts, data[kept:]))
