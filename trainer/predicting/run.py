"""Unlabelled pictures to a CSV of class names: list, decode, predict, write."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrecords.cli import audience
from tfrecords.cli.progress import Progress
from tfrecords.errors import TrainerError, UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.archives.members import is_archive
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import InputRules
from tfrecords.schema import ImageSpec
from tfrecords.system import cores, scratch
from trainer.data import decoding
from trainer.data.decoding import Decoded, Decoders
from trainer.data.record_pixels import decoder
from trainer.data.stream import stream_options
from trainer.predicting import (
    answers,
    ensemble,
    matching,
    pixel_rules,
    sample,
    together,
    writing,
)
from trainer.predicting.ensemble import Ensemble
from trainer.predicting.matching import Matched
from trainer.predicting.sample import Sample
from trainer.predicting.wish import Wish, check_separator
from trainer.predicting.writing import Layout, Paths, Submission
from trainer.runs.load import LoadedRun

# (index int64[n], pixels uint8[n, height, width, 3] of each size)
Batches = Iterator[tuple[np.ndarray, tuple[tf.Tensor, ...]]]

# Decodes all pictures of a prediction, in order, in the form of a data set's images.
Decode = Callable[[ImageSpec], Iterable[Decoded]]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What is to be predicted, and how it is to be written; see the flags of trainer.predict.

    Attributes:
      input: of pictures.
      options: how it is read.
      rules: which of its files are.
      like: a sample submission; "" for none.
      path_column: of the sample.
      wish: what is written for a picture.
      escape_formulas: whether spreadsheets are kept from running ids and classes.
      missing_fraction: of the sample's ids may have no picture.
    """

    input: str
    options: InputOptions = listing.DEFAULTS
    rules: InputRules = InputRules()
    like: str = ""
    path_column: str = ""
    wish: Wish = Wish()
    escape_formulas: bool = False
    missing_fraction: float = 1.0


def run(
    run_dirs: str | Sequence[str],
    asked: Asked | str,
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
) -> Submission:
    """Predicts and writes; the arguments are the flags of `evenshard predict`.

    Args:
      run_dirs: of one run, or of several whose probabilities are averaged.
      asked: what is to be predicted; a path alone for all pictures in it.

    Raises:
      UsageError: nothing to predict, a sample that does not fit, or runs that do not.
      TrainerError: not a run, or not one picture could be read.
      OSError: a file cannot be written.
    """
    run_dirs = [run_dirs] if isinstance(run_dirs, str) else list(run_dirs)
    asked = Asked(asked) if isinstance(asked, str) else asked
    paths = Paths.of(output)
    if paths.submission.is_dir():
        raise UsageError(f"--output={output} is a folder: give the name of a CSV in it")
    outputs = set(map(os.path.realpath, paths.all()))
    for path, what in ((asked.like, "the sample of --like"), (asked.input, "the --input")):
        if path and os.path.realpath(path) in outputs:
            raise UsageError(f"--output={output} would replace {what}: give another name")
    run_dirs = together.named(run_dirs)
    classes = together.check(run_dirs)
    with spool(asked.input, paths.submission.parent) as spool_dir:
        options = dataclasses.replace(asked.options, spool_dir=spool_dir)
        source = InputPath("--input", asked.input)
        pictures = listing.list_unlabelled(
            source, leave_out=paths.all(), options=options, say=_say, rules=asked.rules
        )
        like = _read_sample(asked, pictures, source, options)
        if like is not None:
            check_separator(output, like.separator)
        matched = _matched(asked, like, pictures, source)
        layout = _layout(asked, like, matched, classes)
        writing.check_writable(output)
        opened = ensemble.open_runs(run_dirs, weights, device, trust_run_code=trust_run_code)
        if top_k or layout.answers.labels:
            _say_temperatures(opened, run_dirs)
        found = predict(
            opened,
            matched.sources if matched else pictures,
            fallback_class(opened, fallback),
            tta=tta,
            top_k=len(classes) if layout.answers.labels else top_k,
            batch_size=batch_size,
            workers=workers,
            certain=bool(fallback),
        )
    record = ensemble.record(opened, run_dirs, weights, tta) if len(run_dirs) > 1 else None
    _say_formulas(found, layout)
    writing.write(found, paths, layout, top_k, record)
    return found


