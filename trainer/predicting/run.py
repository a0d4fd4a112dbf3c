"""Unlabelled pictures to a CSV of class names: list, decode, predict, write."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import difflib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords.cli.progress import Progress
from tfrecords.errors import TrainerError, UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.archives.members import is_archive
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.schema import ImageSpec
from tfrecords.system import atomic, cores
from trainer.data import decoding
from trainer.data.decoding import Decoded, Decoders
from trainer.data.stream import decoder
from trainer.metrics.probabilities import Probabilities
from trainer.runs import load
from trainer.runs.load import LoadedRun

HEADER = ("Id", "Expected")
REJECTS_HEADER = ("Id", "reason", "detail")

# (index int64[n], pixels uint8[n, height, width, 3])
Batches = Iterator[tuple[np.ndarray, tf.Tensor]]


@dataclass(frozen=True, eq=False)
class Submission:
    """The predictions of a run on unlabelled pictures.

    Attributes:
      ids: of all pictures, in the input's order.
      classes: names in label order.
      labels: int32[n, k], likeliest first; -1 where the picture could not be read.
      probabilities: float32[n, k], of those labels.
      fallback: class of the pictures that could not be read.
      rejects: those pictures, and why.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    fallback: str
    rejects: tuple[Decoded, ...]

    def expected(self, row: int) -> str:
        """Returns the class of a picture: the likeliest, or the fallback."""
        label = self.labels[row, 0]
        return self.fallback if label < 0 else self.classes[label]


def outputs(output: str) -> tuple[Path, Path, Path]:
    """Returns the paths of the submission, its rejects and its probabilities."""
    return Path(output), Path(f"{output}.rejects.csv"), Path(f"{output}.top_k.csv")


def run(
    run_dir: str,
    source: str,
    output: str,
    *,
    weights: str = "best",
    tta: str = "none",
    top_k: int = 0,
    fallback: str = "",
    batch_size: int = 128,
    workers: int = 0,
    device: str = "auto",
    trust_run_code: bool = False,
    options: InputOptions = listing.DEFAULTS,
) -> Submission:
    """Predicts and writes; the arguments are the flags of `python -m trainer.predict`.

    Args:
      options: how to read the source; the flags of its table and its archive.

    Raises:
      UsageError: nothing to predict, or a fallback class that the run does not know.
      TrainerError: not a run, or not one picture could be read.
      OSError: a file cannot be written.
    """
    paths = outputs(output)
    if paths[0].is_dir():
        raise UsageError(f"--output={output} is a folder: give the name of a CSV in it")
    with spool(source, paths[0].parent) as spool_dir:
        pictures = listing.list_unlabelled(
            InputPath("--input", source),
            leave_out=paths,
            options=dataclasses.replace(options, spool_dir=spool_dir),
            say=_say,
        )
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        opened = load.open_run(run_dir, weights, device, trust_run_code=trust_run_code)
        fallback = fallback_class(opened, fallback)
        if top_k:
            _say(f"probabilities {opened.validation.temperature}")
        found = predict(
            opened,
            pictures,
            fallback,
            tta=tta,
            top_k=top_k,
            batch_size=batch_size,
            workers=workers,
        )
    write(found, output, top_k)
    return found


@contextlib.contextmanager
def spool(source: str, folder: Path) -> Iterator[str]:
    """Yields a folder for the plain form of a compressed tar, which lives as long as the block."""
    if not is_archive(source):
        yield ""
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evenshard-", dir=folder) as spool_dir:
        yield spool_dir


def _say(note: str) -> None:
    print(note, file=sys.stderr, flush=True)


def fallback_class(run: LoadedRun, name: str = "") -> str:
    """Returns the class of pictures that cannot be read: the one given, or the largest.

    Raises:
      UsageError: the run does not know it; names the nearest.
    """
    classes = run.selection.classes
    if not name:
        return classes[int(np.argmax(run.train_counts))]
    if name not in classes:
        nearest = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)[0]
        raise UsageError(
            f"--fallback_class: the run knows no class {name!r}; did you mean {nearest!r}?"
        )
    return name


