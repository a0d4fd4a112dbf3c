"""Which files of a walked folder or an archive are left out unread, by their names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tfrecords import kinds, manifest, sharding
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.rows import ListedFile
from tfrecords.inputs.rules import InputRules

# Left behind by operating systems and storage boxes; a folder of such a name is not entered, nor
# is one that begins with a dot. In any capitals: Windows is not consistent in its own.
_CLUTTER = (
    "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "Thumbs.db", "ehthumbs.db",
    "ehthumbs_vista.db", "desktop.ini", "Picasa.ini",  # Windows
    "__MACOSX", "Icon\r", "Network Trash Folder", "Temporary Items",  # macOS
    "@eaDir", "#recycle", "#snapshot", "@tmp",  # Synology
    "@Recycle", "@Recently-Snapshot",  # QNAP
    "lost+found", "__pycache__",
)  # fmt: skip

# One search of a name takes half as long as looking at its parts one by one.
_HIDDEN = re.compile(rf"(?:^|/)(?:\.|~\$|(?i:{'|'.join(map(re.escape, _CLUTTER))})(?:/|\Z))")

# What lies beside pictures and is none: labels, descriptions, code, tables, models, documents.
_SIDECAR_SUFFIXES = frozenset(
    "json jsonl ndjson geojson txt text xml csv tsv md markdown rst yaml yml toml ini cfg conf log "
    "html htm css js py pyc ipynb r m sh bat ps1 lst list names cls bbox label labels pts thm xmp "
    "aae nfo url lnk webloc sha1 sha256 md5 sum rtf pdf doc docx odt xls xlsx ods ppt pptx db "
    "sqlite sqlite3 parquet feather arrow npy npz mat h5 hdf5 pkl pickle pt pth ckpt onnx keras "
    "tflite pb tfrecord tfrecords tfrec lmdb mdb".split()
)
_PACKED_SUFFIXES = frozenset(
    "parquet feather arrow npy npz mat h5 hdf5 pkl pickle tfrecord tfrecords tfrec lmdb mdb".split()
)
_SIDECAR_NAMES = frozenset(
    "readme license licence copying notice authors citation changelog contributing version "
    "makefile dockerfile md5sums sha1sums sha256sums checksums".split()
)


def is_hidden(name: str) -> bool:
    """Returns whether a POSIX path has a part that is hidden or that a system left behind."""
    return _HIDDEN.search(name) is not None


def is_sidecar(name: str) -> bool:
    """Returns whether a file is by its name one of those that lie beside pictures."""
    own = name.rpartition("/")[2].lower()
    stem, dot, suffix = own.rpartition(".")
    if not dot:
        return own in _SIDECAR_NAMES
    return suffix in _SIDECAR_SUFFIXES or sharding.is_shard_name(own)


def may_pack_pictures(name: str) -> bool:
    """Returns whether a file may hold pictures in a form that is not opened, by its name."""
    return name.rpartition(".")[2].lower() in _PACKED_SUFFIXES


def apply(files: Iterable[ListedFile], rules: InputRules | None = None) -> list[ListedFile]:
    """Returns all files; those that are left out have a problem that says why."""
    rules = rules or InputRules()
    include, exclude = Globs(rules.include), Globs(rules.exclude)
    listed = list(files)
    outputs = tuple(_own_outputs(listed))
    return [_filtered(file, include, exclude, outputs) for file in listed]


def unused_globs(files: Sequence[ListedFile], rules: InputRules) -> Iterator[str]:
    """Yields the patterns that match no file."""
    for pattern in (*rules.include, *rules.exclude):
        globs = Globs((pattern,))
        if not any(globs.match(file.name) for file in files):
            yield pattern


def is_data_set(files: Iterable[ListedFile]) -> bool:
    """Returns whether the root of an input is itself a data set that a bake wrote."""
    return {manifest.MANIFEST, manifest.SOURCES} <= {file.name for file in files}


def _filtered(
    file: ListedFile, include: Globs, exclude: Globs, outputs: tuple[str, ...]
) -> ListedFile:
    if file.problem is RejectReason.HIDDEN:
        return file
    if exclude.match(file.name) or (include and not include.match(file.name)):
        return _left_out(file, RejectReason.EXCLUDED)
    if outputs and file.name.startswith(outputs):
        return _left_out(file, RejectReason.OWN_OUTPUT)
    if not file.is_folder and is_sidecar(file.name):
        return _left_out(file, RejectReason.SIDECAR)
    return file


def _left_out(file: ListedFile, reason: RejectReason) -> ListedFile:
    return dataclasses.replace(file, problem=reason, detail=None)


def _own_outputs(files: Iterable[ListedFile]) -> Iterator[str]:
    """Yields the folders of data sets and of runs, each known by two of its files."""
    names = {file.name for file in files}
    for first, second in (kinds.FILES[kinds.DATASET], kinds.FILES[kinds.RUN]):
        for name in names:
            folder, _, own = name.rpartition("/")
            if folder and own == first and f"{folder}/{second}" in names:
                yield f"{folder}/"


class Globs:
    """Patterns for paths below the root of an input.

    `*` and `?` stand for any characters but a slash, `**` for any folders, `[ab]` for one of some
    characters. A pattern may match at any folder of the path, or only at the root if it begins
    with a slash; where it matches a folder it matches all that lies in it.

    Args:
      patterns: of which one has to match.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._compiled = re.compile("|".join(map(_regex, patterns))) if patterns else None

    def __bool__(self) -> bool:
        return self._compiled is not None

    def match(self, name: str) -> bool:
        """Returns whether one of the patterns matches a path or a folder above it."""
        return self._compiled is not None and self._compiled.match(name) is not None


def check_glob(pattern: str) -> None:
    """Refuses a pattern that matches nothing.

    Raises:
      ValueError: it is empty, or has a bracket that is not closed.
    """
    if not pattern.strip("/"):
        raise ValueError("a glob such as *.png or /cat/** is expected, not an empty one")
    if pattern.count("[") != pattern.count("]"):
        raise ValueError(f"{pattern!r} has an unmatched bracket")


def check_globs(globs: Mapping[str, Sequence[str]]) -> None:
    """Refuses patterns that match nothing.

    Args:
      globs: flag, without dashes → its patterns.

    Raises:
      UsageError: as `check_glob`; names the flag.
    """
    for name, patterns in globs.items():
        for pattern in patterns:
            try:
                check_glob(pattern)
            except ValueError as error:
                raise UsageError(f"--{name}: {error}") from error


def _regex(pattern: str) -> str:
    """Returns the regular expression of a pattern, to be matched from a path's begin."""
    begin = "" if pattern.startswith("/") else "(?:.*/)?"
    text = pattern.strip("/")
    result, i = "", 0
    while i < len(text):
        if text.startswith("**/", i):
            result, i = result + "(?:.*/)?", i + 3
        elif text.startswith("**", i):
            result, i = result + ".*", i + 2
        elif text[i] == "[" and "]" in text[i + 2 :]:
            end = text.index("]", i + 2)
            inside = text[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            result += f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            i = end + 1
        else:
            result += {"*": "[^/]*", "?": "[^/]"}.get(text[i], re.escape(text[i]))
            i += 1
    return f"(?s:{begin}{result}(?:/.*)?\\Z)"
