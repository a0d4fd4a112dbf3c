"""Folders that would be classes by their place, and that their names say are none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from tfrecords.errors import UsageError
from tfrecords.inputs.folders.names import (
    are_parts,
    are_pictures_and_masks,
    are_views,
    in_two_splits,
    is_drawn,
    is_drawn_split,
    split_in,
)
from tfrecords.inputs.folders.tree import Folder, Located
from tfrecords.inputs.picture_names import without_suffix
from tfrecords.inputs.rules import FOLDERS, NO_FOLDERS
from tfrecords.inputs.say import counted, some, typed_globs
from tfrecords.inputs.split_words import split_of

# Folders of installed software, which has pictures of its own: icons, test data, documentation.
# `__pycache__`, `.venv` and what else begins with a dot is never entered.
_SOFTWARE = frozenset(
    "venv virtualenv node_modules bower_components site-packages dist-packages".split()
)
_THUMBNAILS = frozenset("thumb thumbs thumbnail thumbnails preview previews".split())


def refuse_software(root: Folder, source: str) -> None:
    """Stops at folders of installed software, whose pictures are none of the data.

    Args:
      root: of all files that may be pictures.
      source: of the files, for messages.

    Raises:
      UsageError: there are some.
    """
    if found := _software(root):
        raise UsageError(
            f"{source}: {_of_software(found)}; or say which folder of a path is the class with "
            "--class_level=N, 1 for the top one, if they are of the classes"
        )


def software_note(root: Folder) -> Iterator[str]:
    """Yields a line for folders of installed software, where they are read all the same."""
    if found := _software(root):
        yield _of_software(found)


def thumbnails_note(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for a class that is called like thumbnails of the pictures of the others."""
    found = sorted(name for name in classes if name.casefold() in _THUMBNAILS)
    if found and len(classes) > len(found):
        yield (
            f"{some(f'{name}/' for name in found)} is called like small forms of other pictures, "
            f"and is read as a class; {typed_globs('exclude', *found)} leaves it out"
        )


def refuse_masks(
    classes: Collection[str], level: int, source: str, tables: Callable[[], str]
) -> None:
    """Stops at images/ and masks/, which are no classes.

    Args:
      classes: names of the class folders.
      level: of them, from 1.
      source: of the files, for messages.
      tables: tells what to give where pictures lie in no class folders.

    Raises:
      UsageError: the classes are pictures and what is drawn from them.
    """
    if are_pictures_and_masks(classes):
        raise UsageError(
            f"{source}: the classes would be {_listed(classes)}, which look like pictures "
            f"and what is drawn from them; give {tables()}, or --class_level={level} if they are "
            "the classes"
        )


def refuse_parts(
    classes: Collection[str], level: int, source: str, tables: Callable[[], str]
) -> None:
    """Stops at part_1 and part_2, into which one set of pictures was divided.

    Args:
      classes, level, source, tables: as of `refuse_masks`.

    Raises:
      UsageError: the classes are parts of one set.
    """
    if are_parts(classes):
        raise UsageError(
            f"{source}: the classes would be {_listed(classes)}, which look like parts of one set; "
            f"give {tables()}, or --class_level={level} if they are the classes"
        )


def refuse_splits(classes: Collection[str], source: str) -> None:
    """Stops at classes of which several look like splits, or like one class in two splits.

    Raises:
      UsageError: they do.
    """
    if len(set(map(split_of, classes)) - {None}) > 1:
        raise UsageError(
            f"{source}: the classes would be {_listed(classes)}, of which some look like "
            "splits; say which folder of a path is the class with --class_level=N, 1 for the top "
            f"one, or give --splits_from={NO_FOLDERS} if they are classes"
        )
    if alike := in_two_splits(classes):
        raise UsageError(
            f"{source}: the classes would be {_listed(classes)}, of which {some(alike)} "
            "look like one class in several splits; move the pictures to SPLIT/CLASS folders, give "
            f"a table with --input_csv, or --splits_from={NO_FOLDERS} if they are classes"
        )


def refuse_drawn(tops: Sequence[tuple[str, str]], path: str, source: str) -> None:
    """Stops at Annotation/ and segmentations/ that hold the same folders as the pictures' own.

    Args:
      tops: name of each folder that holds class folders, and the path of those.
      path: of the folder that the tops lie in.
      source: of the files, for messages.

    Raises:
      UsageError: there are some, beside others.
    """
    drawn = [name for name, root in tops if is_drawn(name) or is_drawn(root.split("/")[-2])]
    if 0 < len(drawn) < len(tops):
        others = some(f"{name}/" for name, _ in tops if name not in drawn)
        globs = typed_globs("exclude", *(f"/{path}{name}" for name in drawn))
        contain, it = ("contains", "it") if len(drawn) == 1 else ("contain", "them")
        raise UsageError(
            f"{source}: {some(f'{name}/' for name in drawn)} {contain} the same folders as "
            f"{others}, under a name for annotations or masks, which are not pictures: leave {it} "
            f"out with {globs}"
        )


