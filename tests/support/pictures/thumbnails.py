"""Thumbnails of pictures that do not exist."""

from __future__ import annotations

import numpy as np


def random_thumbnails(count: int, seed: int = 0, grain: int = 4) -> np.ndarray:
    """Unrelated thumbnails of `grain`×`grain` colours."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, grain, grain, 3), dtype=np.uint8)
    return coarse.repeat(16 // grain, axis=1).repeat(16 // grain, axis=2)


def variants(thumbnails: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """`count` noisy versions of each, one after the other."""
    rng = np.random.default_rng(seed)
    repeated = thumbnails.repeat(count, axis=0).astype(int)
    return (repeated + rng.integers(-12, 13, repeated.shape)).clip(0, 255).astype(np.uint8)
