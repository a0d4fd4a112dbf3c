"""A bake of a directory that holds a complete data set: the same again, or another one?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from beam_pipelines.cache import storage
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from beam_pipelines.inputs.bake_input import BakeInput
from beam_pipelines.planning import telling_names
from beam_pipelines.report.bake_facts import REPORT_DIRECTORY, REPORT_PAGE
from tfrecords import ledger, manifest
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.inputs.rows import UNKNOWN_SIZE, SourceFile
from tfrecords.inputs.say import some
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN

_SHOWN = 5

# Flags that the manifest records under other names.
_FLAGS = {
    "height": "--image_size",
    "width": "--image_size",
    "min_pixels": "--min_source_pixels",
    "max_pixels": "--max_source_pixels",
    "bomb_pixels": "--max_source_pixels",
    "table_splits": "--input_csv",
    "pixels_version": "by another version of evenshard",
}


def require_same(config: PrepareConfig) -> Manifest:
    """Returns the manifest of the data set that is there, if the bake would give the same.

    It would if no flag that decides the bytes differs, and if the input has the same files in the
    same classes: files that were written, replaced or moved since are read and compared.

    Raises:
      UsageError: something differs (the text says what), or cannot be told: of data in a bucket.
    """
    remote = (config.output_dir, config.input_dir or "", *config.input_tables)
    if any(map(storage.is_remote, remote)):
        raise UsageError(_refusal(config, ""))
    there = manifest.load(config.output_dir)
    # Archives are unpacked beside the output, which is to stay as it is.
    with tempfile.TemporaryDirectory(prefix="evenshard-") as folder:
        asked = BakeInput.of(dataclasses.replace(config, output_dir=folder))
        other = other_flags(asked.config, there) or other_input(asked.rows, config)
    if other:
        raise UsageError(_refusal(config, f", {other}"))
    return there


def other_flags(asked: PrepareConfig, there: Manifest) -> str:
    """Returns how a bake's flags differ from those of a data set; "" if they do not."""
    values: dict[str, object] = json.loads(json.dumps(identity.for_manifest(asked)))
    if asked.split_by is SplitBy.AUTO:  # What it chose is recorded, and equal input chooses so.
        values["split_by"] = there.config.get("split_by")
        if asked.group_by is None and there.config.get("group_by") in telling_names.PATTERNS:
            values["group_by"] = there.config.get("group_by")
    recorded = json.loads(json.dumps(dict(there.config)))
    one, other = map(_flat, (values, recorded))
    names = [name for name in one | other if one.get(name) != other.get(name)]
    names = _as_typed(names, one, other)
    flags = sorted({_FLAGS.get(name, f"--{name}") for name in names})
    return f"baked otherwise ({some(flags, _SHOWN)})" if flags else ""


def _as_typed(names: Sequence[str], *sides: Mapping[str, Any]) -> list[str]:
    """Returns names of flags, with per_class where both bounds are one number on both sides."""
    bounds = ("min_per_class", "max_per_class")
    if not set(bounds) & set(names):
        return list(names)
    if any(side.get(bounds[0]) != side.get(bounds[1]) for side in sides):
        return list(names)
    return [*(name for name in names if name not in bounds), "per_class"]


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Returns recorded values with those of the groups `image` and `limits` beside the others."""
    groups = ("image", "limits")
    inner = (values.get(group, {}) for group in groups)
    return {
        **{name: value for name, value in values.items() if name not in groups},
        **{name: value for group in inner for name, value in group.items()},
    }


def other_input(rows: Iterable[SourceFile], config: PrepareConfig) -> str:
    """Returns how an input differs from that of the data set that is there; "" if it does not.

    Args:
      rows: of the input's files.
      config: of the bake.
    """
    try:
        table = ledger.read(config.output_dir).select(["key", "class", "bytes", "split", "sha256"])
    except EvenshardError as error:
        return f"whose files cannot be compared with the input ({error})"
    written = os.stat(storage.join(config.output_dir, manifest.MANIFEST)).st_mtime_ns
    for path in _given_files(config):
        if _touched(path, written):
            return f"and {path} was written, replaced or moved since"
    had = {row.pop("key"): row for row in table.to_pylist()}
    new, changed = [], []
    for row in rows:
        before = had.pop(row.key, None)
        if before is None:
            new.append(row.key)
        elif _differs(row, before) or (row.member is None and _rewritten(row, before, written)):
            changed.append(row.key)
    found = (("new", new), ("changed", changed), ("gone", [*had]))
    told = [f"{len(keys):,} {what} ({some(keys, 1)})" for what, keys in found if keys]
    return f"and the input has changed since: {', '.join(told)}" if told else ""


def _given_files(config: PrepareConfig) -> Iterator[Path]:
    """Yields the archives and tables that the input is read from."""
    for given in filter(None, (config.input_dir, *config.input_tables)):
        path = Path(given)  # Of "contest.zip/train" the file is contest.zip.
        yield from [each for each in (path, *path.parents) if each.is_file()][:1]


def _differs(row: SourceFile, before: Mapping[str, Any]) -> bool:
    pairs = (
        (None if row.bytes == UNKNOWN_SIZE else row.bytes, before["bytes"]),
        # Other splits may have been taken from a train split that the input fixes.
        (None if row.split == TRAIN else row.split, before["split"]),
    )
    return row.class_name != before["class"] or any(
        now != then for now, then in pairs if now is not None and then is not None
    )


def _rewritten(row: SourceFile, before: Mapping[str, Any], written: int) -> bool:
    """Returns whether a file has other bytes than it had; it is read if it was touched since.

    What is left out unread, as by its name, counts only by its name.
    """
    path = Path(row.path)
    try:
        if row.problem is not None or not _touched(path, written):
            return False
        return before["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return True


def _touched(path: Path, since: int) -> bool:
    """Returns whether a file was written, or put there with an old time, since a time in ns.

    An unpacked or copied file may have any time of writing, but its inode is new.
    """
    times = path.stat()
    return max(times.st_mtime_ns, times.st_ctime_ns) > since


def _refusal(config: PrepareConfig, why: str) -> str:
    page = storage.join(config.output_dir, REPORT_DIRECTORY, REPORT_PAGE)
    again = (
        ""
        if storage.exists(page)
        else f", whose report is missing: `evenshard report {shlex.quote(config.output_dir)}` "
        "writes it"
    )
    return (
        f"--output_dir={config.output_dir} holds a complete data set{why}{again}; "
        "give --overwrite to replace it, or another directory"
    )
