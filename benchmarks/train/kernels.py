"""What TensorFlow's kernels take for one picture, and so what augmentation can cost at least.

    python -m benchmarks.train.kernels [--side=224] [--rounds=7]

Each way is called by turns, on one thread, and what calling nothing takes is subtracted. Ratios
are to the way that `trainer.data.transforms` goes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# Read when TensorFlow is imported: its log, and one thread for each kernel.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

import numpy as np
import tensorflow as tf

from benchmarks import datasets
from tfrecords.system import allocator
from trainer.data import transforms

_CALLS = 100

# A crop of half the area, the smallest of the default augmentation.
_CROP = 0.5**0.5

Way = Callable[[], Any]


def resizes(side: int) -> dict[str, Way]:
    """Returns ways to bring a crop to its full size, ours first."""
    rng = np.random.default_rng(0)
    cropped = round(side * _CROP)
    part = tf.constant(rng.integers(0, 256, (1, cropped, cropped, 3), np.uint8))
    size, scale = (side, side), (side / cropped,) * 2
    return {
        "resize of floats": lambda: tf.image.resize(tf.cast(part, tf.float32), size),
        "resize of bytes": lambda: tf.image.resize(part, size),
        "ScaleAndTranslate": lambda: tf.raw_ops.ScaleAndTranslate(
            images=part, size=size, scale=scale, translation=(0.0, 0.0),
            kernel_type="triangle", antialias=False,
        ),
        "crop_and_resize": lambda: tf.image.crop_and_resize(part, [[0.0, 0, 1, 1]], [0], size),
        "projective transform": lambda: transforms.resample(
            tf.image.resize_with_crop_or_pad(part, *size), tf.eye(3)[None] * [_CROP, _CROP, 1]
        ),
    }  # fmt: skip


def recolourings(side: int) -> dict[str, Way]:
    """Returns ways to recolour a picture of floats, ours first."""
    rng = np.random.default_rng(0)
    pixels = tf.constant(rng.uniform(0, 255, (side, side, 3)).astype(np.float32))
    colors = transforms.color_matrix(*(tf.constant([x]) for x in (1.2, 0.8, 0.5)))

    def by(count: int) -> Way:
        matrix, offset = (part[0] for part in transforms.blocks(colors, count))
        return lambda: transforms.recolored(pixels, matrix, offset)

    return {"8 pixels at a time": by(8), "4 at a time": by(4), "one by one": by(1)}


def mirrors(side: int) -> dict[str, Way]:
    """Returns ways to mirror a picture, ours first."""
    picture = tf.zeros((side, side, 3), tf.uint8)
    return {
        "uint8[h, w, 3]": lambda: tf.reverse(picture, [1]),
        "uint8[1, h, w, 3]": lambda: tf.reverse(picture[None], [2]),
    }


def decodes(side: int) -> dict[str, Way]:
    """Returns ways to decode a crop in the middle of a picture's JPEG, ours first."""
    jpeg = tf.constant(datasets.picture(0, (side, side)))
    cropped = round(side * _CROP)
    first, margin = (side - cropped) // 2, 2  # Without a margin the outermost pixels differ.
    most = cropped + 2 * margin
    how: dict[str, Any] = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}

    def whole() -> tf.Tensor:
        pixels = tf.io.decode_jpeg(jpeg, **how)
        return pixels[first : first + cropped, first : first + cropped]

    def crop() -> tf.Tensor:
        window = [first - margin, first - margin, most, most]
        pixels = tf.io.decode_and_crop_jpeg(jpeg, window, **how)
        return pixels[margin : margin + cropped, margin : margin + cropped]

    return {"the whole, then cut": whole, "the crop alone": crop}


def measure(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Returns milliseconds of each way, of each round."""
    functions = {name: tf.function(way) for name, way in {"nothing": lambda: 0, **ways}.items()}
    found: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            for _ in range(_CALLS):
                function()
            if number:  # The first traces and warms up.
                found[name].append((time.perf_counter() - began) / _CALLS * 1e3)
    nothing = found.pop("nothing")
    return {n: [a - b for a, b in zip(ms, nothing, strict=True)] for n, ms in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=224, help="pixels, divisible by 8")
    parser.add_argument("--rounds", type=int, default=7)
    flags = parser.parse_args()
    if flags.side % 8 or flags.side < 8:
        parser.error(f"--side={flags.side}: pixels are recoloured by eights, give a multiple of 8")
    allocator.keep_freed(1)
    groups = {"resize": resizes, "recolour": recolourings, "mirror": mirrors, "decode": decodes}
    for title, make in groups.items():
        found = measure(make(flags.side), flags.rounds)
        ours = next(iter(found.values()))
        print(f"\n## {title}, {flags.side} pixels\n\n{'':28}{'ms':>8}   ratio")
        for name, ms in found.items():
            ratios = sorted(a / b for a, b in zip(ms, ours, strict=True))
            print(
                f"{name:28}{statistics.median(ms):8.3f}{statistics.median(ratios):8.2f}"
                f" ({ratios[0]:.2f}–{ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