def refuse_drawn_splits(splits: Mapping[str, str], path: str, source: str) -> None:
    """Stops at train_masks/ and test_labels/ beside train/ and test/ of the same classes.

    Args:
      splits: folder → the split that its name stands for.
      path: of the folder that they lie in.
      source: of the files, for messages.

    Raises:
      UsageError: there are some, beside the pictures of their split.
    """
    pictures = {split for name, split in splits.items() if not is_drawn_split(name)}
    drawn = sorted(n for n, split in splits.items() if is_drawn_split(n) and split in pictures)
    if drawn:
        be, they, them = ("is", "it", "it") if len(drawn) == 1 else ("are", "they", "them")
        globs = typed_globs("exclude", *(f"/{path}{name}" for name in drawn))
        raise UsageError(
            f"{source}: {some(f'{name}/' for name in drawn)} {be} called like annotations or masks "
            f"of the pictures of a split, and would be read as pictures: leave {them} out with "
            f"{globs}, or give --splits_from={FOLDERS} if {they} {be} pictures"
        )


def refuse_drawn_beside(names: Iterable[str], source: str) -> None:
    """Stops at annotations/trimaps/cat_1.png beside images/cat_1.jpg.

    Args:
      names: of all files that may be pictures, POSIX paths.
      source: of the files, for messages.

    Raises:
      UsageError: folders with a name for masks hold files with the names of the others.
    """
    pictures: set[str] = set()
    drawn: dict[str, set[str]] = {}
    for name in names:
        *folders, own = without_suffix(name).split("/")
        depth = next((n for n, folder in enumerate(folders, start=1) if is_drawn(folder)), 0)
        (drawn.setdefault("/".join(folders[:depth]), set()) if depth else pictures).add(own)
    found = [path for path, own in sorted(drawn.items()) if 2 * len(own & pictures) > len(own)]
    if found:
        contain, it = ("contains", "it") if len(found) == 1 else ("contain", "them")
        raise UsageError(
            f"{source}: {some(f'{path}/' for path in found)} {contain} files with the names of "
            "the other pictures, under a name for annotations or masks, which are not pictures: "
            f"leave {it} out with {typed_globs('exclude', *(f'/{path}' for path in found))}"
        )


def one_of(roots: Sequence[str]) -> str:
    """Returns how to read one of several folders that hold the same pictures in other forms."""
    return typed_globs("include", f"/{roots[0].rstrip('/')}")


def level_notes(names: Iterable[str], level: int) -> Iterator[str]:
    """Yields what is odd about classes that are the folders of a level.

    Args:
      names: of files, POSIX paths.
      level: of the class folders, 1 for the top one.
    """
    parents: dict[str, set[str]] = {}
    below: dict[str, set[str]] = {}
    for folder in {name.rpartition("/")[0] for name in names}:
        parts = folder.split("/")
        if folder and len(parts) >= level:
            above = [part for part in parts[: level - 1] if split_in(part) is None]
            parents.setdefault(parts[level - 1], set()).add("/".join(above))
            below.setdefault(parts[level - 1], set()).add("/".join(parts[level : level + 1]))
    if several := _of_several(parents):
        name, own = several[0]
        yield (
            f"folders with the same name in several folders become one class, as {name} in "
            f"{some(own)}{_and_others(several)}"
        )
    if several := _of_several(below):
        name, own = several[0]
        yield (f"folders in a class are part of it, as {some(own)} of {name}{_and_others(several)}")


def _and_others(several: Sequence[object]) -> str:
    """Returns how many other classes than the first are meant, too."""
    others = len(several) - 1
    if not others:
        return ""
    return f"; {others:,} {'class' if others == 1 else 'classes'} more likewise"


def _of_several(folders: Mapping[str, Collection[str]]) -> list[tuple[str, list[str]]]:
    """Returns the classes of several folders, and those."""
    named = {name: [f"{own}/" for own in sorted(found) if own] for name, found in folders.items()}
    return sorted((name, own) for name, own in named.items() if len(own) > 1)


def hollow_note(classes: Sequence[Located], level: int) -> Iterator[str]:
    """Yields a line for class folders in splits that hold folders, which may be the classes.

    Args:
      classes: name and folder of each, of all splits.
      level: of the folders in them, from 1.
    """
    inner = {name for _, folder in classes for name in folder.folders}
    if not all(folder.holds_folders for _, folder in classes) or are_views(inner, ()):
        return
    if any(len(folder.folders) > 1 for _, folder in classes):
        yield (
            f"the classes {some(sorted({name for name, _ in classes}))} hold no pictures but "
            f"folders: give --class_level={level} if those are the classes"
        )


def _software(root: Folder) -> list[Located]:
    """Returns the folders of installed software, those in such a one left out, by their paths."""
    found: list[Located] = []
    ahead = [("", root)]
    while ahead:
        path, folder = ahead.pop()
        for name, below in folder.folders.items():
            (found if name.casefold() in _SOFTWARE else ahead).append((f"{path}{name}/", below))
    return sorted(found, key=lambda located: located[0])


def _of_software(found: Sequence[Located]) -> str:
    total = sum(folder.total for _, folder in found)
    look, them = ("looks like one", "it") if total == 1 else ("look like those", "them")
    names = sorted({path.split("/")[-2] for path, _ in found})
    return (
        f"{counted(total, 'file')} under {some(path for path, _ in found)} {look} of installed "
        f"software: {typed_globs('exclude', *names)} leaves {them} out"
    )


def _listed(classes: Iterable[str]) -> str:
    return some(sorted(classes))
