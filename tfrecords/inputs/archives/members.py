"""The members of a zip or a tar, with the place where each is read without its directory."""

from __future__ import annotations

import bisect
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives import compressed, links, names, tars, webdataset, zips
from tfrecords.inputs.archives.entries import ArchiveError, Contents, Entry, EntryKind
from tfrecords.inputs.archives.links import NamedEntry
from tfrecords.inputs.archives.names import UTF8_NAMES, NameCodec
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.paths import safe_path
from tfrecords.inputs.read import read_member
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, ListedFile
from tfrecords.inputs.say import Say, counted

_ZIP, _TAR = (".zip",), (".tar",)
_COMPRESSED_TAR = (
    ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst",
)  # fmt: skip

# Archives that are known and not read: what to do with them.
_OTHERS = re.compile(
    r"(?i)\.(z\d\d|zip\.\d{3}|tar\.\d{3}|7z(\.\d{3})?|rar|tar\.(z|lz4|lzma|lz|br))\Z"
)
_PARTS = re.compile(r"(?i)\.(z\d\d|zip\.\d{3}|tar\.\d{3})\Z")

# "data.zip/train": a folder or a file in an archive.
_INSIDE = re.compile(r"(?i)^(.*?\.(?:zip|tar|tgz|tbz2?|txz|tzst|tar\.(?:gz|bz2|xz|zst)))/+(.*)$")

# A line for each of 20 million pictures.
_MOST_TABLE_BYTES = 2 << 30

# What a column of sizes can hold; an archive may claim more.
_MOST_BYTES = 2**63 - 1

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def is_archive(path: str) -> bool:
    """Returns whether a path has the name of an archive, of one that cannot be read too."""
    lower = path.lower()
    return lower.endswith((*_ZIP, *_TAR, *_COMPRESSED_TAR)) or bool(_OTHERS.search(lower))


def split_inside(path: str, files: FileSystem) -> tuple[str, str] | None:
    """Returns the archive and the path in it that "data.zip/train" names; None if none does."""
    found = _INSIDE.match(path)
    if found is None:
        return None
    try:
        files.stat(path)
    except (OSError, ValueError):
        return found[1], safe_path(found[2])
    return None  # A folder that is called like an archive.


def list_members(
    source: InputPath,
    files: FileSystem,
    options: InputOptions,
    say: Say,
) -> list[ListedFile]:
    """Returns the files of an archive, in its order; those that cannot be read have a problem.

    Of members with one name the last comes first, for it is what unpacking leaves.

    Args:
      source: the archive, or a folder in it ("data.zip/train"), whose name the files then lack.
      files: the file system that it lies on.
      options: how to read it.
      say: told what was guessed and what was noticed.

    Raises:
      UsageError: it is not an archive that can be read.
    """
    inside = split_inside(source.path, files)
    path, folder = inside or (source.path, "")
    archive = InputPath(source.flag, path)
    if _OTHERS.search(path):
        raise UsageError(f"{archive} {_advice(path)}")
    try:
        found = _list(archive, files, options, say)
    except ArchiveError as error:
        kind = "zip" if path.lower().endswith(_ZIP) else "tar"
        raise UsageError(f"{archive} is not a readable {kind}: {error}") from error
    except OSError as error:
        raise UsageError(f"{archive} is not readable: {error.strerror or error}") from error
    if not folder:
        return found
    below = [
        dataclasses.replace(file, name=file.name.removeprefix(f"{folder}/"))
        for file in found
        if file.name.startswith(f"{folder}/") and file.name != f"{folder}/"
    ]
    if not below:
        raise UsageError(f"{source}: there is no folder {folder!r} in the archive")
    return below


def _advice(path: str) -> str:
    if _PARTS.search(path):
        return (
            "is one part of an archive: join the parts first (`zip -s 0 in.zip --out whole.zip`, "
            "or `cat data.zip.* > data.zip`)"
        )
    return "is an archive of a kind that is not read: unpack it, and give the folder"


def _list(
    archive: InputPath, files: FileSystem, options: InputOptions, say: Say
) -> list[ListedFile]:
    path = archive.path
    with files.open(path) as file:
        if compressed.compression_of(file) is not None:
            path = compressed.plain_tar(archive, options.spool_dir, files, say)
    status = files.stat(path)
    with files.open(path) as file:
        named = _all_named(_contents(file, status.bytes, path), options, archive, say)
        members = [
            _with_archive(member, (status.bytes, status.version))
            for member in _members(named, path)
        ]
        return [*_labelled(members, file, options, archive, say), *_empty_folders(named, path)]


def _contents(file: BinaryIO, size: int, path: str) -> Contents:
    """Returns what an archive holds; its bytes say what it is, and its name if they do not."""
    file.seek(0)
    begin = file.read(4)
    if begin in _ZIP_MAGIC or path.lower().endswith(_ZIP):
        return zips.read_contents(file, size)
    return tars.read_contents(file, size)


def _all_named(
    contents: Contents, options: InputOptions, archive: InputPath, say: Say
) -> list[NamedEntry]:
    codec = _codec(contents.entries, options, archive, say)
    for note in contents.notes:
        say(f"{archive}: {note}")
    named = [_named(entry, codec) for entry in contents.entries]
    _say_of_names(contents.entries, archive, say)
    return named


def _members(named: Sequence[NamedEntry], path: str) -> list[ListedFile]:
    files = list(links.follow_links(named))
    shared = len(_shared_folder(files))
    found = [_listed(item, path, shared) for item in files]
    return _last_first(found)