def _read_sample(
    asked: Asked, pictures: Sequence[SourceFile], source: InputPath, options: InputOptions
) -> Sample | None:
    if not asked.like:
        return None
    table = dataclasses.replace(options.table, path_column=asked.path_column)
    return sample.read(
        InputPath(sample.FLAG, asked.like),
        dataclasses.replace(options, table=table),
        matching.Pictures(pictures, source).finds,
        _say,
        source if listing.form_of(source.path) is listing.InputForm.ARCHIVE else None,
    )


def _matched(
    asked: Asked, like: Sample | None, pictures: Sequence[SourceFile], source: InputPath
) -> Matched | None:
    """Returns the picture of each row of a sample.

    Raises:
      UsageError: more ids than allowed have none.
    """
    if like is None:
        return None
    found = matching.match(like.ids, pictures, like.source, source, _say)
    if found.missing_fraction > asked.missing_fraction:
        raise UsageError(
            f"{like.source}: {found.missing:,} of {len(found.sources):,} ids have no picture in "
            f"{source}, --max_reject_fraction={asked.missing_fraction:g} allows fewer: give the "
            "folder that holds them all, or a higher fraction"
        )
    return found


def _layout(
    asked: Asked, like: Sample | None, matched: Matched | None, classes: Sequence[str]
) -> Layout:
    """Returns how the submission is laid out.

    Raises:
      UsageError: the sample does not fit the classes, or cannot have them in its encoding.
    """
    if like is None or matched is None:
        return Layout(
            answers.without_sample(asked.wish, classes), escape_formulas=asked.escape_formulas
        )
    wanted = answers.of_sample(like, asked.wish, classes, _say)
    if not wanted.labels and not wanted.as_index:
        for name in classes:
            like.encode(name)
    return Layout(wanted, like, matched.rows)


def _say_temperatures(runs: Ensemble, run_dirs: Sequence[str]) -> None:
    for run_dir, opened in zip(run_dirs, runs.runs, strict=True):
        of_which = f"{run_dir}: " if len(run_dirs) > 1 else ""
        _say(f"{of_which}probabilities {opened.probabilities.temperature}")


def _say_formulas(found: Submission, layout: Layout) -> None:
    risky = [] if layout.escape_formulas else writing.formulas(found)
    if risky:
        _say(
            f"{len(risky):,} ids or classes begin as a formula does, such as {risky[0]!r}: a "
            "spreadsheet would run it"
            + ("" if layout.sample else "; --escape_formulas puts an apostrophe before it")
        )


@contextlib.contextmanager
def spool(source: str, folder: Path) -> Iterator[str]:
    """Yields a folder for the plain form of a compressed tar, which lives as long as the block."""
    if not is_archive(source):
        yield ""
        return
    folder.mkdir(parents=True, exist_ok=True)
    with scratch.folder(folder, ".evenshard-") as spool_dir:
        yield str(spool_dir)


def _say(note: str) -> None:
    print(audience.said(note), file=sys.stderr, flush=True)


def fallback_class(runs: Ensemble | LoadedRun, name: str = "") -> str:
    """Returns the class of pictures that cannot be read: the one given, or the largest.

    Raises:
      UsageError: the run does not know it; names the nearest.
    """
    runs = ensemble.of(runs)
    if not name:
        return runs.classes[int(np.argmax(runs.train_counts))]
    return runs.classes[answers.known(name, runs.classes, "--fallback_class")]


