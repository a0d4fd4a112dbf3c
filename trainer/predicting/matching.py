"""The picture of each id of a sample submission: found without doubt, or said."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.picture_names import without_suffix
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, ListedFile, SourceFile
from tfrecords.inputs.say import Say, counted
from tfrecords.inputs.tables.paths import AmbiguousPathError, Finder
from trainer.predicting.together import some

_NAMED = 3


@dataclass(frozen=True, eq=False)
class Matched:
    """What a sample asks for.

    Attributes:
      sources: each picture once, in the order of the sample, called by its id; one that is not
        there has the problem `missing`.
      rows: for each row of the sample, its place in `sources`.
      missing: how many ids have no picture.
    """

    sources: tuple[SourceFile, ...]
    rows: tuple[int, ...]
    missing: int

    @property
    def missing_fraction(self) -> float:
        """Share of the ids that have no picture."""
        return self.missing / len(self.sources)


class Pictures:
    """Finds the picture that an id stands for.

    An id is a picture's path below the input; or the end of one path, with or without its suffix;
    or, where the id has more folders than the path, such an end of the id at the input's root.

    Args:
      pictures: of the input.
      source: names the input.
    """

    def __init__(self, pictures: Sequence[SourceFile], source: InputPath) -> None:
        self._by_key = {picture.key: picture for picture in pictures}
        self._by_stem: dict[str, list[str]] = {}
        for key in self._by_key:
            self._by_stem.setdefault(without_suffix(key), []).append(key)
        self._finder = Finder(_Listed(str(source), self._by_key))

    def find(self, id_: str) -> SourceFile | None:
        """Returns the picture, or None if there is none.

        Raises:
          AmbiguousPathError: the id stands for several.
        """
        found = self._finder.find(id_)
        key = found.file.name if found else self._by_end(posixpath.normpath(id_.replace("\\", "/")))
        return None if key is None else self._by_key[key]

    def finds(self, id_: str) -> bool:
        """Returns whether there is a picture for an id, or several."""
        try:
            return self.find(id_) is not None
        except AmbiguousPathError:
            return True

    def _by_end(self, path: str) -> str | None:
        """Returns the picture at the root that the longest possible end of a path names."""
        parts = path.lstrip("/").split("/")
        for begin in range(len(parts)):
            end = "/".join(parts[begin:])
            stem = without_suffix(end)
            # Of other suffixes than the id's, none is meant: cat.png is not cat.jpg.
            same = [end] if end in self._by_key else []
            same += self._by_stem.get(end, []) if end == stem else []
            same += [stem] if end != stem and stem in self._by_key else []
            same = list(dict.fromkeys(same))
            if len(same) > 1:
                raise AmbiguousPathError(path, list(map(_file, same)))
            if same:
                return same[0]
        return None


@dataclass(frozen=True, slots=True)
class _Listed:
    """The pictures of an input, as the place that ids are looked for in."""

    name: str
    pictures: Mapping[str, SourceFile]

    def find(self, path: str) -> ListedFile | None:
        return _file(path) if path in self.pictures else None

    def files(self) -> Iterator[ListedFile]:
        return map(_file, self.pictures)

    def where(self, path: str) -> str:
        return f"{self.name}/{path}"

    def directly_in(self, folders: Collection[str]) -> Iterator[str]:
        return (key for key in self.pictures if posixpath.dirname(key) in folders)


def _file(key: str) -> ListedFile:
    return ListedFile(key, key, UNKNOWN_SIZE, 0)


def match(
    ids: Sequence[str], pictures: Sequence[SourceFile], like: InputPath, source: InputPath, say: Say
) -> Matched:
    """Returns the picture of each id.

    Args:
      ids: of the sample's rows, in order.
      pictures: of the input.
      like: names the sample.
      source: names the input.
      say: told which ids and which pictures are left without the other.

    Raises:
      UsageError: no id has a picture, one has several, or two have the same.
    """
    finder = Pictures(pictures, source)
    place: dict[str, int] = {}
    sources: list[SourceFile] = []
    taken: dict[str, str] = {}
    missing: list[str] = []
    for id_ in dict.fromkeys(ids):
        found = _found(finder, id_, like, source)
        place[id_] = len(sources)
        if found is None:
            missing.append(id_)
            sources.append(_absent(id_, source))
            continue
        if found.key in taken:
            raise UsageError(
                f"{like}: the ids {taken[found.key]!r} and {id_!r} both are the picture "
                f"{found.key!r} of {source}: give the folder that the ids start from"
            )
        taken[found.key] = id_
        sources.append(replace(found, key=id_))
    spare = [picture.key for picture in pictures if picture.key not in taken]
    if len(missing) == len(sources):
        raise UsageError(
            f"{like}: none of its {counted(len(sources), 'id')} has a picture in {source}: the "
            f"first id is {missing[0]!r}, the first picture {pictures[0].key!r}"
        )
    for note in _notes(ids, missing, spare, taken):
        say(f"{like}: {note}")
    return Matched(tuple(sources), tuple(place[id_] for id_ in ids), len(missing))


def _found(finder: Pictures, id_: str, like: InputPath, source: InputPath) -> SourceFile | None:
    try:
        return finder.find(id_)
    except AmbiguousPathError as error:
        raise UsageError(
            f"{like}: the id {error} of {source}: give the folder that is meant as --input, or "
            "name it with --include"
        ) from error


def _absent(id_: str, source: InputPath) -> SourceFile:
    return SourceFile(
        id_, id_, None, UNKNOWN_SIZE, 0, problem=RejectReason.MISSING,
        detail=f"{source} has no picture for this id",
    )  # fmt: skip


def _notes(
    ids: Sequence[str], missing: Sequence[str], spare: Sequence[str], taken: Mapping[str, str]
) -> Iterator[str]:
    if missing:
        yield (
            f"{len(missing):,} of {counted(len(set(ids)), 'id')} without a picture, answered with "
            f"the fallback: {some(missing)}"
        )
    if spare:
        yield f"{counted(len(spare), 'picture')} without an id, not predicted: {some(spare)}"
    repeated = [id_ for id_, count in Counter(ids).items() if count > 1]
    if repeated:
        yield f"{counted(len(repeated), 'id')} in several rows, answered alike: {some(repeated)}"
    # An id that names its picture's folder means it; any other was looked for.
    looked_for = (key for key, id_ in taken.items() if key != id_ or "/" not in id_)
    folders = Counter(posixpath.dirname(key) or "." for key in looked_for)
    if len(folders) > 1:
        told = ", ".join(f"{name} ({count:,})" for name, count in folders.most_common(_NAMED))
        yield f"its ids are pictures of {len(folders):,} folders: {told}"
