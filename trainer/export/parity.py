"""The check of an export: the exported network must give the answers of the live one.

`prepare` computes the live network's answers once; `check` and `read` compare an export with
them. The comparisons themselves, at the end, are pure functions on arrays.
"""

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
from trainer.data.decoding import Decoders
from trainer.data.selection import Selection, Source, open_split
from trainer.data.stream import explain, stream_source
from trainer.data.version import DataVersion
from trainer.export.config import ExportConfig
from trainer.export.formats import Format, Predictor
from trainer.metrics.probabilities import Probabilities
from trainer.predicting import run
from trainer.runs import locate
from trainer.runs.load import LoadedRun, function_of

# Two backends sum in different orders, so probabilities differ in the seventh digit and a
# picture between two classes may get the other one: one of 200 is allowed.
MIN_AGREEMENT = 0.995

# Pictures at a time; no effect on results.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Answers:
    """Pictures, and the live network's probabilities for them.

    Attributes:
      pixels: uint8[n, height, width, 3].
      probabilities: float32[n, classes].
    """

    pixels: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Reference:
    """The answers that an export must repeat.

    Attributes:
      records: on pictures of the data set.
      files: bytes of source files that the bake's decoder reads; empty without --parity_input.
      of_files: on the pixels that the bake makes of those files.
    """

    records: Answers
    files: tuple[bytes, ...] = ()
    of_files: Answers | None = None


@dataclass(frozen=True)
class Parity:
    """How closely two sets of probabilities agree.

    Attributes:
      pictures: number compared.
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
    """How closely another decoder and resizer of the same files comes to the bake's.

    Attributes:
      parity: of the probabilities.
      mean_pixel: mean |Δ| of the pixels, in levels of 255.
      worst_pixel: the same mean of the picture where it is largest.
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


def prepare(opened: LoadedRun, config: ExportConfig, rule: Probabilities) -> Reference | None:
    """Returns the live network's answers on the pictures of the check; None without a check.

    Raises:
      TrainerError: no pictures to check on, or the data set is replaced meanwhile.
      UsageError: --parity_input holds no file.
    """
    if not config.parity_pictures:
        return None
    source, version = _source(opened, config)
    with version.reading():
        pixels = _first_pixels(source, config.parity_pictures)
    records = Answers(pixels, _probabilities(opened, pixels, rule))
    if not config.parity_input:
        return Reference(records)
    files, pixels = _of_files(opened, config.parity_input, config.parity_pictures)
    return Reference(records, files, Answers(pixels, _probabilities(opened, pixels, rule)))


def check(format_: Format, path: Path, reference: Reference) -> Parity:
    """Returns how closely an exported network agrees, given the same pixels."""
    exported = _in_batches(format_.load(path), reference.records.pixels)
    return compare(reference.records.probabilities, exported)


def read(path: Path, reference: Reference) -> ReadParity | None:
    """Returns how closely a SavedModel agrees, given files; None without --parity_input.

    Raises:
      TrainerError: it reads not one of them.
    """
    if reference.of_files is None:
        return None
    signatures = tf.saved_model.load(str(path)).signatures
    rows, pixels, probabilities = [], [], []
    for row, file in enumerate(reference.files):
        encoded = tf.constant([file])
        try:
            pixels.append(signatures["read"](image_bytes=encoded)["pixels"].numpy())
            serve = signatures["serving_default"]
            probabilities.append(serve(image_bytes=encoded)["probabilities"].numpy())
        except tf.errors.InvalidArgumentError:
            continue  # WebP, AVIF and TIFF, for which TensorFlow has no decoder.
        rows.append(row)
    if not rows:
        raise TrainerError("--parity_input: TensorFlow can read none of these files")
    parity = compare(reference.of_files.probabilities[rows], np.concatenate(probabilities))
    mean, worst = compare_pixels(reference.of_files.pixels[rows], np.concatenate(pixels))
    return ReadParity(parity, mean, worst, len(reference.files) - len(rows))


def require(parity: Parity, format_name: str) -> None:
    """Refuses an export whose answers differ from those of the live network.

    Raises:
      TrainerError: less than `MIN_AGREEMENT`.
    """
    if parity.agreement < MIN_AGREEMENT:
        raise TrainerError(
            f"--format={format_name}: {parity}; at least {MIN_AGREEMENT:.1%} expected, nothing "
            "written. --parity_pictures=0 writes it unchecked, for debugging"
        )


