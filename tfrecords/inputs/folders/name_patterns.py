"""Patterns for --class_from that fit the names of pictures, for messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfrecords.inputs.folders.names import is_drawn
from tfrecords.inputs.folders.prefixes import are_most, is_word, repeat, words_before_numbers
from tfrecords.inputs.patterns import taken
from tfrecords.inputs.picture_names import SUFFIXES, is_picture_name, without_suffix
from tfrecords.inputs.say import typed

# What stands between the parts of a name; "-" last, for it has a meaning within brackets.
_BETWEEN = "_. -"

# What stands before the number at the end of a name, and what behind it.
_AROUND = re.compile(r"(?<=[^ ._\-(])([ ._\-(]*)\d+(\)?)\Z")

# Readings of names that a message shows: of words, and of numbers, which say less.
_OF_WORDS, _OF_NUMBERS = 2, 3

# Names of a folder that are looked at, of all alphabet: 200,000 took 6 s, and so many 0.8 s.
_SAMPLE = 20_000

# Fewest parts of a name of which a number may be a class, as in AGE_GENDER_RACE_DATE.
_FEWEST_PARTS = 3


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern that finds classes in names.

    Attributes:
      pattern: a regular expression; its group takes the class.
      class_name: that it takes from `path`.
      path: of a picture.
    """

    pattern: str
    class_name: str
    path: str


def advice(paths: Iterable[str], words_only: bool = False) -> str:
    """Returns the flags that read classes from names, as they are typed, or "" if none does.

    Args:
      paths: of files.
      words_only: whether numbers are no classes.
    """
    found = fitting(paths, words_only)
    told = [typed("class_from", one.pattern) for one in found]
    where = [
        f"if the names have the class, as {one.class_name!r} in {one.path!r}"
        if not place
        else f"if it is {one.class_name!r}"
        for place, one in enumerate(found)
    ]
    return ", or ".join(f"{flag} {place}" for flag, place in zip(told, where, strict=True))


def fitting(paths: Iterable[str], words_only: bool = False) -> tuple[NamePattern, ...]:
    """Returns the patterns that find classes in the names of the pictures of some folder.

    Args:
      paths: of files.
      words_only: whether numbers are no classes.
    """
    folders: dict[str, list[str]] = {}
    suffixes = set()
    for path in filter(is_picture_name, paths):
        folder, _, name = path.rpartition("/")
        if any(map(is_drawn, folder.split("/"))):
            continue
        folders.setdefault(folder, []).append(name)
        suffixes.add(name.removeprefix(without_suffix(name)))
    suffix = re.escape(min(suffixes)) if len(suffixes) == 1 else r"\.\w+"
    for folder in sorted(folders):
        names = sorted(folders[folder])
        sample = names[:: -(-len(names) // _SAMPLE)]
        if found := _in_folder(folder, sample, suffix, words_only):
            return found
    return ()


def _in_folder(
    folder: str, names: Sequence[str], suffix: str, words_only: bool
) -> tuple[NamePattern, ...]:
    prefix = f"{folder}/" if folder else ""
    found: dict[tuple[int, ...], tuple[str, Mapping[str, str | None]]] = {}
    readings, most = _readings(names, suffix, words_only)
    for pattern, meant in readings:
        compiled = re.compile(pattern)
        given = {name: taken(compiled, prefix + name) for name in names}
        if _division(given, meant) != _division(meant, meant):
            continue
        found.setdefault(_division(given, names), (pattern, given))
    told = list(found.values())[:most]
    if not told:
        return ()
    example = _example([given for _, given in told])
    return tuple(NamePattern(p, str(given[example]), prefix + example) for p, given in told)


def _example(readings: Sequence[Mapping[str, str | None]]) -> str:
    """Returns a name in which each reading finds another class, if there is one."""
    common = [n for n in sorted(readings[0]) if all(given[n] for given in readings)]
    several = (n for n in common if len({given[n] for given in readings}) == len(readings))
    return next(several, common[0])


# A pattern, and the class that it is to find in each name, up to how the class is called.
_Reading = tuple[str, Mapping[str, str]]


def _readings(
    names: Sequence[str], suffix: str, words_only: bool
) -> tuple[Sequence[_Reading], int]:
    """Returns the readings of names, likeliest first, and how many of them are worth telling."""
    parts = list(_parts(names, suffix))
    of_words = [(pattern, values) for pattern, values, _ in parts if _are_words(values.values())]
    if words := words_before_numbers(names):
        before = [(pattern, words) for pattern in _before_numbers(words, suffix)]
        # "great" is less likely a class than "great_dane", "S01_happy" than "happy".
        whole = all(_are_words(re.split(r"[_. -]+", word)) for word in set(words.values()))
        of_words = [*before, *of_words] if whole else [*of_words, *before]
    if of_words or words_only:
        return of_words, _OF_WORDS
    several = [(pattern, values) for pattern, values, count in parts if count >= _FEWEST_PARTS]
    return several, _OF_NUMBERS


def _before_numbers(words: Mapping[str, str], suffix: str) -> Iterator[str]:
    """Yields patterns of what stands before the number of a name, the plainest first."""
    around = {m.groups() for name in words if (m := _AROUND.search(without_suffix(name)))}
    if len(around) == 1:
        separator, behind = map(_escaped, around.pop())
        before = "([^/]+)" if separator else "([^/]*[^/0-9])"
        yield f"{before}{separator}[0-9]+{behind}{suffix}"
    yield rf"([^/]+?)[ ._(-]+[0-9]+\)?{suffix}"
    yield rf"([^/]*[^/ ._(0-9-])[ ._(-]*[0-9]+\)?{suffix}"


def _parts(names: Sequence[str], suffix: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Yields the parts of names that may be classes: a pattern, name → part, number of parts."""
    for separator in _BETWEEN:
        split = {name: without_suffix(name).split(separator) for name in names}
        ((count, _),) = Counter(map(len, split.values())).most_common(1)
        alike = {name: parts for name, parts in split.items() if len(parts) == count}
        if count < 2 or not are_most(alike, names):
            continue
        for place in range(count):
            values = {name: parts[place] for name, parts in alike.items()}
            if (
                all(values.values())
                and repeat(values)
                and not any(map(_has_suffix, set(values.values())))
            ):
                yield _pattern_of_part(separator, place, count, suffix), values, count


def _has_suffix(name: str) -> bool:
    """Returns whether a picture's name has the suffix of another one in it, as "1.jpg.chip"."""
    return any(f"{suffix}." in name.lower() for suffix in SUFFIXES)


def _pattern_of_part(separator: str, place: int, count: int, suffix: str) -> str:
    """Returns the pattern of a part of a name, by its place from 0."""
    part, between = f"[^/{separator}]+", _escaped(separator)
    if place == count - 1:
        return f"{between}({part}){suffix}$"
    before = f"(?:{part}{between}){{{place}}}" if place > 1 else f"{part}{between}" * place
    return f"{before}({part}){between}[^/]*$"


def _escaped(separator: str) -> str:
    """Returns what stands between parts as a pattern; re.escape would escape a space too."""
    return re.sub(r"([.()])", r"\\\1", separator)


def _are_words(values: Iterable[str]) -> bool:
    return all(map(is_word, set(values)))


def _division(classes: Mapping[str, str | None], names: Iterable[str]) -> tuple[int, ...]:
    """Returns which of some names have the same class, however it is called; -1 for none."""
    numbers: dict[str | None, int] = {None: -1}
    return tuple(numbers.setdefault(classes[name], len(numbers)) for name in sorted(names))
