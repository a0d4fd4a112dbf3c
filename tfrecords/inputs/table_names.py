"""The tables that a person names: one, or several with commas between them."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfrecords import locations
from tfrecords.errors import UsageError
from tfrecords.inputs.split_words import split_of

# As of train=train.csv; a path with a folder before the sign is a path.
_OF_SPLIT = re.compile(r"\s*([A-Za-z][\w-]*)\s*=(.+)\Z", re.DOTALL)

# What a table that cannot be looked for, as one in an archive, is expected to be called.
_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".psv", ".json", ".jsonl", ".ndjson", ".txt", ".list",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table that a person names.

    Attributes:
      path: a path or a URL; it may lead into an archive.
      split: the word before it, of the split that its rows get; "" for none.
    """

    path: str
    split: str = ""


def named_tables(given: str) -> tuple[NamedTable, ...]:
    """Returns the tables of "labels.csv", "a.csv,b.csv" or "train=a.csv,validation=b.csv".

    A file that exists is meant by its own name, whatever it has in it.

    Raises:
      UsageError: only some of the tables have a split.
    """
    if _exists(given) or not ("," in given or _OF_SPLIT.match(given)):
        return (NamedTable(given),)
    parts = given.split(",")
    found: list[NamedTable] = []
    begin = 0
    while begin < len(parts):
        for end in range(len(parts), begin, -1):
            table = _named(",".join(parts[begin:end]))
            if _exists(table.path):
                break
        found.append(table)
        begin = end
    if not all(_exists(one.path) or one.path.lower().endswith(_SUFFIXES) for one in found):
        return (NamedTable(given),)
    without = [table.path for table in found if not table.split]
    if 0 < len(without) < len(found):
        raise UsageError(
            f"--input_csv={given}: {without[0]} has no split, and others have one: give each table "
            "a split, as in train=a.csv,train=b.csv,test=c.csv, or none"
        )
    return tuple(found)


def splits(given: str | None) -> list[str]:
    """Returns the splits that stand before tables, each once and sorted."""
    words = {table.split for table in named_tables(given)} if given else set()
    return sorted({split_of(word) or word for word in words if word})


def common_folder(paths: Sequence[str]) -> str:
    """Returns the folder that all tables lie in or below, "." for that of the process.

    Raises:
      UsageError: there is none.
    """
    folders = list(dict.fromkeys(os.path.dirname(path) for path in paths))
    if len(folders) == 1:
        return folders[0] or "."
    if len({(os.path.isabs(folder), locations.is_url(folder)) for folder in folders}) > 1:
        raise UsageError(
            f"--input_csv names tables in {folders[0] or '.'} and in {folders[1] or '.'}: give "
            "--input_dir, the folder or archive that the paths in them start from"
        )
    divided = [folder.split("/") for folder in folders]
    same = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*divided, strict=False))
    found = "/".join(names[0] for names in same)
    return found or ("/" if os.path.isabs(folders[0]) else ".")


def own_folders(root: str, paths: Sequence[str]) -> list[str]:
    """Returns the folder of each of several tables below the root, from which its paths start.

    All are "" where a person gave another root: it is that of all tables then.
    """
    try:
        common = common_folder(paths)
    except UsageError:
        return [""] * len(paths)
    if len(paths) == 1 or root.rstrip("/") != common.rstrip("/"):
        return [""] * len(paths)
    begin = 0 if common == "." else len(common)
    return [os.path.dirname(path)[begin:].lstrip("/") for path in paths]


def joined(given: Any) -> str | None:
    """Returns the text that names tables given in Python: a path, a list, or split → path.

    Raises:
      ValueError: it is none of them, or a name would be read as several.
    """
    if given is None or isinstance(given, (str, os.PathLike)):
        return None if given is None else os.fsdecode(given)
    try:
        if isinstance(given, Mapping):
            tables = [NamedTable(_path(path), split) for split, path in given.items()]
            text = ",".join(f"{table.split}={table.path}" for table in tables)
        else:
            tables = [NamedTable(_path(path)) for path in given]
            text = ",".join(table.path for table in tables)
    except TypeError as error:
        raise ValueError("a path, a list of paths or a dict of split: path is expected") from error
    if tables and not _are(tables, text):
        raise ValueError(
            "tables whose names end as tables do, without commas or '=', are expected of several"
        )
    return text or None


def _are(tables: Sequence[NamedTable], text: str) -> bool:
    """Returns whether a text names these tables and no others."""
    try:
        return named_tables(text) == tuple(tables)
    except UsageError:
        return False


def _path(given: Any) -> str:
    return os.path.expanduser(os.fsdecode(given))


def _named(text: str) -> NamedTable:
    if _exists(text):
        return NamedTable(text)
    found = _OF_SPLIT.match(text)
    split, path = (found[1], found[2]) if found else ("", text)
    return NamedTable(path if _exists(path) else os.path.expanduser(path.strip()), split)


def _exists(path: str) -> bool:
    return not locations.is_url(path) and os.path.exists(path)
