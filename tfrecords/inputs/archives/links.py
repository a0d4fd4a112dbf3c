"""Links inside an archive, followed to the members that they stand for."""

from __future__ import annotations

import bisect
import dataclasses
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives.entries import Entry, EntryKind
from tfrecords.inputs.paths import safe_path

# As many links in a row as Linux follows.
_MOST_LINKS = 40

# Rows that links to folders may add: a small archive could otherwise name billions of files.
_MOST_LINKED = 1_000_000


@dataclass(frozen=True, slots=True)
class NamedEntry:
    """An entry of an archive with its names as text.

    Attributes:
      path: below the root.
      entry: of the archive.
      target: what a link names, as it is written; "" of others.
    """

    path: str
    entry: Entry
    target: str = ""


def follow_links(entries: Sequence[NamedEntry]) -> Iterator[NamedEntry]:
    """Yields one entry for each file of an archive, links replaced by what they stand for.

    Folders are left out. A link to a folder gives each file below it; a link to nothing is an
    entry with a problem.
    """
    kinds = {named.entry.kind for named in entries}
    if not kinds & {EntryKind.HARD_LINK, EntryKind.SYMBOLIC_LINK}:
        yield from (named for named in entries if named.entry.kind is not EntryKind.FOLDER)
        return
    tree = _Tree.of(entries)
    linked = 0
    for place, named in enumerate(entries):
        kind = named.entry.kind
        if kind is EntryKind.HARD_LINK:
            yield tree.hard_link(named, place)
        elif kind is EntryKind.SYMBOLIC_LINK:
            for found in tree.symbolic_link(named):
                linked += 1
                if linked > _MOST_LINKED:
                    yield _broken(named, "its links to folders name more files than a set can have")
                    break
                yield found
        elif kind is not EntryKind.FOLDER:
            yield named


@dataclass(frozen=True, slots=True)
class _Tree:
    """The members of an archive by path.

    Attributes:
      places: path → the places of its files in the archive's order.
      entries: in the archive's order.
      files: sorted paths of what is neither folder nor symbolic link.
      links: path → target, of symbolic links.
    """

    places: Mapping[str, list[int]]
    entries: Sequence[NamedEntry]
    files: Sequence[str]
    links: Mapping[str, str]

    @classmethod
    def of(cls, entries: Sequence[NamedEntry]) -> _Tree:
        places: dict[str, list[int]] = {}
        links: dict[str, str] = {}
        for place, named in enumerate(entries):
            if named.entry.kind is EntryKind.SYMBOLIC_LINK:
                links[named.path] = named.target
            elif named.entry.kind is not EntryKind.FOLDER:
                places.setdefault(named.path, []).append(place)
        return cls(places, entries, sorted(places), links)

    def hard_link(self, named: NamedEntry, place: int) -> NamedEntry:
        """Returns what a hard link stands for: the last member of that name before it."""
        here = place
        for _ in range(_MOST_LINKS):
            places = self.places.get(safe_path(self.entries[here].target), [])
            earlier = bisect.bisect_left(places, here)
            if not earlier:
                break
            here = places[earlier - 1]
            if self.entries[here].entry.kind is not EntryKind.HARD_LINK:
                return NamedEntry(named.path, self.entries[here].entry)
        # GNU tar links to symbolic links as well.
        if safe_path(named.target) in self.links:
            found = list(self._below(named, self._resolved(safe_path(named.target))))
            if len(found) == 1:
                return found[0]
        return _broken(named, f"it is a hard link to {named.target!r}, which is not in its tar")

    def symbolic_link(self, named: NamedEntry) -> Iterator[NamedEntry]:
        """Yields the file, or the files of the folder, that a symbolic link stands for."""
        return self._below(named, self._resolved(named.path))

    def _below(self, named: NamedEntry, path: str | None) -> Iterator[NamedEntry]:
        if path is not None and path in self.places:
            yield self._as_file(path, named.path)
            return
        prefix = None if path is None else f"{path}/" if path else ""
        if prefix is not None and f"{named.path}/".startswith(prefix):
            yield _broken(named, "it is a link to a folder that contains it")
            return
        begin = place = len(self.files) if prefix is None else self._first(prefix)
        while place < len(self.files) and self.files[place].startswith(prefix or ""):
            name = self.files[place]
            yield self._as_file(name, f"{named.path}/{name[len(prefix or '') :]}")
            place += 1
        if place == begin:
            yield _broken(named, f"it is a link to {named.target!r}, which is not in its archive")

    def _first(self, prefix: str) -> int:
        return bisect.bisect_left(self.files, prefix)

    def _as_file(self, path: str, name: str) -> NamedEntry:
        """Returns the last member at `path`, under another name."""
        place = self.places[path][-1]
        found = self.entries[place]
        if found.entry.kind is EntryKind.HARD_LINK:
            found = self.hard_link(found, place)
        return dataclasses.replace(found, path=name)

    def _resolved(self, path: str) -> str | None:
        """Returns a path with all links in it followed; None where that ends outside or nowhere."""
        for _ in range(_MOST_LINKS):
            parts = path.split("/")
            for count in range(1, len(parts) + 1):
                link = "/".join(parts[:count])
                if link in self.links:
                    break
            else:
                return path
            target, rest = self.links[link].replace("\\", "/"), parts[count:]
            if target.startswith("/"):
                # As if the archive were all there is: its members may have absolute names.
                path = safe_path("/".join([target, *rest]))
                continue
            joined = posixpath.normpath(posixpath.join(posixpath.dirname(link), target, *rest))
            if joined == ".." or joined.startswith("../"):
                return None
            path = "" if joined == "." else joined
        return None


def _broken(named: NamedEntry, detail: str) -> NamedEntry:
    entry = dataclasses.replace(
        named.entry, kind=EntryKind.FILE, problem=RejectReason.UNREADABLE, detail=detail
    )
    return NamedEntry(named.path, entry)
