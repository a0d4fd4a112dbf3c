"""The input of a bake, understood: its files, and what of the configuration the files decide.

Folders and tables may fix splits, and a class order or a class map may lie in a file. Both are
settled here, before anything is decoded, and what was settled is said.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.choices import CLASS_ORDERS
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs import class_names, sources
from beam_pipelines.inputs.given_splits import settle_splits, validation_into_folds
from tfrecords import kinds
from tfrecords.errors import UsageError
from tfrecords.images.rejects import IGNORED, RejectReason
from tfrecords.inputs import class_map
from tfrecords.inputs.archives.members import is_archive
from tfrecords.inputs.files import FileKind
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.rows import InputPath, ListedFile, SourceFile
from tfrecords.inputs.say import many, typed
from tfrecords.inputs.split_words import split_of
from tfrecords.inputs.tables import beside
from tfrecords.inputs.tables.pictures import is_table
from tfrecords.schema import TRAIN


@dataclass(frozen=True, slots=True)
class BakeInput:
    """The files of a bake, and its configuration as far as they decide it.

    Attributes:
      config: with the splits that the bake has, and with the content of the files it names.
      rows: of the sources, in key order.
      notes: what a person should know of how the input was understood, a line each.
    """

    config: PrepareConfig
    rows: tuple[SourceFile, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The number of files and classes, and of files that are left out and why."""
        reasons = Counter(
            row.problem.value
            for row in self.rows
            if row.problem is not None and row.problem in IGNORED
        )
        classes = {row.class_name for row in self.rows if row.class_name is not None}
        text = f"{len(self.rows) - reasons.total():,} files in {len(classes)} classes"
        if not reasons:
            return text
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
        return f"{text}; left out: {told}"

    @classmethod
    def of(cls, config: PrepareConfig) -> BakeInput:
        """Lists and understands the input of a configuration.

        Raises:
          UsageError: the input is not as it should be, or can be understood in two ways.
        """
        listing = sources.list_sources(
            config.input_dir,
            config.input_csv,
            config.input_rules(),
            config.input_options(Layout.of(config).spool_dir),
        )
        names = _class_map(config)
        rows = class_map.apply(listing.rows, names)
        check_classes(rows, config.input_dir, config.input_csv, config.class_from)
        order = _class_order(config)
        classes = {row.class_name for row in rows if row.class_name is not None}
        fold_notes: tuple[str, ...] = ()
        if config.folds is not None:
            rows, fold_notes = validation_into_folds(rows)
        splits, rows, split_notes = settle_splits(config.splits, rows)
        before = {row.class_name for row in listing.rows if row.class_name is not None}
        notes = (
            *listing.notes,
            *fold_notes,
            *split_notes,
            *_unknown_note("--classes_map", names, before),
            *_order_notes(order, classes),
            *class_names.notes(classes),
        )
        settled = dataclasses.replace(
            config,
            splits=splits,
            class_order=order,
            classes_map=tuple(sorted(names.items())) or None,
        )
        return cls(settled, rows, notes)


def refuse_output(config: PrepareConfig) -> None:
    """Refuses to write a data set where other results are, or where its pictures are read from.

    The next bake of the pictures' folder would take shards and report for a class.

    Raises:
      UsageError: the output is the input folder, or lies in it, or holds a run or a sweep.
    """
    if not storage.is_remote(config.output_dir):
        kinds.refuse_other(config.output_dir, "output_dir", kinds.DATASET)
    if config.input_csv is not None:
        return
    root, output = _absolute(config.input_dir), _absolute(config.output_dir)
    if not f"{output}/".startswith(f"{root}/"):
        return
    try:
        is_folder = storage.FILES.stat(config.input_dir).kind is FileKind.FOLDER
    except OSError:
        return
    if is_folder:
        raise UsageError(
            f"--output_dir={config.output_dir} is inside --input_dir={config.input_dir}, where the "
            "next bake would read it as input; choose a directory outside of it"
        )


def check_classes(
    rows: Iterable[SourceFile],
    input_dir: str,
    input_csv: str | None = None,
    class_from: str | None = None,
) -> None:
    """Refuses an input that is no classification task.

    Raises:
      UsageError: fewer than two classes; the text points to the likely root. Or names that a
        list of one name a line, as every reader of labels takes, cannot hold.
    """
    listed = list(rows)
    rows = [row for row in listed if row.problem not in IGNORED]
    classes = sorted({row.class_name for row in rows if row.class_name is not None})
    _check_names(classes)
    if len(classes) > 1:
        return
    if classes and input_csv is not None:
        raise UsageError(
            f"--input_csv={input_csv} has only one class, {classes[0]!r}; two are expected: "
            "--label_column names another column"
        )
    if classes and class_from is not None:
        key = next(row.key for row in rows if row.class_name is not None)
        raise UsageError(
            f"{typed('class_from', class_from)} gives only one class, {classes[0]!r}, as of "
            f"{key!r}; two are expected: put parentheses around what differs from class to class"
        )
    if not classes:
        _refuse_no_pictures([row for row in rows if not is_archive(row.key)], input_dir)
        packed = sorted(
            (not _is_of_train(row.key), row.key, row.member is not None)
            for row in rows
            if is_archive(row.key)
        )
        hint = _archive_hint(input_dir, *packed[0][1:]) if packed else ""
        raise UsageError(
            f"--input_dir={input_dir} has files but no class folders; "
            f"<input_dir>/<class>/<picture> expected, or {_tables(input_dir, listed)}{hint}"
        )
    _refuse_no_pictures(rows, input_dir)
    if any(row.problem is RejectReason.SIDECAR and is_table(row.key) for row in listed):
        raise UsageError(
            f"--input_dir={input_dir} has only one class, {classes[0]!r}; two are expected, "
            f"or {_tables(input_dir, listed)}"
        )
    deeper = {row.key.split("/")[1] for row in rows if row.key.count("/") > 1}
    # Of pictures in a chain of folders, the last one is no better.
    is_fork = len(deeper) > 1 or (deeper and any(row.key.count("/") == 1 for row in rows))
    inner = typed("input_dir", storage.join(input_dir, classes[0]))
    hint = f"; did you mean {inner}?" if is_fork else ""
    raise UsageError(
        f"--input_dir={input_dir} has only one class, {classes[0]!r}; two are expected"
        f"{hint or f', or {_tables(input_dir, listed)}'}"
    )


