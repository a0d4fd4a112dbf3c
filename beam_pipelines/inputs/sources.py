"""Which files a bake takes in, and how each is read.

A listing comes from class folders, from a CSV or from an archive, on a local disk or through
Beam's FileSystems; all give `SourceFile` rows. Reading needs no Beam for local files.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from beam_pipelines.cache import storage
from beam_pipelines.cache.facts import ArchiveMember, SourceFile
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import RejectReason
from tfrecords.schema import TRAIN

# Folder names that fix a split when they are all there is at the top.
SPLIT_FOLDERS = {
    TRAIN: TRAIN,
    "training": TRAIN,
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}

# Left behind by operating systems; like names that begin with a dot they are rejected unread,
# and a folder of that name is not entered.
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")

# One search of a name takes half as long as looking at its parts one by one.
_HIDDEN = re.compile(rf"(?:^|/)(?:\.|(?:{'|'.join(map(re.escape, _CLUTTER))})(?:/|\Z))")

_ZIP_LOCAL_HEADER_BYTES = 30
_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file before it is given a key and a class."""

    name: str
    path: str
    bytes: int
    version: int
    member: ArchiveMember | None = None


def list_sources(input_dir: str, input_csv: str | None = None) -> tuple[SourceFile, ...]:
    """Returns every input file in key order.

    Args:
      input_dir: holds class folders; or a .zip or .tar of them; or, with `input_csv`, the
        folder that its relative paths start from.
      input_csv: table with a header that names `path`, `label` and optionally `split`.

    Raises:
      UsageError: there is no input of that form; the text says what was found instead.
    """
    if input_csv is not None:
        return _in_key_order(_from_csv(input_dir, input_csv))
    found = list(_walk(input_dir))
    if all(_is_hidden(item.name) for item in found):
        raise UsageError(f"--input_dir={input_dir} holds no files; class folders expected")
    return _in_key_order(_from_folders(found))


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


