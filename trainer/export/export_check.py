"""The check of an export: what it says, beside what the live network says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrecords.errors import EvenshardError, TrainerError
from tfrecords.inputs import listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath
from tfrecords.manifest import Manifest
from tfrecords.sharding import stable_hash
from tfrecords.system import cores
from trainer import remote
from trainer.data import selection as selections
from trainer.data import stream
from trainer.data.decoding import Decoders
from trainer.data.selection import Source
from trainer.export import parity
from trainer.export.config import ExportConfig
from trainer.export.formats import Format, Predictor
from trainer.export.parity import Parity, ReadParity
from trainer.metrics.metrics import Predictions
from trainer.models import build
from trainer.models.build import LoadedRun
from trainer.predicting import run
from trainer.runs import load

# Pictures at a time; no effect on results.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Answers:
    """Pictures, and what the live network says of them.

    Attributes:
      pixels: uint8[n, height, width, 3].
      probabilities: float32[n, classes].
    """

    pixels: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Live:
    """What an export must repeat.

    Attributes:
      records: pictures of the data set.
      files: bytes of source files, those that the bake's decoder reads; empty if none are given.
      of_files: pictures that the bake makes of them.
    """

    records: Answers
    files: tuple[bytes, ...] = ()
    of_files: Answers | None = None


def live(opened: LoadedRun, config: ExportConfig, temperature: float) -> Live | None:
    """Returns the live network's answers on the pictures of the check; None for no check.

    Raises:
      TrainerError: no pictures to check on.
      UsageError: --parity_input holds no file.
    """
    if not config.parity_pictures:
        return None
    pixels = _of_split(_source(opened, config), config.parity_pictures)
    records = Answers(pixels, _probabilities(opened, pixels, temperature))
    if not config.parity_input:
        return Live(records)
    files, pixels = _of_files(opened, config.parity_input, config.parity_pictures)
    return Live(records, files, Answers(pixels, _probabilities(opened, pixels, temperature)))


def check(format_: Format, path: Path, wanted: Live) -> Parity:
    """Returns how near an exported network is, given the very pixels."""
    said = _in_batches(format_.load(path), wanted.records.pixels)
    return parity.compare(wanted.records.probabilities, said)


def read(path: Path, wanted: Live) -> ReadParity | None:
    """Returns how near a SavedModel is, given files; None where there are none.

    Raises:
      TrainerError: it reads not one of them.
    """
    if wanted.of_files is None:
        return None
    signatures = tf.saved_model.load(str(path)).signatures
    rows, pixels, said = [], [], []
    for row, file in enumerate(wanted.files):
        encoded = tf.constant([file])
        try:
            pixels.append(signatures["read"](image_bytes=encoded)["pixels"].numpy())
            serve = signatures["serving_default"]
            said.append(serve(image_bytes=encoded)["probabilities"].numpy())
        except tf.errors.InvalidArgumentError:
            continue  # WebP, AVIF and TIFF, for which TensorFlow has no decoder.
        rows.append(row)
    if not rows:
        raise TrainerError("--parity_input: TensorFlow reads not one of these files")
    found = parity.compare(wanted.of_files.probabilities[rows], np.concatenate(said))
    mean, worst = parity.compare_pixels(wanted.of_files.pixels[rows], np.concatenate(pixels))
    return ReadParity(found, mean, worst, len(wanted.files) - len(rows))


def _source(opened: LoadedRun, config: ExportConfig) -> Source:
    """Returns the split that the check takes its pictures from."""
    data_dir = config.data_dir or opened.config.data_dir
    try:
        found = remote.load(data_dir)
        selection = build.check_source(opened, found).natural()
        split = _split_to_check(found, opened.config.validation_split)
        return selections.open_split(
            found, data_dir, split, selection, opened.size, opened.config.read_parallelism
        )
    except EvenshardError as error:
        raise TrainerError(
            f"no pictures to check the export on: {error}. Give --data_dir, or "
            "--parity_pictures=0 to export unchecked"
        ) from error


def _split_to_check(found: Manifest, validation: str) -> str:
    filled = [split.name for split in found.splits if sum(split.originals)]
    for name in ("test", validation):
        if name in filled:
            return name
    raise TrainerError("neither a test nor a validation split has a picture")


def _of_split(source: Source, count: int) -> np.ndarray:
    """Returns the pixels of the first pictures of a split, in shard order, which is random."""
    batches = stream.stream_source(source, min(count, _BATCH)).take(-(-count // _BATCH))
    try:
        return np.concatenate([images.numpy() for images, _, _ in batches])[:count]
    except tf.errors.OpError as error:
        raise stream.explain(error, source) from error


def _probabilities(opened: LoadedRun, pixels: np.ndarray, temperature: float) -> np.ndarray:
    function = load.function_of(opened.model)
    logits = _in_batches(lambda images: function(tf.constant(images)).numpy(), pixels)
    nameless = Predictions(("",) * len(logits), np.zeros(len(logits)), logits)
    return nameless.probabilities(temperature)


def _in_batches(predict: Predictor, pixels: np.ndarray) -> np.ndarray:
    parts = range(0, len(pixels), _BATCH)
    return np.concatenate([predict(pixels[start : start + _BATCH]) for start in parts])


def _of_files(opened: LoadedRun, source: str, count: int) -> tuple[tuple[bytes, ...], np.ndarray]:
    """Returns source files and the pixels that the bake makes of them, a sample by their names."""
    listed = sorted(
        listing.list_unlabelled(InputPath("--parity_input", source)),
        key=lambda row: stable_hash("parity", row.key),
    )
    with Decoders(opened.manifest.image, cores.usable()) as decoders:
        good = [item for item in decoders.run(listed[:count]) if item.data is not None]
    if not good:
        raise TrainerError(f"--parity_input={source}: not one of its files is a picture")
    batches = run.batches(good, opened.manifest.image, opened.size, _BATCH)
    pixels = np.concatenate([images.numpy() for _, images in batches])
    return tuple(read_source(item.source) for item in good), pixels
