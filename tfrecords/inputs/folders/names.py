"""What the name of a folder says: a split, pictures without a class, one of many views."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from tfrecords.inputs.split_words import split_of
from tfrecords.schema import TRAIN

# Words that stand for a split at the end or at the beginning of a longer name. Fewer than those
# that are a whole name: "val_kilmer" is not a validation split.
_INNER_WORDS = frozenset("train training trainset test testing testset validation valset".split())

_SPLIT_PARTS = _INNER_WORDS | {"val", "valid"}

_UNLABELLED_WORDS = frozenset(
    "unlabelled unlabeled unlab nolabel pred predict prediction predictions submission".split()
)

# Names that folders below many classes have, and that no class has.
_VIEWS = frozenset(
    "image images img imgs mask masks photo photos picture pictures jpg jpeg png raw original "
    "originals augmented cropped crops front back left right top bottom side day night indoor "
    "outdoor color colour gray grey rgb depth label labels annotation annotations".split()
)

# Folders of pictures, and of what is drawn from pictures, side by side; no classes.
_PICTURES = "images?|imgs?|photos?|pictures?|pics?|jpe?gs?|pngs?|originals?|raw|rgb|inputs?"
_DRAWN = (
    "masks?|labels?|annotations?|annots?|segs?|segmentations?|gt|ground[\\W_]?truths?|trimaps?|"
    "depths?|bbox(?:es)?|objects?|class|instances?|semantic|targets?|contours?|overlays?"
)
_DRAWN_FROM = re.compile(
    r"(?i)(?:masks?|labels?|annotations?|annots?|segs?|segmentations?|gt|"
    r"ground[\W_]?truths?|trimaps?|depths?|bbox(?:es)?|contours?|overlays?|heatmaps?)[\W_\d]*\Z"
)
_PICTURES_OR_DRAWN = re.compile(rf"(?:(?:{_PICTURES}|{_DRAWN})[\W_\d]*)+\Z")
_DRAWN_WORD = re.compile(rf"(?:{_DRAWN})(?:\Z|[\W_\d]|(?={_DRAWN}))")

# Folders of these words and a number are parts of one set, and no classes.
_PART = re.compile(
    r"(?i)(.*?)(?<![a-z])(parts?|images?|imgs?|photos?|pictures?|pics?|batch(?:es)?|shards?|chunks?|"
    r"folds?|folders?|dirs?|dis[ck]s?|archives?|subsets?|splits?)[\W_]*(?:no)?[\W_]*\d+\Z"
)
_HEX = re.compile(r"(?i)[0-9a-f]{1,3}\Z")
# So many two-digit hexadecimal names are no chance.
_BUCKETS = 16
# Letters and digits by their number in ASCII, as classes of NIST SD19 are called. Parts are counted
# from 0 or 1, and 16 buckets by a hash all have such names by a chance of 1 in 7 billion.
_CHARACTER = re.compile(r"(?i)(?:3[0-9]|[46][1-9a-f]|[57][0-9a])\Z")

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

_NUMBERED = re.compile(r"(\D*)\d[\d\W_]*\Z")
_WORD = re.compile(r"[a-z]+")


def split_in(name: str) -> str | None:
    """Returns the split that a folder's name stands for, by the whole name or a word at its end."""
    if whole := split_of(name):
        return whole
    words = _words(name)
    return next((split_of(word) for word in words[-1:] + words[:1] if word in _INNER_WORDS), None)


def has_no_class(name: str) -> bool:
    """Returns whether a folder that holds only pictures is called as if they had no class."""
    words = _words(name)
    if set(words[-1:] + words[:1]) & _UNLABELLED_WORDS:
        return True
    # The last word says what a thing is: a "pregnancy_test" may be one, a "test_tube" is not.
    meant = split_of(name) or (words and words[-1] in _INNER_WORDS and split_of(words[-1])) or TRAIN
    return meant != TRAIN


def are_views(names: Iterable[str], tops: Iterable[str]) -> bool:
    """Returns whether folders are sessions or views of something, and not classes.

    Args:
      names: of folders that stand below several others.
      tops: names of those others.
    """
    folded = [fold(name) for name in names]
    if all(name in _VIEWS for name in folded):
        return True
    return _stem(folded) is not None and not _stem([fold(top) for top in tops])


def are_pictures_and_masks(names: Collection[str]) -> bool:
    """Returns whether folders are pictures and what is drawn from them: images/ and masks/."""
    words = [name.casefold() for name in names]
    drawn = [word for word in words if _DRAWN_WORD.search(word)]
    return 0 < len(drawn) < len(words) and all(map(_PICTURES_OR_DRAWN.match, words))


def is_drawn(name: str) -> bool:
    """Returns whether a folder is called as what is drawn from pictures: masks, Annotation."""
    return _DRAWN_FROM.match(name) is not None


def is_drawn_split(name: str) -> bool:
    """Returns whether a folder is called as what is drawn from a split's pictures: train_masks."""
    rest = [word for word in _TOKEN.findall(name) if split_of(word) is None]
    return bool(rest) and split_in(name) is not None and is_drawn("_".join(rest))


def are_parts(names: Collection[str]) -> bool:
    """Returns whether folders are parts of one set: images_001 and images_002, or 0a, 0b … ff."""
    if len(names) < 2:
        return False
    matches = [_PART.match(name) for name in names]
    stems = {(match[1].lower(), match[2].lower()) if match else None for match in matches}
    if len(stems) == 1 and None not in stems:
        return True
    return (
        len(names) >= _BUCKETS
        and all(map(_HEX.match, names))
        and len({len(name) for name in names}) == 1
        and any(map(str.isdigit, names))
        and not all(map(str.isdigit, names))
        and not all(map(_CHARACTER.match, names))
    )


def in_two_splits(names: Iterable[str]) -> list[str]:
    """Returns names that are one class in several splits, as train_cats and test_cats; or []."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name in sorted(names):
        words = [word.lower() for word in _TOKEN.findall(name)]
        for word, rest in ((words[:1], words[1:]), (words[-1:], words[:-1])):
            split = split_of(word[0]) if rest and word[0] in _SPLIT_PARTS else None
            if split is not None:
                found.setdefault(tuple(rest), {}).setdefault(split, name)
    return next((list(same.values()) for same in found.values() if len(same) > 1), [])


def fold(name: str) -> str:
    """Returns a name as it is compared: whatever its capitals and its Unicode form."""
    return normal(name).casefold()


def normal(name: str) -> str:
    """Returns a name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def _words(name: str) -> list[str]:
    return _WORD.findall(name.lower())


def _stem(names: Sequence[str]) -> str | None:
    """Returns what all names have before their numbers, as "fold1" and "fold2" do, or None."""
    matches = [_NUMBERED.match(name) for name in names]
    stems = {match.group(1) if match else None for match in matches}
    return stems.pop() if len(stems) == 1 else None