def _empty_folders(named: Sequence[NamedEntry], path: str) -> Iterator[ListedFile]:
    """Yields a row for each folder in which nothing lies, as the walk of a folder does.

    Hidden ones are nobody's class.
    """
    paths = sorted({item.path for item in named if item.path})
    shared = len(_shared_folder(named))
    for item in named:
        below = bisect.bisect_left(paths, f"{item.path}/")
        holds = below < len(paths) and paths[below].startswith(f"{item.path}/")
        is_folder = item.entry.kind is EntryKind.FOLDER and item.path
        if is_folder and not holds and not is_hidden(item.path[shared:]):
            yield ListedFile(f"{item.path}/", path, UNKNOWN_SIZE, 0)


def _codec(
    entries: Sequence[Entry], options: InputOptions, archive: InputPath, say: Say
) -> NameCodec:
    own = [entry.name for entry in entries if not entry.is_utf8]
    try:
        codec = names.find_codec(own, options.name_encoding)
    except LookupError as error:
        raise UsageError(
            f"--zip_encoding={options.name_encoding} is not a known encoding, such as cp932, "
            "gbk or cp437"
        ) from error
    if codec.is_guess:
        odd = next(name for name in own if not name.isascii() and not _is_text(name))
        if codec.others:
            readings = " or ".join(f"{odd.decode(own)!r} ({own})" for own in codec.others)
            say(
                f"{archive}: its names are not UTF-8 and may be {readings}: "
                "say which with --zip_encoding; until then these files are rejected"
            )
        else:
            say(
                f"{archive}: its names are not UTF-8 and are read as {codec.name}, as in "
                f"{odd.decode(codec.name)!r}: --zip_encoding says otherwise"
            )
    return codec


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _named(entry: Entry, codec: NameCodec) -> NamedEntry:
    text = UTF8_NAMES.decode if entry.is_utf8 else codec.decode
    return NamedEntry(safe_path(text(entry.name)), entry, text(entry.target))


def _say_of_names(entries: Sequence[Entry], archive: InputPath, say: Say) -> None:
    absolute = sum(entry.name.startswith((b"/", b"\\")) for entry in entries)
    above = sum(b".." in entry.name.replace(b"\\", b"/").split(b"/") for entry in entries)
    for count, what in ((absolute, "at the root of a disk"), (above, "with .. in it")):
        if count:
            say(f"{archive}: {counted(count, 'name')} {what}, read below the archive's root")


def _shared_folder(files: Sequence[NamedEntry]) -> str:
    """Returns the folder, with a slash, that all members lie in; "" if there is none."""
    if not files:
        return ""
    # Whatever lies between the first and the last name in order begins as both do.
    first, last = min(file.path for file in files), max(file.path for file in files)
    common = os.path.commonprefix([first, last])
    return common[: common.rfind("/") + 1]


def _listed(named: NamedEntry, path: str, shared: int) -> ListedFile:
    """Returns a member's row.

    Args:
      named: the member.
      path: of the archive.
      shared: characters of the folder around all members, which hides none of them.
    """
    entry = named.entry
    name = named.path or "nameless"
    problem, detail = entry.problem, entry.detail
    if entry.kind is EntryKind.SPECIAL and problem is None:
        problem, detail = RejectReason.NOT_A_FILE, "it is a pipe or a device, not a file"
    if is_hidden(name[shared:]):
        problem, detail = RejectReason.HIDDEN, None
    member = entry.member
    size = min(entry.size, _MOST_BYTES)
    return ListedFile(name, path, size, entry.version, member, problem, detail)


def _with_archive(file: ListedFile, status: tuple[int, int]) -> ListedFile:
    if file.member is None:
        return file
    return dataclasses.replace(file, member=dataclasses.replace(file.member, archive=status))


def _last_first(members: list[ListedFile]) -> list[ListedFile]:
    """Returns members so that of equal names the last comes first; others keep their order."""
    last = {file.name: place for place, file in enumerate(members)}
    if len(last) == len(members):
        return members
    places: dict[str, list[int]] = {}
    for place, file in enumerate(members):
        places.setdefault(file.name, []).append(place)
    result = list(members)
    for own in places.values():
        for place, other in zip(own, reversed(own), strict=True):
            result[place] = members[other]
    return result


def _labelled(
    members: list[ListedFile], file: BinaryIO, options: InputOptions, archive: InputPath, say: Say
) -> list[ListedFile]:
    """Returns members with the classes that a WebDataset gives them."""

    def read(member: ListedFile) -> bytes:
        if member.member is None:
            raise OSError("it has no data")
        return read_member(file, member.member, member.bytes)

    key = options.table.label_column[0] if options.table.label_column else ""
    found = webdataset.label_samples(members, read, key)
    if found is None:
        return members
    files, note = found
    say(f"{archive}: {note}")
    return files


def inside_table(members: Sequence[ListedFile], name: str) -> ListedFile | None:
    """Returns the member that has the name of a table, or ends with it, if there is one such."""
    wanted = safe_path(name)
    exact = [file for file in members if file.name == wanted]
    found = exact or [file for file in members if file.name.endswith(f"/{wanted}")]
    return found[0] if len(found) == 1 and found[0].problem is None else None


def read_table(file: ListedFile, files: FileSystem) -> bytes:
    """Returns the bytes of a table in an archive.

    Raises:
      OSError: it cannot be read.
    """
    if file.member is None:
        raise OSError("it has no data in its archive")
    if file.bytes > _MOST_TABLE_BYTES:
        raise OSError(f"its archive says that it has {file.bytes:,} bytes, more than a table has")
    with files.open(file.path) as archive:
        return read_member(archive, file.member, file.bytes)
