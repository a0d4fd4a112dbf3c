"""What of a picture is enough to tell whether another shows nearly the same.

Small facts of each canonical image: `fingerprint`, 256 bits for finding near-duplicates
among millions, `thumbnail`, 16×16 pixels for judging how alike two pictures look, and
`difference_hash`, 64 bits by which two bakes can be compared.
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


def _lowest_frequencies() -> np.ndarray:
    """Returns the places of the 256 lowest frequencies in a spectrum of 24×24, lowest first.

    The mean, at place 0, is none of them.
    """
    place = np.arange(1, _FREQUENCIES**2)
    vertical, horizontal = np.divmod(place, _FREQUENCIES)
    return place[np.lexsort((vertical, vertical + horizontal))[:FINGERPRINT_BITS]]


_COSINES = _cosines()
_LOWEST = _lowest_frequencies()


def cells(image: Image.Image) -> Image.Image:
    """Returns the 32×32 box means of a picture, RGB; a picture of that size is its own.

    The three facts below are facts of the cells: whoever wants more than one makes them once,
    which costs more than the facts do (0.13 of 0.2 ms at 224×224).
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if rgb.size == (_SIDE, _SIDE):
        return rgb
    return rgb.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2)


def fingerprint(image: Image.Image) -> bytes:
    """Returns 32 bytes: the signs of the 256 lowest frequencies of a picture's luma.

    The same picture re-encoded, resized or slightly cropped differs in few bits, other
    pictures in about 128. The first 8 bytes are the lowest frequencies and make a 64-bit
    perceptual hash of their own. Source: Zauner, "Implementation and benchmarking of perceptual
    image hash functions" (2010), with a fixed threshold in place of the median, so that a plain
    background has no bits.
    """
    luma = np.asarray(cells(image).convert("L"), np.float64)
    spectrum = _COSINES @ luma @ _COSINES.T
    return np.packbits(spectrum.ravel()[_LOWEST] > _NOISE * _SCALE**2).tobytes()


def difference_hash(image: Image.Image) -> int:
    """Returns 64 bits: whether each of 8×8 cells is clearly darker than its right neighbour.

    Equal pictures at other sizes or qualities differ in few bits. Source: Krawetz, "Kind of
    like that" (2013), changed twice: cells overlap (a triangle filter), and a difference of
    one level is none, as it is noise in a plain background. docs/duplicates.md has what it finds.
    """
    luma = cells(image).convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    levels = np.asarray(luma, np.int16)
    bits = levels[:, 1:] - levels[:, :-1] > 1
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def thumbnail(image: Image.Image) -> np.ndarray:
    """Returns uint8[16, 16, 3], the box means of a picture, squashed to a square."""
    return np.asarray(cells(image).reduce(_SIDE // THUMBNAIL_SIDE))


def words(fingerprints: list[bytes]) -> np.ndarray:
    """Returns uint64[n, 4], fingerprints as columns for `beam_pipelines.similarity.duplicates`.

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
