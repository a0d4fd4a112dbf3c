"""The sources of a bake: listed and read through the bake's storage, and checked.

`tfrecords.inputs` lists and reads; here are the flags and the demands of a bake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beam_pipelines.cache import storage
from tfrecords.errors import UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile


def list_sources(input_dir: str, input_csv: str | None = None) -> tuple[SourceFile, ...]:
    """Returns every input file in key order; raises as `listing.list_labelled`."""
    table = None if input_csv is None else InputPath("--input_csv", input_csv)
    return listing.list_labelled(InputPath("--input_dir", input_dir), table, storage.FILES)


def check_classes(rows: Iterable[SourceFile], input_dir: str) -> None:
    """Refuses an input that is no classification task.

    Raises:
      UsageError: fewer than two classes; the text points to the likely root.
    """
    rows = list(rows)
    classes = sorted({row.class_name for row in rows if row.class_name is not None})
    if len(classes) > 1:
        return
    if not classes:
        raise UsageError(
            f"--input_dir={input_dir} has files but no class folders; "
            "<input_dir>/<class>/<picture> expected, or --input_csv"
        )
    deeper = {row.key.split("/")[1] for row in rows if row.key.count("/") > 1}
    hint = f"; did you mean --input_dir={storage.join(input_dir, classes[0])}?" if deeper else ""
    raise UsageError(
        f"--input_dir={input_dir} has one class only, {classes[0]!r}; at least two expected{hint}"
    )


def check_splits(rows: Iterable[SourceFile], names: Sequence[str]) -> None:
    """Refuses an input that fixes a split which the bake does not have.

    Raises:
      UsageError: the text names the split.
    """
    unknown = sorted({row.split for row in rows if row.split is not None} - set(names))
    if unknown:
        raise UsageError(
            f"the input fixes split {unknown[0]!r}, --splits names only {', '.join(names)}; "
            f"add it, as in --splits=train:0.8,{unknown[0]}:0.2"
        )


def check_group_by(rows: Iterable[SourceFile], pattern: str | None) -> None:
    """Refuses a pattern for groups that matches none of the files.

    Raises:
      UsageError: the text shows a path that it should match.
    """
    if pattern is None:
        return
    keys = [row.key for row in rows if row.problem is None]
    if keys and not any(map(re.compile(pattern).search, keys)):
        raise UsageError(
            f"--group_by={pattern!r} matches none of the {len(keys):,} paths below the input, such "
            f"as {keys[0]!r}"
        )


def read(source: SourceFile) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read.
    """
    return read_source(source, storage.FILES)
