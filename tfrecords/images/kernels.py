"""Which code resizes: cykooz-resizer with one set of instructions or another, or numpy.

All give the bytes that `convolution` defines; tests hold each against it. The environment variable
`EVENSHARD_RESIZE_KERNEL` chooses one, for those who want to check.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrecords.errors import UsageError
from tfrecords.images import convolution
from tfrecords.images.convolution import Filter

VARIABLE = "EVENSHARD_RESIZE_KERNEL"
AUTO, NUMPY = "auto", "numpy"

# Names as users write them, and as the library does; each processor has those up to its best.
_X86 = {"none": "none", "sse4.1": "sse4_1", "avx2": "avx2"}
_ARM = {"none": "none", "neon": "neon"}

# left, top, width, height in pixels, fractions allowed.
Part = tuple[float, float, float, float]

# Pixels uint8[height, width, channels] as bytes, their shape, the part, (width, height) of the
# result, the filter → uint8[height, width, channels].
Kernel = Callable[[bytes, tuple[int, int, int], Part, tuple[int, int], Filter], np.ndarray]


def available() -> tuple[str, ...]:
    """Returns the kernels that this machine can run, the slowest first."""
    return (NUMPY, *_instructions())


def chosen() -> str:
    """Returns the kernel that is used: the fastest, or that of `EVENSHARD_RESIZE_KERNEL`.

    Raises:
      UsageError: the variable names one that this machine cannot run.
    """
    wanted = os.environ.get(VARIABLE, AUTO) or AUTO
    found = available()
    if wanted == AUTO:
        return found[-1]
    if wanted not in found:
        raise UsageError(
            f"{VARIABLE}={wanted}: expected auto or one of {', '.join(found)}, which this machine "
            "can run; unset it for the fastest"
        )
    return wanted


def check() -> None:
    """Checks `EVENSHARD_RESIZE_KERNEL` where it is set, before work begins that needs it.

    Raises:
      UsageError: see `chosen`.
    """
    if os.environ.get(VARIABLE):
        chosen()


def kernel() -> Kernel:
    """Returns the code of `chosen`."""
    return _kernel(os.environ.get(VARIABLE) or AUTO)


@functools.cache
def _kernel(_: str) -> Kernel:
    name = chosen()
    return by_numpy if name == NUMPY else by_library(name)


def by_numpy(
    data: bytes, shape: tuple[int, int, int], part: Part, size: tuple[int, int], filter: Filter
) -> np.ndarray:
    """Resizes a part of a picture to uint8[height, width, channels]; a `Kernel`."""
    left, top, width, height = part
    pixels = np.frombuffer(data, np.uint8).reshape(shape)
    if size[1] != height or not top.is_integer():
        by = convolution.weights(shape[0], top, height, size[1], filter)
        pixels = convolution.down(pixels, by)
    else:
        pixels = pixels[int(top) : int(top) + size[1]]
    if size[0] != width or not left.is_integer():
        by = convolution.weights(shape[1], left, width, size[0], filter)
        return convolution.across(pixels, by)
    return pixels[:, int(left) : int(left) + size[0]]


def by_library(name: str) -> Kernel:
    """Returns one of cykooz-resizer's kernels, of `available`."""
    return _with(_library(), name)


def _with(fast: Any, name: str) -> Kernel:
    resizer = fast.Resizer()
    resizer.cpu_extensions = getattr(fast.CpuExtensions, (_X86 | _ARM)[name])
    types = {1: fast.PixelType.U8, 3: fast.PixelType.U8x3}
    filters = {
        Filter.TRIANGLE: fast.ResizeAlg.convolution(fast.FilterType.bilinear),
        Filter.BOX: fast.ResizeAlg.convolution(fast.FilterType.box),
    }
    # Making options takes longer than anything else here but the resize.
    wholes = {
        filter: fast.ResizeOptions(resize_alg=algorithm, use_alpha=False)
        for filter, algorithm in filters.items()
    }

    def resize(
        data: bytes, shape: tuple[int, int, int], part: Part, size: tuple[int, int], filter: Filter
    ) -> np.ndarray:
        kind = types[shape[2]]
        source = fast.ImageData(shape[1], shape[0], kind, data)
        result = fast.ImageData(size[0], size[1], kind)
        options = wholes[filter]
        if part != (0, 0, shape[1], shape[0]):
            box = fast.CropBox(*part)
            options = fast.ResizeOptions(filters[filter], use_alpha=False, crop_box=box)
        resizer.resize(source, result, options)
        pixels = np.frombuffer(result.get_buffer(), np.uint8)
        return pixels.reshape(size[1], size[0], shape[2])

    return resize


@functools.cache
def _instructions() -> tuple[str, ...]:
    fast = _library()
    if fast is None:
        return ()
    best = fast.Resizer().cpu_extensions.name
    names = _ARM if best == "neon" else _X86
    found = list(names.values())
    return tuple(names)[: found.index(best) + 1]


@functools.cache
def _library() -> Any:
    """Returns cykooz-resizer, or None where it is absent or another; it works in one thread.

    It would share each picture out among as many threads as there are cores, beside the workers
    that have a core each already. How many there may be is read once, on its first use.
    """
    try:
        fast = importlib.import_module("cykooz_resizer")
    except ImportError:
        return None
    variable = "RAYON_NUM_THREADS"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        agrees = _agrees(_with(fast, fast.Resizer().cpu_extensions.name.replace("_", ".")))
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
    return fast if agrees else None


def _agrees(kernel: Kernel) -> bool:
    """Returns whether a kernel gives the bytes that it should, of two small pictures.

    Another version of the library may round otherwise, and pictures shall not depend on it.
    """
    for filter, shape, size in (
        (Filter.TRIANGLE, (37, 61, 3), (23, 40)),
        (Filter.BOX, (64, 72, 1), (32, 32)),
    ):
        data = (np.arange(np.prod(shape)) ** 2 % 251).astype(np.uint8).tobytes()
        part = (0.25, 0.0, shape[1] - 1.5, float(shape[0]))
        got = kernel(data, shape, part, size, filter)
        if not np.array_equal(got, by_numpy(data, shape, part, size, filter)):
            return False
    return True
