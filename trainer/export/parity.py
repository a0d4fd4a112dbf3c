"""How near an exported network is to the live one: pure functions on probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrecords.errors import TrainerError

# Two backends sum in different orders, so probabilities differ in the seventh digit and a
# picture between two classes may fall to the other side: one of 200 is allowed.
MIN_AGREEMENT = 0.995


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    Attributes:
      pictures: how many were compared.
      agreement: share of them with the same likeliest class, 0 to 1.
      max_difference: largest difference of any probability, 0 to 1.
    """

    pictures: int
    agreement: float
    max_difference: float

    def __str__(self) -> str:
        return (
            f"top-1 agreement {self.agreement:.2%} of {self.pictures:,} pictures, "
            f"max |Δp| {self.max_difference:.2g}"
        )


@dataclass(frozen=True)
class ReadParity:
    """How near another decoder and resizer of the same files comes.

    Attributes:
      parity: of the probabilities.
      mean_pixel: mean |Δ| of the pixels, in levels of 255.
      worst_pixel: that mean of the picture where it is largest.
      unread: files that only the bake's decoder reads.
    """

    parity: Parity
    mean_pixel: float
    worst_pixel: float
    unread: int

    def __str__(self) -> str:
        text = (
            f"from files: {self.parity}; mean |Δpixel| {self.mean_pixel:.2f} of 255, "
            f"{self.worst_pixel:.2f} in the worst picture"
        )
        return text + (f"; {self.unread:,} in formats that it cannot read" if self.unread else "")


def compare(live: np.ndarray, exported: np.ndarray) -> Parity:
    """Returns how near two tables of probabilities, float32[n, classes], are.

    Raises:
      ValueError: other shapes, or no row.
    """
    if live.shape != exported.shape or not len(live):
        raise ValueError(f"nothing to compare: {live.shape} live, {exported.shape} exported")
    same = live.argmax(axis=1) == exported.argmax(axis=1)
    # NaN is as far away as can be, and agrees with nothing.
    finite = np.isfinite(exported).all(axis=1)
    difference = np.where(finite[:, None], np.abs(live - np.nan_to_num(exported)), 1.0)
    return Parity(len(live), float((same & finite).mean()), float(difference.max()))


def compare_pixels(live: np.ndarray, exported: np.ndarray) -> tuple[float, float]:
    """Returns mean |Δ| of uint8[n, h, w, 3], and that of the worst picture."""
    means = np.abs(live.astype(np.int16) - exported).reshape(len(live), -1).mean(axis=1)
    return float(means.mean()), float(means.max())


def require(found: Parity, what: str) -> None:
    """Refuses an export that says something else than the live network.

    Raises:
      TrainerError: less than `MIN_AGREEMENT`.
    """
    if found.agreement < MIN_AGREEMENT:
        raise TrainerError(
            f"--format={what}: {found}; at least {MIN_AGREEMENT:.1%} expected, nothing written. "
            "--parity_pictures=0 writes it unchecked, to look into"
        )
