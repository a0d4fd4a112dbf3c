"""Tables that lie beside pictures: named where pictures lie in no class folders."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.column_names import LABEL_NAMES, is_pixel, normalised
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.folders import name_patterns
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.picture_names import without_suffix
from tfrecords.inputs.read import read_member
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, ListedFile
from tfrecords.inputs.say import counted, some, typed
from tfrecords.inputs.split_words import TEST, split_of
from tfrecords.inputs.tables.pictures import is_table
from tfrecords.inputs.tables.text import TableText, is_json, parse
from tfrecords.schema import TRAIN

# Files that may have labels in a form that is not read; by their names where most say nothing.
_OTHER_FORMS = (".json", ".mat", ".xlsx", ".xls", ".parquet", ".pkl", ".npy")
_LISTS = (".txt", ".list", ".names", ".xml", ".yaml")
_LIST_NAME = re.compile(r"(?i)train|val|test|label|class|annot|list|split|meta|truth")

# Tables without labels: a sample of what a contest expects.
_NO_LABELS = re.compile(r"(?i)sample|submission")
_LABELS = re.compile(r"(?i)train|label|class|annot")

_NAMED = 3

_LABEL_ENDS = tuple(f"_{name}" for name in LABEL_NAMES)

# There may be a list for each picture, as train_1.txt of train_1.jpg.
_MOST_TABLES = 100

# More files of JSON are of a picture each.
_MOST_JSON = 10

# Rows that tell what a table is of; the first ones may all be of one class.
_SAMPLE = 20_000
_MOST_BYTES = 64 << 20


def advice(input_path: str, found: Sequence[ListedFile], files: FileSystem) -> str:
    """Returns what to give where a table is expected: the tables of an input, likeliest first.

    Args:
      input_path: of the folder or archive that holds `found`.
      found: all of its files.
      files: the file system that they lie on.
    """
    tables = [
        file
        for file in found
        if is_table(file.name) and file.problem in (None, RejectReason.SIDECAR)
    ]
    # A sample of what a contest expects has no labels, whatever else there is.
    tables = [file for file in tables if not _NO_LABELS.search(_stem(file.name))]
    likely = [file for file in tables if _may_have_labels(file.name)] or tables
    likely = [file for file in likely if not _is_of_pixels(file, files)] or likely
    likely.sort(key=lambda file: (not _has_labels(file.name), file.name))
    pictures = [file.name for file in found if file.problem in (None, RejectReason.NO_CLASS)]
    in_names = name_patterns.advice(pictures, words_only=bool(likely))
    or_names = f", or {in_names}" if in_names else ""
    if not likely:
        return f"a table of labels with --input_csv{or_names}{_other_labels(input_path, found)}"
    told = [_named(input_path, file, files) for file in likely[:_NAMED]]
    more = f" (or another of {len(likely):,} tables there)" if len(likely) > _NAMED else ""
    return f"the table of labels that lies there, {' or '.join(told)}{more}{or_names}"


def _other_labels(input_path: str, found: Sequence[ListedFile]) -> str:
    """Returns where labels may be that are not read, in brackets, or ""."""
    others = [
        file.name
        for file in found
        if file.problem is RejectReason.SIDECAR
        and (
            file.name.lower().endswith(_OTHER_FORMS)
            or (file.name.lower().endswith(_LISTS) and _LIST_NAME.search(_stem(file.name)))
        )
    ]
    if not others:
        return ""
    # Of a file for each picture, those that lie deepest, the first ones are examples.
    ranked = sorted(others, key=lambda name: (name.count("/"), name))
    own = [name for name in ranked if is_json(name) and _may_have_labels(name)]
    instead = ""
    if 0 < len(own) <= _MOST_JSON:
        own.sort(key=lambda name: (name.count("/"), not _has_labels(name), name))
        flag = typed("input_csv", f"{input_path.rstrip('/')}/{own[0]}")
        instead = f"give {flag} if it is as COCO's, or "
    return (
        f" (labels may be in {some(ranked)}: {instead}write a CSV of path and label, as "
        "docs/inputs.md shows)"
    )


def _is_of_pixels(file: ListedFile, files: FileSystem) -> bool:
    table = _parsed(file, files)
    return table is not None and sum(is_pixel(normalised(name)) for name in table.header) > 1


def unread(
    input_path: str, found: Iterable[ListedFile], files: FileSystem, classes: Mapping[str, str]
) -> Iterator[str]:
    """Yields a line for each table that gives pictures of class folders other classes.

    Args:
      input_path: of the folder or archive that holds `found`.
      found: all of its files.
      files: the file system that they lie on.
      classes: of a picture, its class by its name without a suffix, and by that behind the name of
        its folder; names that stand for pictures of several classes are left out.
    """
    for file in found:
        if file.problem is not RejectReason.SIDECAR or not is_table(file.name):
            continue
        if not _may_have_labels(file.name):
            continue
        table = _parsed(file, files)
        if table is None:
            continue
        try:
            rows = [fields for _, fields in itertools.islice(table.rows(), _SAMPLE)]
        except UsageError:
            continue
        columns = range(len(table.header))
        meant = [[_class_of(fields[c], classes) for fields in rows] for c in columns]
        named = [own for own in meant if 2 * sum(name is not None for name in own) > len(rows)]
        if not named or len(columns) < 2:
            continue
        own = named[0]
        labels = [c for c in columns if _is_of_labels(table.header[c])]
        if labels and not any(_agrees(own, [fields[c] for fields in rows]) for c in labels):
            yield (
                f"{file.name} names these pictures too, and is not read, for folders are the "
                f"classes; {_named(input_path, file, files)} reads it"
            )


def of_unlabelled(
    found: Iterable[ListedFile], files: FileSystem, unlabelled: Collection[str]
) -> Iterator[str]:
    """Yields a line for tables that name pictures which have no class, and may give them one.

    Args:
      found: all files of an input.
      files: the file system that they lie on.
      unlabelled: names of the pictures, without folder and suffix.
    """
    may = (file for file in found if _may_name(file))
    named = [
        file.name
        for file in itertools.islice(may, _MOST_TABLES)
        if _names_some(file, files, unlabelled)
    ]
    if named:
        yield (
            f"{some(sorted(named))} {'lists' if len(named) == 1 else 'list'} pictures that have no "
            "class here, and may have their classes; to read both, give one table of all "
            "pictures, with a column of splits, as --input_csv"
        )


def _may_name(file: ListedFile) -> bool:
    """Returns whether a file may be a table of labels, by its name."""
    own = _stem(file.name)
    if file.problem is not RejectReason.SIDECAR or _NO_LABELS.search(own):
        return False
    is_list = file.name.lower().endswith(_LISTS) and _LABELS.search(own) is not None
    return is_table(file.name) or is_list


def _names_some(file: ListedFile, files: FileSystem, names: Collection[str]) -> bool:
    """Returns whether a table is of pictures of some names, and may have their classes."""
    table = _parsed(file, files)
    if table is None or len(table.header) < 2:
        return False
    labels = [_is_of_labels(name) for name in table.header]
    if table.has_header and not any(labels):
        return False
    try:
        rows = [fields for _, fields in itertools.islice(table.rows(), _SAMPLE)]
    except UsageError:
        return False
    columns = [column for column, is_label in enumerate(labels) if not is_label]
    return any(
        2 * sum(_name_of(fields[column]) in names for fields in rows) > len(rows)
        for column in columns
    )


def _name_of(value: str) -> str:
    return without_suffix(value.replace("\\", "/").rpartition("/")[2])


def _is_of_labels(name: str) -> bool:
    return f"_{normalised(name)}".endswith(_LABEL_ENDS)


def _agrees(own: Sequence[str | None], values: Sequence[str]) -> bool:
    """Returns whether a column says nothing that the folders do not say, in whatever words."""
    pairs = {(name, value) for name, value in zip(own, values, strict=True) if name is not None}
    return len({name for name, _ in pairs}) == len({value for _, value in pairs}) == len(pairs)


def _class_of(value: str, classes: Mapping[str, str]) -> str | None:
    """Returns the class of the picture that a field names, or None."""
    parts = without_suffix(value.replace("\\", "/")).split("/")
    return classes.get("/".join(parts[-2:])) or classes.get(parts[-1])


def _named(input_path: str, file: ListedFile, files: FileSystem) -> str:
    rows = _rows(file, files)
    flag = typed("input_csv", f"{input_path.rstrip('/')}/{file.name}")
    return flag if rows is None else f"{flag} ({counted(rows, 'row')})"


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]


def _may_have_labels(name: str) -> bool:
    return not _NO_LABELS.search(_stem(name)) and split_of(_stem(name)) != TEST


def _has_labels(name: str) -> bool:
    return split_of(_stem(name)) == TRAIN or bool(_LABELS.search(_stem(name)))


def _rows(file: ListedFile, files: FileSystem) -> int | None:
    """Returns how many rows a table has, or None where that cannot be told."""
    try:
        table = _parsed(file, files)
        return None if table is None else sum(1 for _ in table.rows())
    except UsageError:
        return None


def _parsed(file: ListedFile, files: FileSystem) -> TableText | None:
    """Returns a table, or None where it is too large or none."""
    try:
        if file.bytes == UNKNOWN_SIZE or file.bytes > _MOST_BYTES:
            return None
        with files.open(file.path) as opened:
            data = read_member(opened, file.member, file.bytes) if file.member else opened.read()
        return parse(InputPath("", file.name), data, TableOptions())
    except (OSError, UsageError):
        return None
