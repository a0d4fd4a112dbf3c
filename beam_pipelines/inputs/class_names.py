"""What the names of classes show, taken together: the same class twice, several in one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from tfrecords.inputs.say import many

# Names that a line on the terminal shows before it only counts them.
_SHOWN = 8

_BETWEEN = re.compile(r"[\s_\-.]+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s_\-.]+(?=\d)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?\Z")

# Cyrillic and Greek letters that look as Latin ones do, in most fonts.
_LOOK_ALIKES = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0408\u0405"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
    "ABEKMHOPCTXIJSaeopcyxijsABEZHIKMNOPTYXo",
)

# What systems and people call a copy of a folder, and a folder that has no name yet.
_COPY = re.compile(
    r"(?i)(.+?)(?: ?- ?copy(?: ?\(\d+\))?|[ _-]copy(?: ?\d+)?| ?\(\d+\)|[ _-](?:old|bak|backup))\Z"
)
_NAMELESS = re.compile(r"(?i)(?:new|untitled) folder(?: ?\(?\d+\)?)?\Z")

# Names of so many times as many classes as there are words in them are no names.
_MANY, _FEWEST_WORDS = 3, 4

# Between the labels of a picture that has several.
_JOINTS = (r"\s*[|;,]\s*", r"\s*[/+&]\s*", r"\s+")


def notes(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for each kind of doubt about the names of classes."""
    yield from _capitals_note(classes)
    yield from _alike_note(classes)
    yield from _copy_note(classes)
    yield from _several_note(classes)


def _capitals_note(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for classes that differ in capitals only, as Cat in train/ and cat in test/."""
    folded = Counter(name.casefold() for name in classes)
    alike = sorted(name for name in classes if folded[name.casefold()] > 1)
    if alike:
        yield (
            f"the classes {many(alike)} differ in capitals only; --classes_map merges them if "
            "they are the same"
        )


def _alike_note(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for classes that are one number, or one name in other separators."""
    same = defaultdict(list)
    for name in sorted(classes):
        same[_essence(name)].append(name)
    groups = [names for names in same.values() if len({name.casefold() for name in names}) > 1]
    if groups:
        told = "; ".join(", ".join(_shown(names)) for names in groups[:_SHOWN])
        yield (
            f"classes with similar names are kept apart: {told}; --classes_map merges them if "
            "they are the same"
        )


def _shown(names: Sequence[str]) -> Iterator[str]:
    """Yields names in quotes; letter by letter those that look the same."""
    visible = Counter(map(_visible, names))
    return (ascii(name) if visible[_visible(name)] > 1 else repr(name) for name in names)


def _visible(name: str) -> str:
    """Returns a name as it looks: without what cannot be seen, look-alikes as Latin letters."""
    text = unicodedata.normalize("NFKC", name)
    seen = (letter for letter in text if unicodedata.category(letter) != "Cf")
    return "".join(seen).translate(_LOOK_ALIKES)


def _essence(name: str) -> str:
    name = _visible(name)
    if _NUMBER.match(name):
        return f"{float(name):.12g}"
    # 1-2 is not 12.
    apart = _BETWEEN_DIGITS.sub("|", name)
    return _BETWEEN.sub("", apart).casefold() or name


def _copy_note(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for classes that are called like copies of others, or not called yet."""
    odd = [
        name
        for name in sorted(classes)
        if _NAMELESS.match(name) or ((copy := _COPY.match(name)) and copy[1] in classes)
    ]
    if odd:
        yield (
            f"{many(map(repr, odd))} {'is a class' if len(odd) == 1 else 'are classes'} with "
            "the name of a copy or of a new folder; --exclude leaves folders out, --classes_map "
            "merges classes"
        )


def _several_note(classes: Collection[str]) -> Iterator[str]:
    """Yields a line for classes that are made of others: "scab rust" beside "scab" and "rust"."""
    for joint in _JOINTS:
        parts = {name: re.split(joint, name) for name in classes}
        several = {name: words for name, words in parts.items() if len(words) > 1}
        known = set(classes)
        if joint is _JOINTS[0]:
            # Such signs stand in few names; words that several lists have in common are labels.
            known |= _in_several(several.values())
        elif len(classes) >= _MANY * len(words := set().union(*parts.values())):
            # "clear primary" beside "haze primary road": many classes of few words.
            known |= words if len(words) >= _FEWEST_WORDS else set()
        made = sorted(name for name, words in several.items() if known.issuperset(words))
        if made:
            yield (
                f"the classes {many(map(repr, made))} look like several labels of one "
                "picture; each is a separate class here, since a picture has one class"
            )
            return


def _in_several(lists: Iterable[Sequence[str]]) -> set[str]:
    counts = Counter(word for words in lists for word in set(words))
    return {word for word, count in counts.items() if count > 1}
