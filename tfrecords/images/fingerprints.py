"""What of a picture is enough to tell whether another shows nearly the same.

Small facts of each canonical image: `fingerprint`, 256 bits for finding near-duplicates
among millions, `thumbnail`, 16×16 pixels for judging how alike two pictures look, and
`difference_hash`, 64 bits by which two bakes can be compared.
docs/duplicates.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfrecords.images import convolution
from tfrecords.images.convolution import Filter
from tfrecords.images.resample import Picture, resample, size_of

FINGERPRINT_BITS = 256
THUMBNAIL_SIDE = 16

_SIDE = 32
_FREQUENCIES = 24

# Coefficients below this are noise of a recompressed plain background, not picture. Of 0, 1,
# 2 and 4 grey levels (in the orthonormal transform), 2 finds most re-encoded pictures again
# before blank ones begin to look alike.
_NOISE = 2

_SCALE = 4096

# Of red, green and blue, as Pillow has them.
_LUMA = np.array((19595, 38470, 7471)) / 65536


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


def _triangle(target: int) -> np.ndarray:
    """Returns float64[target, 32], a triangle filter over the cells in whole numbers of 2^-p."""
    by = convolution.weights(_SIDE, 0.0, float(_SIDE), target, Filter.TRIANGLE)
    dense = np.zeros((target, _SIDE + by.values.shape[1]))
    for row, (start, values) in enumerate(zip(by.start, by.values, strict=True)):
        dense[row, start : start + len(values)] = values
    return dense[:, :_SIDE] / float(1 << by.precision)


_COSINES = _cosines()
_LOWEST = _lowest_frequencies()
_ROWS, _COLUMNS = _triangle(8), _triangle(9)

# A cell is darker than its neighbour from here on, in grey levels: of whole levels, two.
_DARKER = 1.5


@dataclass(frozen=True, slots=True)
class Facts:
    """`fingerprint`, `difference_hash` and `thumbnail` of a picture, for less than one by one.

    Attributes:
      fingerprint: 32 bytes.
      difference_hash: 64 bits.
      thumbnail: uint8[16, 16, 3].
    """

    fingerprint: bytes
    difference_hash: int
    thumbnail: np.ndarray

    @classmethod
    def of(cls, picture: Picture) -> Facts:
        """Returns the facts of a picture, which is reduced to its cells once."""
        found = cells(picture)
        luma = _luma(found)
        return cls(_fingerprint(luma), _difference_hash(luma), thumbnail(found))


def cells(picture: Picture) -> np.ndarray:
    """Returns uint8[32, 32, 3], the box means of a picture; cells are their own.

    The three facts below are facts of the cells: whoever wants more than one makes them once.
    """
    if isinstance(picture, Image.Image) and picture.mode != "RGB":
        picture = picture.convert("RGB")
    width, height = size_of(picture)
    return resample(picture, (_SIDE, _SIDE), (0.0, 0.0, width, height), Filter.BOX)


def fingerprint(picture: Picture) -> bytes:
    """Returns 32 bytes: the signs of the 256 lowest frequencies of a picture's luma.

    The same picture re-encoded, resized or slightly cropped differs in few bits, other
    pictures in about 128. The first 8 bytes are the lowest frequencies and make a 64-bit
    perceptual hash of their own. Source: Zauner, "Implementation and benchmarking of perceptual
    image hash functions" (2010), with a fixed threshold in place of the median, so that a plain
    background has no bits.
    """
    return _fingerprint(_luma(cells(picture)))


def _fingerprint(luma: np.ndarray) -> bytes:
    spectrum = _COSINES @ luma @ _COSINES.T
    return np.packbits(spectrum.ravel()[_LOWEST] > _NOISE * _SCALE**2).tobytes()


def difference_hash(picture: Picture) -> int:
    """Returns 64 bits: whether each of 8×8 cells is clearly darker than its right neighbour.

    Equal pictures at other sizes or qualities differ in few bits. Source: Krawetz, "Kind of
    like that" (2013), changed twice: cells overlap (a triangle filter), and a difference of
    one level is none, as it is noise in a plain background. docs/duplicates.md has what it finds.
    """
    return _difference_hash(_luma(cells(picture)))


def _difference_hash(luma: np.ndarray) -> int:
    # Multiples of 2^-34 below 2^8: float64 is exact in any order.
    levels = _ROWS @ luma @ _COLUMNS.T
    bits = levels[:, 1:] - levels[:, :-1] >= _DARKER
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def thumbnail(picture: Picture) -> np.ndarray:
    """Returns uint8[16, 16, 3], the box means of a picture, squashed to a square."""
    step = _SIDE // THUMBNAIL_SIDE
    found = cells(picture)
    total = np.add(found[0::step], found[1::step], dtype=np.uint16)
    total = total[:, 0::step] + total[:, 1::step]
    total += 2
    total >>= 2
    return total.astype(np.uint8)


def _luma(found: np.ndarray) -> np.ndarray:
    """Returns float64[32, 32] of cells: whole levels, rounded, by the weights of ITU-R BT.601."""
    # Whole numbers and a power of two: float64 is exact.
    return np.floor(found.reshape(-1, 3) @ _LUMA + 0.5).reshape(_SIDE, _SIDE)


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
