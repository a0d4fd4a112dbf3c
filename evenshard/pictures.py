"""Predicting from Python: paths, arrays and images; imports TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from evenshard.arguments import PathLike
from evenshard.results import RunPrediction
from tfrecords.cli import audience
from tfrecords.errors import UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, SourceFile
from tfrecords.schema import ImageSpec
from trainer.data import decoding
from trainer.data.decoding import Decoded
from trainer.predict import PredictConfig
from trainer.predicting import run as predicting
from trainer.predicting.ensemble import Ensemble
from trainer.predicting.writing import Submission

_EXPECTED = "a path, an array uint8[height, width, 3] or a PIL image is expected"
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")

Picture = PathLike | np.ndarray | Image.Image
Pictures = Picture | Sequence[Picture]


def predict(runs: Ensemble, pictures: Pictures, config: PredictConfig) -> RunPrediction:
    """Returns what a network, or the mean of several, says of pictures.

    Raises:
      UsageError: no pictures, or something that is none.
      TrainerError: not one of them could be read.
    """
    fallback = predicting.fallback_class(runs)
    items = _items(pictures)
    for number, item in enumerate(() if isinstance(items, str) else items):
        _check(number, item)
    if isinstance(items, str):
        found = _of_path(runs, items, fallback, config)
    elif len(paths := _paths_among(items)) == len(items):
        sources = [SourceFile(path, path, None, UNKNOWN_SIZE, version=0) for path in paths]
        found = _of_sources(runs, sources, fallback, config)
    else:
        found = predicting.classify(
            runs, tuple(map(_name, range(len(items)), items)), functools.partial(_decoded, items),
            fallback, tta=config.tta, top_k=len(runs.classes), batch_size=config.batch_size,
        )  # fmt: skip
    return _result(found)


def _items(pictures: Pictures) -> str | Sequence[Picture]:
    """Returns a path to be listed, or the pictures one by one."""
    if isinstance(pictures, (str, os.PathLike)):
        return os.fsdecode(pictures)
    if isinstance(pictures, (bytes, bytearray, Mapping)) or hasattr(pictures, "read"):
        raise UsageError(
            f"input is of type {type(pictures).__name__}: {_EXPECTED}, or several of them; "
            "PIL.Image.open(io.BytesIO(data)) makes an image of a file's bytes"
        )
    pictures = _array(pictures)
    if isinstance(pictures, Image.Image):
        return [pictures]
    if isinstance(pictures, np.ndarray) and pictures.ndim in (2, 3):
        return [pictures]
    if not isinstance(pictures, Iterable) or getattr(pictures, "ndim", 1) == 0:
        raise UsageError(f"input is of type {type(pictures).__name__}: {_EXPECTED}")
    items = list(map(_array, pictures))
    if not items:
        raise UsageError("input is empty: give at least one picture")
    return items


def _array(item: Any) -> Any:
    """Returns a tensor of TensorFlow, PyTorch or JAX, or a column of a table, as an array."""
    is_known = isinstance(item, (str, os.PathLike, Image.Image, np.ndarray))
    return item if is_known or not hasattr(item, "__array__") else np.asarray(item)


def _paths_among(items: Sequence[Picture]) -> list[str]:
    return [str(os.fspath(item)) for item in items if isinstance(item, (str, os.PathLike))]


def _check(number: int, item: object) -> None:
    """Raises UsageError for what is no picture, before anything is read."""
    if isinstance(item, (str, os.PathLike, Image.Image)):
        return
    if not isinstance(item, np.ndarray):
        raise UsageError(f"input[{number}] is of type {type(item).__name__}: {_EXPECTED}")
    is_image = item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (3, 4))
    if item.dtype != np.uint8 or not is_image or not item.size:
        shape = ", ".join(map(str, item.shape))
        raise UsageError(f"input[{number}] is {item.dtype}[{shape}]: {_EXPECTED}")


def _of_path(runs: Ensemble, path: str, fallback: str, config: PredictConfig) -> Submission:
    """Predicts what a path holds: a folder, an archive, a table, a pattern or a picture."""
    with predicting.spool(path, Path(tempfile.gettempdir())) as spool_dir:
        options = dataclasses.replace(config.input_options(), spool_dir=spool_dir)
        sources = listing.list_unlabelled(
            InputPath("--input", path), options=options, say=_say, rules=config.input_rules()
        )
        return _of_sources(runs, sources, fallback, config)


def _of_sources(
    runs: Ensemble, sources: Sequence[SourceFile], fallback: str, config: PredictConfig
) -> Submission:
    return predicting.predict(
        runs, sources, fallback, tta=config.tta, top_k=len(runs.classes),
        batch_size=config.batch_size, workers=config.workers,
    )  # fmt: skip


def _say(note: str) -> None:
    print(audience.said(note), file=sys.stderr, flush=True)


def _decoded(items: Sequence[Picture], spec: ImageSpec) -> Iterator[Decoded]:
    """Yields pictures in the form of the data set, as if they had been files."""
    for number, item in enumerate(items):
        name = _name(number, item)
        source = SourceFile(name, name, None, UNKNOWN_SIZE, version=0)
        if isinstance(item, (str, os.PathLike)):
            yield decoding.decode(source, spec)
        else:
            yield decoding.decode_bytes(source, _png(item), spec)


def _name(number: int, item: Picture) -> str:
    return str(os.fspath(item)) if isinstance(item, (str, os.PathLike)) else f"[{number}]"


def _png(item: np.ndarray | Image.Image) -> bytes:
    """Returns a picture as the bytes of a file, without loss."""
    image = Image.fromarray(item) if isinstance(item, np.ndarray) else item
    # A file's own orientation is applied by the bake, and lost in a PNG.
    upright = ImageOps.exif_transpose(image)
    buffer = io.BytesIO()
    (upright if upright.mode in _PNG_MODES else upright.convert("RGB")).save(
        buffer, "PNG", compress_level=1
    )
    return buffer.getvalue()


def _result(found: Submission) -> RunPrediction:
    """Returns the answers in the order of the classes; says which pictures could not be read."""
    unread = found.labels[:, 0] < 0
    probabilities = np.full(found.labels.shape, np.nan, np.float32)
    rows = np.flatnonzero(~unread)
    probabilities[rows[:, None], found.labels[rows]] = found.probabilities[rows]
    rejects = {
        item.source.key: f"{item.reason.value if item.reason else 'rejected'}: {item.detail}"
        for item in found.rejects
    }
    if rejects:
        first = next(iter(rejects.items()))
        _say(
            f"note: {len(rejects):,} of {len(found.ids):,} pictures could not be read; the first, "
            f"{first[0]!r}: {first[1]}"
        )
    return RunPrediction(
        ids=found.ids,
        classes=tuple(
            None if missing else found.classes[label]
            for missing, label in zip(unread, found.labels[:, 0], strict=True)
        ),
        probabilities=probabilities,
        class_names=found.classes,
        rejects=rejects,
    )
