"""What of a picture is enough to tell whether another shows nearly the same.

Two small facts of each canonical image: `fingerprint`, 256 bits for finding near-duplicates
among millions, and `thumbnail`, 16×16 pixels for judging how alike two pictures look.
docs/duplicates.md has the measurements.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

FINGERPRINT_BITS = 256
THUMBNAIL_SIDE = 16

_SIDE = 32
_FREQUENCIES = 24

# Coefficients below this are noise of a recompressed plain background, not picture. Of 0, 1,
# 2 and 4 grey levels (in the orthonormal transform), 2 finds most re-encoded pictures again
# before blank ones begin to look alike.
_NOISE = 2

_SCALE = 4096


def _cosines() -> np.ndarray:
    """Returns float64[24, 32], rows of the orthonormal DCT-II as whole numbers of 1/4096.

    Whole numbers keep every sum below 2^53, where float64 is exact in any order: the same bits
    come out of every BLAS.
    """
    frequency, place = np.arange(_FREQUENCIES)[:, None], np.arange(_SIDE)
    cosines = np.cos(np.pi * (2 * place + 1) * frequency / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    return np.rint(cosines * _SCALE)


def _lowest_frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Returns the 256 lowest (vertical, horizontal) frequencies without the mean, lowest first."""
    vertical, horizontal = np.divmod(np.arange(1, _FREQUENCIES**2), _FREQUENCIES)
    line = np.lexsort((vertical, vertical + horizontal))[:FINGERPRINT_BITS]
    return vertical[line], horizontal[line]


_COSINES = _cosines()
_VERTICAL, _HORIZONTAL = _lowest_frequencies()


def fingerprint(image: Image.Image) -> bytes:
    """Returns 32 bytes: the signs of the 256 lowest frequencies of a picture's luma.

    The same picture re-encoded, resized or slightly cropped differs in few bits, other
    pictures in about 128. The first 8 bytes are the lowest frequencies and make a 64-bit
    perceptual hash of their own. Costs about 0.1 ms at 224×224. Source: Zauner, "Implementation
    and benchmarking of perceptual image hash functions" (2010), with a fixed threshold in
    place of the median, so that a plain background has no bits.
    """
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2)
    luma = np.asarray(small, np.float64)
    spectrum = _COSINES @ luma @ _COSINES.T
    return np.packbits(spectrum[_VERTICAL, _HORIZONTAL] > _NOISE * _SCALE**2).tobytes()


def thumbnail(image: Image.Image) -> np.ndarray:
    """Returns uint8[16, 16, 3], the box means of an RGB picture, squashed to a square."""
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX, reducing_gap=2))


def words(fingerprints: list[bytes]) -> np.ndarray:
    """Returns uint64[n, 4], fingerprints as columns for `beam_pipelines.duplicates`.

    Raises:
      ValueError: one of them is not 32 bytes long.
    """
    if any(len(one) * 8 != FINGERPRINT_BITS for one in fingerprints):
        raise ValueError(f"every fingerprint must have {FINGERPRINT_BITS // 8} bytes")
    return columns(np.frombuffer(b"".join(fingerprints), f"S{FINGERPRINT_BITS // 8}"))


def columns(fingerprints: np.ndarray) -> np.ndarray:
    """Returns uint64[n, 4], `words` of 'S32'[n]."""
    table = np.ascontiguousarray(fingerprints).view(">u8")
    return table.reshape(-1, FINGERPRINT_BITS // 64).astype(np.uint64)
