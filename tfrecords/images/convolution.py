"""The arithmetic of a resize: whole numbers, so that every processor gives the same bytes.

It is that of fast_image_resize's convolution of 8-bit samples, which `kernels` calls where it is
installed. This is the reference in numpy, which runs elsewhere. The rule, for each of the two
directions:

1. Weights of each output sample are those of a filter as wide as the reduction, in float64, added
   up in order and divided by their sum.
2. They become whole multiples of 2^-p, halves rounded up. p is the largest, at most 21, for which
   the largest weight of all, at twice the precision, would no longer fit in 15 bits.
3. An output sample is the sum of weights times samples, plus a half, shifted right by p and clipped
   to 0 … 255.

Down comes first, then across, with 8 bits between them. A direction that keeps its size and begins
at a whole pixel is copied. Source: fast_image_resize 6.1, `precompute_coefficients`,
`Normalizer16`, `Resizer::do_convolution`.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass

import numpy as np

_MAX_PRECISION = 21
_WEIGHT_BITS = 15

# Sums held at a time: 1 MB of int32 stays in a processor's cache.
_BLOCK = 1 << 18


class Filter(enum.Enum):
    """A filter's shape; its radius in output pixels."""

    TRIANGLE = 1.0
    BOX = 0.5

    def at(self, place: np.ndarray) -> np.ndarray:
        """Returns the weights, float64, at distances from the centre, in output pixels."""
        if self is Filter.BOX:
            return ((place > -0.5) & (place <= 0.5)).astype(np.float64)
        return np.maximum(1.0 - np.abs(place), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights of one direction.

    Attributes:
      start: int64[n], the first sample of each output sample.
      values: int32[n, taps], whole numbers; 0 where a window is shorter.
      precision: `values` are multiples of 2^-precision.
    """

    start: np.ndarray
    values: np.ndarray
    precision: int


@functools.lru_cache(maxsize=64)
def weights(size: int, start: float, length: float, target: int, shape: Filter) -> Weights:
    """Returns the weights that bring a part of a line of samples to another length.

    Args:
      size: samples of the line.
      start, length: the part, in samples; fractions allowed.
      target: samples of the result.
      shape: of the filter.
    """
    # As the source adds them: the end may be one rounding away from start + length.
    scale = ((start + length) - start) / target
    widened = max(scale, 1.0)
    radius = shape.value * widened
    centre = start + (np.arange(target) + 0.5) * scale
    first = np.maximum(np.floor(centre - radius), 0.0)
    end = np.minimum(np.ceil(centre + radius), size)
    taps = int((end - first).max())
    place = first[:, None] + np.arange(taps)
    exact = shape.at((place - (centre - 0.5)[:, None]) * (1.0 / widened))
    exact[place >= end[:, None]] = 0.0
    # `cumsum` adds from left to right, as the rule asks; `sum` would pair them.
    exact /= np.cumsum(exact, axis=1)[:, -1:]
    precision = _precision(float(exact.max()))
    scaled = exact * float(1 << precision)
    whole = np.floor(scaled)
    values = (whole + (scaled - whole >= 0.5)).astype(np.int32)
    return Weights(first.astype(np.int64), values, precision)


def _precision(largest: float) -> int:
    for precision in range(_MAX_PRECISION + 1):
        if int(largest * (2 << precision) + 0.5) >= 1 << _WEIGHT_BITS:
            return precision
    return _MAX_PRECISION


def down(pixels: np.ndarray, by: Weights) -> np.ndarray:
    """Returns uint8[n, width, channels] of uint8[height, width, channels]."""
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    result = np.empty((len(by.start), width * channels), np.uint8)
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for at in range(0, len(result), step):
        part = slice(at, at + step)
        result[part] = _summed(rows, by.start[part], by.values[part], by.precision)
    return result.reshape(-1, width, channels)


def across(pixels: np.ndarray, by: Weights) -> np.ndarray:
    """Returns uint8[height, n, channels] of uint8[height, width, channels]."""
    turned = np.ascontiguousarray(pixels.swapaxes(0, 1))
    return np.ascontiguousarray(down(turned, by).swapaxes(0, 1))


def _summed(rows: np.ndarray, start: np.ndarray, values: np.ndarray, precision: int) -> np.ndarray:
    """Returns uint8[n, columns]: for each n, `values[n]` times the rows from `start[n]` on."""
    total = np.full((len(start), rows.shape[1]), 1 << (precision - 1), np.int32)
    last = len(rows) - 1
    for tap in range(values.shape[1]):
        # Weights beyond the end are 0.
        total += values[:, tap, None] * rows[np.minimum(start + tap, last)]
    total >>= precision
    return np.clip(total, 0, 255, out=total).astype(np.uint8)
