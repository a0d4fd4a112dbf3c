"""The members of a zip or a tar, with the place where each is read without its directory."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.rows import ArchiveMember, InputPath, ListedFile

_ZIP, _TAR = ".zip", ".tar"
_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_ZIP_METHODS = {
    zipfile.ZIP_STORED: "store",
    zipfile.ZIP_DEFLATED: "deflate",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_ENCRYPTED = 1


def is_archive(path: str) -> bool:
    """Returns whether a path has the name of an archive, of one that cannot be read too."""
    return path.lower().endswith((_ZIP, _TAR, *_COMPRESSED_TAR))


def list_members(source: InputPath, files: FileSystem) -> Iterator[ListedFile]:
    """Yields the files of an archive, in its order; those that cannot be read have a problem.

    Raises:
      UsageError: it is not an archive that can be read.
    """
    lower = source.path.lower()
    if lower.endswith(_ZIP):
        return _zip_members(source, files)
    if lower.endswith(_COMPRESSED_TAR):
        raise UsageError(
            f"{source}: a compressed tar cannot be read from the middle; "
            "decompress it first (`gunzip`, `bunzip2` or `unxz`) and give the .tar"
        )
    return _tar_members(source, files)


def _zip_members(source: InputPath, files: FileSystem) -> Iterator[ListedFile]:
    try:
        with files.open(source.path) as file, zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{source} is not a readable zip: {error}") from error
    for info in members:
        method = _ZIP_METHODS.get(info.compress_type)
        detail = None
        if info.flag_bits & _ENCRYPTED:
            detail = "it is encrypted: unpack the zip with its password, and give the folder"
        elif method is None:
            detail = (
                f"its zip compresses it by method {info.compress_type}, which is not read: "
                "unpack the zip, and give the folder"
            )
        member = ArchiveMember(info.header_offset, info.compress_size, method or "", info.CRC)
        yield _listed(info.filename, source.path, info.file_size, info.CRC, member, detail)


def _tar_members(source: InputPath, files: FileSystem) -> Iterator[ListedFile]:
    try:
        with files.open(source.path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                if info.isfile():
                    name = info.name.removeprefix("./")
                    member = ArchiveMember(info.offset_data, info.size, "tar")
                    version = int(info.mtime * 1e9)
                    yield _listed(name, source.path, info.size, version, member)
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{source} is not a readable tar: {error}") from error


def _listed(
    name: str,
    path: str,
    size: int,
    version: int,
    member: ArchiveMember,
    detail: str | None = None,
) -> ListedFile:
    """Returns a member's row; `detail` says why it cannot be read."""
    if is_hidden(name):
        return ListedFile(name, path, size, version, member, RejectReason.HIDDEN)
    problem = RejectReason.UNREADABLE if detail else None
    return ListedFile(name, path, size, version, member, problem, detail)