def predict(
    runs: Ensemble | LoadedRun,
    pictures: Sequence[SourceFile],
    fallback: str,
    *,
    tta: str = "none",
    top_k: int = 1,
    batch_size: int = 128,
    workers: int = 0,
    certain: bool = False,
) -> Submission:
    """Returns the predictions of a network, or of several, on pictures; arguments as `classify`.

    Args:
      workers: processes that decode; 0: one per core.

    Raises:
      TrainerError: not one of them could be read.
    """
    runs = ensemble.of(runs)
    workers = min(workers or cores.usable(), -(-len(pictures) // decoding.CHUNK))
    ids = tuple(picture.key for picture in pictures)
    passes = len(runs.groups)

    def decode(spec: ImageSpec) -> Iterator[Decoded]:
        held.close()  # Of the form before this one.
        decoders = held.enter_context(Decoders(spec, workers))
        return _watched(decoders.run(pictures), progress)

    with (
        contextlib.ExitStack() as held,
        Progress("predict", passes * len(pictures), " pictures") as progress,
    ):
        return classify(
            runs, ids, decode, fallback, tta=tta, top_k=top_k, batch_size=batch_size,
            certain=certain,
        )  # fmt: skip


def classify(
    runs: Ensemble | LoadedRun,
    ids: tuple[str, ...],
    decode: Decode,
    fallback: str,
    *,
    tta: str = "none",
    top_k: int = 1,
    batch_size: int = 128,
    certain: bool = False,
) -> Submission:
    """Returns the predictions of a network, or of several, on pictures.

    Args:
      runs: whose probabilities are averaged.
      ids: of the pictures.
      decode: gives them in the order of `ids`; called once for each form of image that the runs'
        data sets have.
      fallback: class of pictures that cannot be read.
      tta: "none" or "flip".
      top_k: classes that are kept of each picture; at least one is.
      batch_size: pictures at a time; no effect on results.
      certain: whether pictures that cannot be read are the fallback with probability 1; if not,
        their probabilities are the classes' shares of the training pictures.

    Raises:
      TrainerError: not one of them could be read.
    """
    runs = ensemble.of(runs)
    pixel_rules.check(run.manifest for run in runs.runs)
    classes = runs.classes
    k = min(max(1, top_k), len(classes))
    labels = np.full((len(ids), k), -1, np.int32)
    probabilities = np.zeros((len(ids), k), np.float32)
    rejects: dict[int, Decoded] = {}
    groups = runs.groups
    # Runs of one form of image need no sums of all pictures at a time.
    sums = np.zeros((len(ids), len(classes)), np.float32) if len(groups) > 1 else None
    for number, group in enumerate(groups, 1):
        function = group.function(tta)
        noted = _noting_rejects(decode(group.spec), rejects)
        for index, images in batches(noted, group.spec, group.sizes, batch_size):
            total = function(images)
            if not np.isfinite(total).all():
                raise TrainerError(
                    "a network gives no numbers for some pictures: its training diverged; try "
                    "--weights=last or --weights=best, or train it again"
                )
            if sums is not None:
                sums[index] += total.numpy()
                total = tf.constant(sums[index])
            if number == len(groups):
                best = tf.math.top_k(total / len(runs.runs), k)
                labels[index], probabilities[index] = best.indices.numpy(), best.values.numpy()
    # Read in one form and not in another: some runs would be missing from its mean.
    labels[list(rejects)], probabilities[list(rejects)] = -1, 0
    if len(rejects) == len(ids):
        first = rejects[0]
        raise TrainerError(
            f"none of {len(ids):,} files could be read as a picture; the first, "
            f"{first.source.key!r}: {first.reason.value if first.reason else ''}, {first.detail}"
        )
    shares = runs.train_counts / runs.train_counts.sum()
    if certain:
        shares = np.array([float(name == fallback) for name in classes])
    ordered = tuple(rejects[index] for index in sorted(rejects))
    return Submission(ids, classes, labels, probabilities, fallback, shares, ordered)


def batches(
    decoded: Iterable[Decoded],
    spec: ImageSpec,
    sizes: Sequence[tuple[int, int]],
    batch_size: int,
) -> Batches:
    """Yields the pixels of decoded pictures, in order, without the rejected ones.

    From the image on this is the path of a training record: the same decoder brings it to
    the same size.

    Args:
      decoded: of any number of pictures.
      spec: form of their images.
      sizes: each (height, width) that the pixels are wanted in.
      batch_size: pictures at a time; the last batch may have fewer.
    """

    def images() -> Iterator[tuple[int, bytes]]:
        for index, item in enumerate(decoded):
            if item.data is not None:
                yield index, item.data

    signature = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.string))
    decoders = [decoder(spec, size) for size in sizes]
    stream = (
        tf.data.Dataset.from_generator(images, output_signature=signature)
        .map(
            lambda index, image: (index, tuple(decode(image) for decode in decoders)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(batch_size)
        .with_options(stream_options())
        .prefetch(tf.data.AUTOTUNE)
    )
    for index, pixels in stream:
        yield index.numpy(), pixels


def _watched(decoded: Iterable[Decoded], progress: Progress) -> Iterator[Decoded]:
    for item in decoded:
        yield item
        progress.advance(1)


def _noting_rejects(decoded: Iterable[Decoded], rejects: dict[int, Decoded]) -> Iterator[Decoded]:
    for index, item in enumerate(decoded):
        if item.data is None:
            rejects.setdefault(index, item)
        yield item