def predict(
    run: LoadedRun,
    pictures: Sequence[SourceFile],
    fallback: str,
    *,
    tta: str = "none",
    top_k: int = 1,
    batch_size: int = 128,
    workers: int = 0,
) -> Submission:
    """Returns the predictions of a network on pictures.

    Raises:
      TrainerError: not one of them could be read.
    """
    workers = min(workers or cores.usable(), -(-len(pictures) // decoding.CHUNK))
    with (
        Decoders(run.manifest.image, workers) as decoders,
        Progress("predict", len(pictures), " pictures") as progress,
    ):
        decoded = _watched(decoders.run(pictures), progress)
        ids = tuple(picture.key for picture in pictures)
        return classify(run, ids, decoded, fallback, tta=tta, top_k=top_k, batch_size=batch_size)


def classify(
    run: LoadedRun,
    ids: tuple[str, ...],
    decoded: Iterable[Decoded],
    fallback: str,
    *,
    tta: str = "none",
    top_k: int = 1,
    batch_size: int = 128,
) -> Submission:
    """Returns the predictions of a network on decoded pictures, given in the order of `ids`.

    Raises:
      TrainerError: not one of them could be read.
    """
    k = min(max(1, top_k), len(run.selection.classes))
    labels = np.full((len(ids), k), -1, np.int32)
    probabilities = np.zeros((len(ids), k), np.float32)
    best = _best(load.function_of(run.model, tta), run.probabilities, k)
    rejects: list[Decoded] = []
    noted = _noting_rejects(decoded, rejects)
    for index, images in batches(noted, run.manifest.image, run.size, batch_size):
        top_labels, top_probabilities = best(images)
        labels[index] = top_labels.numpy()
        probabilities[index] = top_probabilities.numpy()
    if len(rejects) == len(ids):
        raise TrainerError(
            f"not one of {len(ids):,} files could be read as a picture; the first, "
            f"{rejects[0].source.key!r}: {_reason(rejects[0])}, {rejects[0].detail}"
        )
    return Submission(ids, run.selection.classes, labels, probabilities, fallback, tuple(rejects))


def batches(
    decoded: Iterable[Decoded], spec: ImageSpec, size: tuple[int, int], batch_size: int
) -> Batches:
    """Yields the pixels of decoded pictures, in order, without the rejected ones.

    From the image on this is the path of a training record: the same decoder brings it to
    the same size.

    Args:
      decoded: of any number of pictures.
      spec: form of their images.
      size: (height, width) of the pixels.
      batch_size: pictures at a time; the last batch may have fewer.
    """

    def images() -> Iterator[tuple[int, bytes]]:
        for index, item in enumerate(decoded):
            if item.data is not None:
                yield index, item.data

    signature = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.string))
    decode = decoder(spec, size)
    stream = (
        tf.data.Dataset.from_generator(images, output_signature=signature)
        .map(
            lambda index, image: (index, decode(image)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )
    for index, pixels in stream:
        yield index.numpy(), pixels


def write(found: Submission, output: str, top_k: int = 0) -> None:
    """Writes the submission, and beside it what was rejected and the probabilities, if any.

    Files of an earlier prediction that no longer apply are deleted.
    """
    path, rejects, probabilities = outputs(output)
    rows = ((id_, found.expected(row)) for row, id_ in enumerate(found.ids))
    _write_csv(path, HEADER, rows)
    if found.rejects:
        _write_csv(rejects, REJECTS_HEADER, map(_reject_row, found.rejects))
    else:
        rejects.unlink(missing_ok=True)
    if top_k:
        k = found.labels.shape[1]
        header = ["Id", *(f"{name}_{i}" for i in range(1, k + 1) for name in ("class", "p"))]
        _write_csv(probabilities, header, _top_rows(found))
    else:
        probabilities.unlink(missing_ok=True)


def _best(
    function: Callable[[tf.Tensor], tf.Tensor], rule: Probabilities, k: int
) -> Callable[[tf.Tensor], Any]:
    @tf.function(reduce_retracing=True)
    def best(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        likeliest = tf.math.top_k(tf.nn.softmax(rule.scaled(function(images))), k)
        return likeliest.indices, likeliest.values

    return best


def _watched(decoded: Iterable[Decoded], progress: Progress) -> Iterator[Decoded]:
    for item in decoded:
        yield item
        progress.advance(1)


def _noting_rejects(decoded: Iterable[Decoded], rejects: list[Decoded]) -> Iterator[Decoded]:
    for item in decoded:
        if item.data is None:
            rejects.append(item)
        yield item


def _reason(item: Decoded) -> str:
    return item.reason.value if item.reason else ""


def _reject_row(item: Decoded) -> tuple[str, str, str]:
    return item.source.key, _reason(item), item.detail


def _top_rows(found: Submission) -> Iterator[list[str]]:
    for row, id_ in enumerate(found.ids):
        cells = [id_]
        for label, p in zip(found.labels[row], found.probabilities[row], strict=True):
            cells += [found.classes[label], f"{p:.6f}"] if label >= 0 else ["", ""]
        yield cells


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a table; odd bytes of file names come out as they were."""
    with atomic.open_text(path, newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
