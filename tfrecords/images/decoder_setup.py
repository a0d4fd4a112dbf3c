"""Which decoders there are, and keeping their messages away: Python's warnings, C's stderr."""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import os
import sys
import threading
import warnings
from types import TracebackType
from typing import Any

from PIL import AvifImagePlugin, ImageFile, features

from tfrecords.system import allocator

# Formats that need more than Pillow, with the extra of this package that brings it.
EXTRAS = {"HEIF": "heif", "JPEG XL": "jxl"}


@functools.cache
def heif_decoder() -> type[ImageFile.ImageFile] | None:
    """Returns the decoder of HEIF, or None without the extra `heif`."""
    try:
        heif: Any = importlib.import_module("pillow_heif")
    except ImportError:
        return None
    heif.options.DECODE_THREADS = 1
    heif.options.THUMBNAILS = False
    heif.options.DEPTH_IMAGES = False
    heif.options.AUX_IMAGES = False
    decoder: type[ImageFile.ImageFile] = heif.HeifImageFile
    return decoder


@functools.cache
def jpeg_xl_decoder() -> type[ImageFile.ImageFile] | None:
    """Returns the decoder of JPEG XL, or None without the extra `jxl`."""
    try:
        plugin: Any = importlib.import_module("pillow_jxl.JpegXLImagePlugin")
    except ImportError:
        return None
    plugin.DECODE_THREADS = 0
    decoder: type[ImageFile.ImageFile] = plugin.JXLImageFile
    return decoder


def installed_extras() -> tuple[str, ...]:
    """Returns the extras whose decoders are installed, without importing them."""
    modules = {"heif": "pillow_heif", "jxl": "pillow_jxl"}
    return tuple(extra for extra, module in modules.items() if importlib.util.find_spec(module))


def has_jpeg_2000() -> bool:
    """Returns whether Pillow was built with OpenJPEG, as its wheels are."""
    return bool(features.check("jpg_2000"))


def prepare_worker() -> None:
    """Makes a process that only decodes pictures quiet and single-threaded; call it once.

    libtiff and libjpeg write about damaged files to file descriptor 2 past Python. They
    lose it here, while `sys.stderr`, tracebacks and `faulthandler.enable()` called later
    keep the stream. The AVIF decoder stops starting a thread per core in every worker.
    """
    allocator.keep_pictures()
    # What is imported stays: looking for garbage among it takes a twentieth of a picture's time.
    gc.freeze()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


class QuietWarnings:
    """A context without Python warnings that threads may share.

    Pillow warns of odd metadata; the reject reason is our report. Two overlapping
    `warnings.catch_warnings` of different threads can leave the process mute for good, so
    the first to enter opens one and the last to leave closes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._filters.__exit__(kind, error, traceback)
