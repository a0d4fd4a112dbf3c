"""Masks, annotations and thumbnails among the pictures of a class, as pictures of their own.

A bake reads every picture in a class folder; a mask of one is no picture of the class. Names show
them: `0001_mask.png` beside `0001.png`, or `Trout GT/` beside `Trout/` in the class folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tfrecords.inputs.picture_names import is_picture_name, without_suffix
from tfrecords.inputs.rows import SourceFile

# What is made of a picture and lies beside it; spaces stand for any separator.
_WORDS = tuple(
    "mask masks seg segs segm segmentation segmentations segmented gt groundtruth label labels "
    "annotation annotations annotated bbox bboxes contour contours outline trimap trimaps overlay "
    "overlays heatmap heatmaps saliency depth edge edges thumb thumbs thumbnail thumbnails "
    "preview previews".split()
)
_WORD = rf"(?:{'|'.join(sorted(_WORDS, reverse=True))}|ground[ _-]truth)"
_AFTER = re.compile(rf"(?i)(.+?)([ ._-]+{_WORD})(?:[ ._-]?\d+)?\Z")
_BEFORE = re.compile(rf"(?i)({_WORD}[ ._-]+)(.+)\Z")
_FOLDER = re.compile(rf"(?i)(.*[ ._-])?({_WORD})\Z")

# Folder → stem of the pictures in it → their keys.
_Tree = Mapping[str, Mapping[str, Sequence[str]]]


def notes(rows: Iterable[SourceFile]) -> Iterator[str]:
    """Yields what a person should know of files that look like masks of the pictures beside them.

    Args:
      rows: of the files of a folder or an archive, with their classes.
    """
    pictures = [row for row in rows if row.problem is None and row.class_name is not None]
    called = [row for row in pictures if _may_be_called_so(row.key)]
    # The class itself may be called Mask.
    places = {(row.key.rpartition("/")[0], row.class_name) for row in pictures}
    folders = {
        folder
        for folder, class_name in places
        if (name := folder.rpartition("/")[2]) != class_name and _FOLDER.match(name)
    }
    if not called and not folders:
        return
    tree: dict[str, dict[str, list[str]]] = {}
    for key in (row.key for row in pictures if is_picture_name(row.key)):
        folder, _, own = key.rpartition("/")
        tree.setdefault(folder, {}).setdefault(without_suffix(own), []).append(key)
    found = dict(_by_folder(folders, tree))
    found |= dict(_by_name((row.key for row in called if row.key not in found), tree))
    if not found:
        return
    globs = Counter(found.values()).most_common(2)
    one = len(found) == 1
    yield (
        f"{len(found):,} of the pictures {'looks' if one else 'look'} like "
        f"{'a mask or a thumbnail' if one else 'masks or thumbnails'} of others beside them, such "
        f"as {min(found)!r}, and {'is' if one else 'are'} read like any other; "
        f"--exclude={','.join(f'{glob!r}' for glob, _ in globs)} leaves them out"
    )


def _may_be_called_so(key: str) -> bool:
    """Returns whether a file's name may begin or end with one of the words; quick for most."""
    own = key.rpartition("/")[2].rpartition(".")[0].lower()
    return own.startswith((*_WORDS, "ground")) or own.rstrip("0123456789 ._-").endswith(
        (*_WORDS, "truth")
    )


def _by_name(keys: Iterable[str], tree: _Tree) -> Iterator[tuple[str, str]]:
    """Yields (key, glob) of each file that is called as another of its folder and a word."""
    for key in keys:
        folder, _, name = key.rpartition("/")
        own, stems = without_suffix(name), tree.get(folder, {})
        after, before = _AFTER.match(own), _BEFORE.match(own)
        if after and after[1] in stems:
            yield key, f"*{after[2]}*.*"
        elif before and before[2] in stems:
            yield key, f"{before[1]}*"


def _by_folder(folders: Iterable[str], tree: _Tree) -> Iterator[tuple[str, str]]:
    """Yields (key, glob) of the files of folders whose pictures lie beside under the same names."""
    for folder in sorted(folders):
        parent, _, name = folder.rpartition("/")
        match = _FOLDER.match(name)
        beside = [
            stems
            for other, stems in tree.items()
            if other != folder and (other == parent or other.rpartition("/")[0] == parent)
        ]
        for own, keys in tree.get(folder, {}).items():
            after = _AFTER.match(own)
            plain = {own, after[1]} if after else {own}
            if match and any(not plain.isdisjoint(stems) for stems in beside):
                yield from (
                    (key, f"*{name[match.end(1) - 1 :]}" if match[1] else name) for key in keys
                )