def _refuse_no_pictures(rows: Iterable[SourceFile], input_dir: str) -> None:
    """Stops at files of which none is called like a picture: batches of CIFAR, MNIST's idx."""
    names = sorted(row.key for row in rows)
    if names and not any(map(is_picture_name, names)):
        raise UsageError(
            f"--input_dir={input_dir} has no class folders, and none of its {len(names):,} files "
            f"has the name of a picture, such as {names[0]!r}: if they contain pictures, write "
            "those as files, into a folder for each class"
        )


def _is_of_train(name: str) -> bool:
    """Returns whether an archive is called as a train split: train.zip."""
    return split_of(name.rpartition("/")[2].partition(".")[0]) == TRAIN


def _archive_hint(input_dir: str, name: str, is_inside: bool) -> str:
    """Returns what to do with an archive that lies in the input; one in an archive is not read."""
    if is_inside:
        return f"; {name} in it is an archive too: unpack it, and give that one or its folder"
    return f"; did you mean {typed('input_dir', storage.join(input_dir, name))}?"


def _tables(input_dir: str, rows: Iterable[SourceFile]) -> str:
    """Returns the tables that lie beside the pictures, or that one is expected."""
    found = [
        ListedFile(row.key, row.path, row.bytes, row.version, row.member, row.problem)
        for row in rows
    ]
    return beside.advice(input_dir, found, storage.FILES)


def _check_names(classes: Sequence[str]) -> None:
    """Refuses names of classes with a line break, and those that differ in white space alone."""
    shown: dict[str, str] = {}
    for name in classes:
        if len(name.splitlines()) > 1 or name.endswith(("\n", "\r")):
            raise UsageError(
                f"the class {name!r} has a line break in its name, and lists of labels have one "
                "name per line: rename it, or give it another name with --classes_map"
            )
        other = shown.setdefault(" ".join(name.split()), name)
        if other != name:
            raise UsageError(
                f"the classes {other!r} and {name!r} differ only in white space, which lists of "
                "labels do not keep: rename one, or merge them with --classes_map"
            )


def _class_map(config: PrepareConfig) -> dict[str, str]:
    if config.classes_map is None:
        return {}
    if isinstance(config.classes_map, str):
        return class_map.read(InputPath("--classes_map", config.classes_map), storage.FILES)
    return dict(config.classes_map)


def _class_order(config: PrepareConfig) -> str | tuple[str, ...]:
    """Returns the order of classes: its name, or the names that a file lists, one a line.

    Raises:
      UsageError: the file cannot be read, or names a class twice.
    """
    order = config.class_order
    if isinstance(order, str) and order in CLASS_ORDERS:
        return order
    names = order if isinstance(order, tuple) else _lines_of(order)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        given = "" if isinstance(order, tuple) else f"={order}"
        raise UsageError(f"--class_order{given} has {many(twice)} twice")
    return names


def _lines_of(order: str) -> tuple[str, ...]:
    try:
        text = storage.read_bytes(order).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"--class_order={order}: {' or '.join(CLASS_ORDERS)} is expected, or a file with a "
            f"class a line ({error.strerror or error})"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--class_order={order} is not UTF-8: {error}") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _order_notes(order: str | tuple[str, ...], classes: Collection[str]) -> Iterator[str]:
    """Yields a line for names that are no class.

    Raises:
      UsageError: a class has no place in the order.
    """
    if isinstance(order, str):
        return
    if missing := sorted(set(classes) - set(order)):
        raise UsageError(
            f"--class_order does not name {many(missing)}; it must name every class of the input"
        )
    yield from _unknown_note("--class_order", order, classes)


def _unknown_note(flag: str, names: Iterable[str], classes: Collection[str]) -> Iterator[str]:
    unknown = [name for name in names if name not in classes]
    if not unknown:
        return
    nearest = difflib.get_close_matches(unknown[0], sorted(classes), n=1)
    hint = f" (did you mean {nearest[0]} by {unknown[0]}?)" if nearest else ""
    yield f"{flag} names {many(unknown)}, which the input does not have{hint}"


def _absolute(path: str) -> str:
    return path.rstrip("/") if storage.is_remote(path) else os.path.realpath(path).rstrip("/")
