"""A Beam FileSystem under the scheme fake://, kept in a local folder: an object store's manner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem


class FakeBucket(LocalFileSystem):
    """Maps fake://bucket/key to `root`/bucket/key; has no directories, like an object store."""

    root: ClassVar[str] = ""

    @classmethod
    def scheme(cls) -> str:
        return "fake"

    def mkdirs(self, path: str) -> None:
        os.makedirs(self._local(path), exist_ok=True)

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        local = self._local(dir_or_prefix)
        for folder, _, names in os.walk(os.path.dirname(local)):
            for name in names:
                path = os.path.join(folder, name)
                if path.startswith(local):
                    yield FileMetadata(self._remote(path), os.path.getsize(path))

    def create(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> BinaryIO:
        os.makedirs(os.path.dirname(self._local(path)), exist_ok=True)
        return super().create(self._local(path), mime_type, compression_type)

    def open(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> BinaryIO:
        return super().open(self._local(path), mime_type, compression_type)

    def exists(self, path: str) -> bool:
        return os.path.isfile(self._local(path))

    def size(self, path: str) -> int:
        return super().size(self._local(path))

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path))

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            if self.exists(target):
                raise BeamIOError("the target exists")
            os.makedirs(os.path.dirname(self._local(target)), exist_ok=True)
            os.rename(self._local(source), self._local(target))

    def delete(self, paths: list[str]) -> None:
        super().delete([self._local(path) for path in paths])

    def join(self, basepath: str, *paths: Any) -> str:
        return "/".join((basepath.rstrip("/"), *paths))

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def _local(self, path: str) -> str:
        return os.path.join(self.root, path.removeprefix("fake://"))

    def _remote(self, local: str) -> str:
        return "fake://" + os.path.relpath(local, self.root)