def read(source: SourceFile) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read.
    """
    if source.member is None:
        return storage.read_bytes(source.path)
    with storage.open_read(source.path) as file:
        return _read_member(file, source.member)


def _read_member(file: BinaryIO, member: ArchiveMember) -> bytes:
    offset = member.offset
    file.seek(offset)
    if member.method != "tar":
        # The local header's own name and extra lengths differ from the directory's.
        header = file.read(_ZIP_LOCAL_HEADER_BYTES)
        name, extra = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
        file.seek(offset + _ZIP_LOCAL_HEADER_BYTES + name + extra)
    data = file.read(member.stored)
    try:
        data = zlib.decompress(data, -zlib.MAX_WBITS) if member.method == "deflate" else data
    except zlib.error as error:
        raise OSError(f"damaged in its archive: {error}") from error
    if member.crc32 is not None and zlib.crc32(data) != member.crc32:
        raise OSError("damaged in its archive: the CRC differs")
    return data


def _walk(input_dir: str) -> Iterator[_Found]:
    lower = input_dir.lower()
    if lower.endswith(".zip"):
        return _walk_zip(input_dir)
    if lower.endswith(".tar"):
        return _walk_tar(input_dir)
    if lower.endswith(_COMPRESSED_TAR):
        raise UsageError(
            f"--input_dir={input_dir}: a compressed tar cannot be read from the middle; "
            "decompress it first (`gunzip`, `bunzip2` or `unxz`) and give the .tar"
        )
    if storage.is_remote(input_dir):
        return _walk_remote(input_dir)
    if not os.path.isdir(input_dir):
        raise UsageError(
            f"--input_dir={input_dir} is not a folder, a .zip or a .tar"
            if os.path.exists(input_dir)
            else f"--input_dir={input_dir} does not exist"
        )
    return _walk_local(input_dir, "", frozenset())


def _walk_local(directory: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[_Found]:
    """Walks a folder; links are followed, except to a folder that contains them."""
    try:
        status = os.stat(directory)
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        yield _Found(prefix.rstrip("/"), directory, -1, 0)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.is_dir() and _is_hidden(entry.name):
            yield _Found(f"{name}/", entry.path, -1, 0)
            continue
        if entry.is_dir():
            yield from _walk_local(entry.path, f"{name}/", above | {here})
            continue
        try:
            status = entry.stat()
            yield _Found(name, entry.path, status.st_size, status.st_mtime_ns)
        except OSError:
            yield _Found(name, entry.path, -1, 0)


def _walk_remote(root: str) -> Iterator[_Found]:
    from apache_beam.io.filesystems import FileSystems

    root = root.rstrip("/") + "/"
    for found in FileSystems.match([root + "**"])[0].metadata_list:
        version = int((found.last_updated_in_seconds or 0) * 1e9)
        yield _Found(found.path.removeprefix(root), found.path, found.size_in_bytes, version)


def _walk_zip(path: str) -> Iterator[_Found]:
    methods = {zipfile.ZIP_STORED: "store", zipfile.ZIP_DEFLATED: "deflate"}
    try:
        with storage.open_read(path) as file, zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"--input_dir={path} is not a readable zip: {error}") from error
    for info in members:
        if info.compress_type not in methods or info.flag_bits & 1:
            raise UsageError(
                f"--input_dir={path}: {info.filename} is encrypted or compressed by another "
                "method than deflate; unpack the archive and give the folder"
            )
        method = methods[info.compress_type]
        member = ArchiveMember(info.header_offset, info.compress_size, method, info.CRC)
        yield _Found(info.filename, path, info.file_size, info.CRC, member)


def _walk_tar(path: str) -> Iterator[_Found]:
    try:
        with storage.open_read(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                if info.isfile():
                    member = ArchiveMember(info.offset_data, info.size, "tar")
                    version = int(info.mtime * 1e9)
                    yield _Found(info.name.removeprefix("./"), path, info.size, version, member)
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"--input_dir={path} is not a readable tar: {error}") from error


def _from_folders(found: list[_Found]) -> Iterator[SourceFile]:
    found = _without_wrapper(found)
    tops = {item.name.split("/")[0] for item in found if _in_folder(item)}
    fixed = TRAIN in map(SPLIT_FOLDERS.get, tops) and tops <= SPLIT_FOLDERS.keys()
    for item in found:
        parts = item.name.split("/")
        split = SPLIT_FOLDERS[parts[0]] if fixed and len(parts) > 1 else None
        folders = parts[1:-1] if fixed else parts[:-1]
        yield _source(item, folders[0] if folders else None, split)


def _without_wrapper(found: list[_Found]) -> list[_Found]:
    """Drops the one folder that an archive wraps around its class folders."""
    shown = [item for item in found if not _is_hidden(item.name)]
    tops = {item.name.split("/")[0] for item in shown}
    deep = all(item.name.count("/") >= 2 for item in shown)
    if found[0].member is None or len(tops) != 1 or not deep:
        return found
    (top,) = tops
    return [dataclasses.replace(item, name=item.name.removeprefix(top + "/")) for item in found]


def _in_folder(found: _Found) -> bool:
    return "/" in found.name and not _is_hidden(found.name)


def _from_csv(input_dir: str, input_csv: str) -> Iterator[SourceFile]:
    try:
        text = storage.read_bytes(input_csv).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--input_csv={input_csv}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--input_csv={input_csv} is not UTF-8: {error}") from error
    table = csv.DictReader(io.StringIO(text))
    missing = {"path", "label"} - set(table.fieldnames or ())
    if missing:
        raise UsageError(
            f"--input_csv={input_csv}: the header must name path and label "
            f"(and optionally split), it is {','.join(table.fieldnames or ())!r}"
        )
    for number, line in enumerate(table, start=2):
        path, label = line["path"], line["label"]
        if not path or not label:
            raise UsageError(f"--input_csv={input_csv} line {number}: path or label is empty")
        where = path if os.path.isabs(path) or storage.is_remote(path) else f"{input_dir}/{path}"
        yield _source(_stat(path, where), label, line.get("split") or None)


def _stat(name: str, path: str) -> _Found:
    try:
        if storage.is_remote(path):
            return _Found(name, path, storage.size(path), 0)
        status = os.stat(path)
        return _Found(name, path, status.st_size, status.st_mtime_ns)
    except (OSError, IndexError):
        return _Found(name, path, -1, 0)


def _source(found: _Found, class_name: str | None, split: str | None) -> SourceFile:
    problem = None
    try:
        found.name.encode()
        key = unicodedata.normalize("NFC", found.name)
        class_name = unicodedata.normalize("NFC", class_name) if class_name else None
    except UnicodeEncodeError:
        # The ledger is UTF-8: it shows such a name with its odd bytes as \xNN.
        key = found.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        class_name, problem = None, RejectReason.NAME_NOT_UTF8
    if problem is None and _is_hidden(key):
        class_name, problem = None, RejectReason.HIDDEN
    if problem is None and class_name is None:
        problem = RejectReason.NO_CLASS
    if problem is None and found.bytes < 0:
        problem = RejectReason.UNREADABLE
    return SourceFile(
        key=key,
        path=found.path,
        class_name=class_name,
        bytes=found.bytes,
        version=found.version,
        split=split,
        problem=problem,
        member=found.member,
    )


def _in_key_order(rows: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    """Sorts rows and makes keys unique: the second of two equal ones is rejected."""
    ordered = sorted(rows, key=lambda row: (row.key, row.path, row.class_name or ""))
    if len({row.key for row in ordered}) == len(ordered):
        return tuple(ordered)
    seen: dict[str, int] = {}
    result = []
    for row in ordered:
        count = seen.get(row.key, 0)
        seen[row.key] = count + 1
        if count:
            row = dataclasses.replace(
                row, key=f"{row.key} ({count + 1})", problem=RejectReason.NAME_COLLISION
            )
        result.append(row)
    return tuple(sorted(result, key=lambda row: row.key))


def _is_hidden(name: str) -> bool:
    return _HIDDEN.search(name) is not None