def compare(live: np.ndarray, exported: np.ndarray) -> Parity:
    """Returns how closely two tables of probabilities, float32[n, classes], agree.

    Raises:
      ValueError: the shapes differ, or there is no row.
    """
    if live.shape != exported.shape or not len(live):
        raise ValueError(f"nothing to compare: {live.shape} live, {exported.shape} exported")
    same = live.argmax(axis=1) == exported.argmax(axis=1)
    # NaN counts as the largest difference, and agrees with nothing.
    finite = np.isfinite(exported).all(axis=1)
    difference = np.where(finite[:, None], np.abs(live - np.nan_to_num(exported)), 1.0)
    return Parity(len(live), float((same & finite).mean()), float(difference.max()))


def compare_pixels(live: np.ndarray, exported: np.ndarray) -> tuple[float, float]:
    """Returns mean |Δ| of uint8[n, h, w, 3], and that of the worst picture."""
    means = np.abs(live.astype(np.int16) - exported).reshape(len(live), -1).mean(axis=1)
    return float(means.mean()), float(means.max())


def _source(opened: LoadedRun, config: ExportConfig) -> tuple[Source, DataVersion]:
    """Returns the split that the check takes its pictures from, and what it was when opened."""
    try:
        data_dir = (
            remote.folder(config.data_dir)
            if config.data_dir
            else locate.data_dir(config.run_dir, opened.stored)
        )
        stored = remote.load(data_dir)
        manifest = opened.stored.of_same_fold(stored)
        _check_classes(opened, manifest)
        selection = Selection.of_classes(manifest, opened.selection.classes).natural()
        split = _split_to_check(manifest, opened.config.validation_split)
        source = open_split(
            manifest, data_dir, split, selection, opened.size, opened.config.read_parallelism
        )
        return source, DataVersion.of(data_dir, stored, source)
    except EvenshardError as error:
        raise TrainerError(
            f"no pictures to check the export on: {error}. Give --data_dir, or "
            "--parity_pictures=0 to export unchecked"
        ) from error


def _check_classes(opened: LoadedRun, manifest: Manifest) -> None:
    missing = [name for name in opened.selection.classes if name not in manifest.classes]
    if missing:
        raise TrainerError(f"the data set has no class {missing[0]!r}, which the run knows")


def _split_to_check(manifest: Manifest, validation: str) -> str:
    filled = [split.name for split in manifest.splits if sum(split.originals)]
    for name in ("test", validation):
        if name in filled:
            return name
    raise TrainerError("neither a test nor a validation split has a picture")


def _first_pixels(source: Source, count: int) -> np.ndarray:
    """Returns the pixels of the first pictures of a split, in shard order, which is random."""
    batches = stream_source(source, min(count, _BATCH)).take(-(-count // _BATCH))
    try:
        return np.concatenate([images.numpy() for images, _, _ in batches])[:count]
    except tf.errors.OpError as error:
        raise explain(error, source) from error


def _probabilities(opened: LoadedRun, pixels: np.ndarray, rule: Probabilities) -> np.ndarray:
    function = function_of(opened.model)
    return rule.of(_in_batches(lambda images: function(tf.constant(images)).numpy(), pixels))


def _in_batches(predict: Predictor, pixels: np.ndarray) -> np.ndarray:
    starts = range(0, len(pixels), _BATCH)
    return np.concatenate([predict(pixels[start : start + _BATCH]) for start in starts])


def _of_files(opened: LoadedRun, source: str, count: int) -> tuple[tuple[bytes, ...], np.ndarray]:
    """Returns source files and the pixels that the bake makes of them, sampled by their names."""
    listed = sorted(
        listing.list_unlabelled(InputPath("--parity_input", source)),
        key=lambda row: stable_hash("parity", row.key),
    )
    with Decoders(opened.manifest.image, cores.usable()) as decoders:
        good = [item for item in decoders.run(listed[:count]) if item.data is not None]
    if not good:
        raise TrainerError(f"--parity_input={source}: none of its files is a picture")
    batches = run.batches(good, opened.manifest.image, [opened.size], _BATCH)
    pixels = np.concatenate([images.numpy() for _, (images,) in batches])
    return tuple(read_source(item.source) for item in good), pixels
