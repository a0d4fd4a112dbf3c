"""Which columns of a table hold paths, classes and splits: told, by contract, or guessed and said.

`path`, `label` and `split` mean themselves. Other usual names are a guess, which is never silent;
where two columns may be meant, the table's own values decide or a person does.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs.column_names import (
    LABEL_NAMES,
    PATH_NAMES,
    SPLIT_MARKS,
    SPLIT_NAMES,
    TRUTH_NAMES,
    ends_as_label,
    is_pixel,
    normalised,
)
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.say import typed
from tfrecords.inputs.split_words import split_of
from tfrecords.inputs.tables import groups
from tfrecords.inputs.tables.text import TableText
from tfrecords.inputs.tables.values import is_number, is_url, tells_no_class
from tfrecords.schema import TRAIN

PATH, LABEL, SPLIT = "path", "label", "split"

# What Kaggle's sample submissions call it.
_ID = "id"

# Rows that tell by their values which column holds paths.
_SAMPLE = 20

# Of --split_column: no column holds splits.
NO_COLUMN = "none"

# More words than these in a column are no splits.
_MOST_SPLITS = 10

# Marks of a split that no class is called, unlike "train" and "test".
_NO_CLASSES = ("is_", "in_", "fold", "kfold", "k_fold", "cv")

# Numbers of a box.
_BOX = 4

# The column of coordinates that one of y stands beside.
_X = re.compile(r"(?:.*[\W_])?x\Z")

# Where no picture is read from.
_WEB = re.compile(r"(?i)(?:https?|ftp)://")

# Columns of a header that an error shows.
_SHOWN = 12

# Values of one-hot columns.
_ONE, _ZERO = ("1", "1.0", "true"), ("0", "0.0", "false", "")

# Whether there is a file for a path or an id.
Finds = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table's fields are.

    Attributes:
      path: number of the column, from 0.
      labels: one column of class names; or several, each named after a class, in which a 1 stands
        in the column of a row's class; none where classes are not asked for.
      split: number of the column, or None.
      group: number of the column of what several pictures are of, or None.
      notes: what was guessed, for people.
    """

    path: int
    labels: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None
    notes: tuple[str, ...] = ()


def find_columns(
    table: TableText, options: TableOptions, finds: Finds, *, labelled: bool
) -> Columns:
    """Returns the columns of a table.

    Args:
      table: with at least a header.
      options: which columns a person named.
      finds: whether there is a file for a path or an id.
      labelled: whether classes are asked for.

    Raises:
      UsageError: a column that was named is not there, or one that is needed is not clear.
    """
    search = _Search(table, finds)
    path = search.path(options.path_column, labelled)
    if not labelled:
        return Columns(path, notes=tuple(search.notes))
    split = search.split(options.split_column, {path}, options.splits)
    taken = {path} if split is None else {path, split}
    labels = search.labels(options.label_column, taken)
    search.say_truths({*taken, *labels})
    group = search.group(options.group_column, path, labels, split)
    if split is None:
        search.notes += groups.leak_notes(table, {*taken, *labels}, group)
    return Columns(path, labels, split, group, tuple(search.notes))


def one_hot_value(text: str) -> bool | None:
    """Returns what a field of a one-hot column says, or None if it is none."""
    lower = text.lower()
    return True if lower in _ONE else False if lower in _ZERO else None


class _Search:
    """Looks for columns and notes what it guesses.

    Args:
      table: the table.
      finds: whether there is a file for a path or an id.
    """

    def __init__(self, table: TableText, finds: Finds) -> None:
        self.notes: list[str] = []
        self._table = table
        self._finds = finds
        self._first: list[list[str]] | None = None
        self._names = [normalised(name) for name in table.header]

    def path(self, given: str, labelled: bool) -> int:
        if given:
            return self._given("--path_column", given)
        if PATH in self._table.header:
            return self._table.header.index(PATH)
        found = self._usual(PATH_NAMES, set())
        if not found:
            found = self._with_pictures()
        if not found:
            self._refuse_pixels()
            # A class may be called as a file is.
            others = (c for c, name in enumerate(self._names) if name not in LABEL_NAMES)
            found = self._with_files(list(others) if labelled else range(len(self._names)))
        if len(found) > 1:
            # Ids of rows beside file names are no paths: what there is a file for is one.
            found = self._with_files(found) or found
        if len(found) > 1 and len(pictures := set(found) & set(self._with_pictures())) == 1:
            found = list(pictures)
        if len(found) != 1:
            self._unclear("the paths", "--path_column", found)
        if labelled or self._names[found[0]] != _ID:
            self._guessed("paths", found)
        return found[0]

    def split(self, given: str, taken: Collection[int], splits: Sequence[str]) -> int | None:
        if given.lower() == NO_COLUMN and given not in self._table.header:
            return None
        if given:
            return self._given("--split_column", given)
        if SPLIT in self._table.header:
            return self._table.header.index(SPLIT)
        usual = self._usual(SPLIT_NAMES, taken)
        named = [column for column in usual if self._are_splits(column, splits)]
        found = named or self._by_values(taken, splits)
        if len(found) > 1:
            self._unclear("the splits", "--split_column", found)
        if not found:
            self._refuse_half_understood(usual, splits)
            self._say_unread([*usual, *self._usual(SPLIT_MARKS, taken)])
            return None
        self._guessed("splits", found)
        return found[0]

    def _are_splits(self, column: int, splits: Sequence[str]) -> bool:
        return self._all(column, lambda value: not value or _is_split(value, splits))

    def _by_values(self, taken: Collection[int], splits: Sequence[str]) -> list[int]:
        """Returns the columns, whatever they are called, of train and other splits and no more."""
        return [
            column
            for column in range(len(self._names))
            if column not in taken
            and self._names[column] not in LABEL_NAMES
            and all(_is_split(value, splits) for value in self._sampled(column) if value)
            and self._are_splits(column, splits)
            and TRAIN in (meant := {split_of(value) for value in self._words(column)})
            and len(meant) > 1
        ]

    def _words(self, column: int) -> list[str]:
        """Returns the different values of a column, in order, as far as they may be splits."""
        found: dict[str, None] = {}
        for _, fields in self._table.rows():
            if fields[column]:
                found[fields[column]] = None
            if len(found) > _MOST_SPLITS:
                break
        return list(found)

    def _refuse_half_understood(self, usual: Sequence[int], splits: Sequence[str]) -> None:
        """Stops at a column of splits that has other words too: they are not dropped in silence."""
        for column in usual:
            words = self._words(column)
            other = [word for word in words if not _is_split(word, splits)]
            meant = {split_of(word) for word in words} - {None}
            # A toy of the "train" set is beside one of the "chess" set.
            if len(words) <= _MOST_SPLITS and other and TRAIN in meant and len(meant) > 1:
                name = self._table.header[column]
                told = typed("split_column", name)
                raise UsageError(
                    f"{self._table.source}: column {name!r} looks like splits, but has "
                    f"{', '.join(map(repr, other))} too; give {told} to take every "
                    f"word as a split, or --split_column={NO_COLUMN} to split again"
                )

    def _say_unread(self, columns: Sequence[int]) -> None:
        for column in columns:
            words = self._words(column)
            if 1 < len(words) <= _MOST_SPLITS:
                self.notes.append(
                    f"its column {self._table.header[column]!r} ({', '.join(words[:4])}"
                    f"{', …' if len(words) > 4 else ''}) is not read, and --splits applies; "
                    "if it fixes splits, write train, validation or test in it, and name it with "
                    "--split_column"
                )

    def _refuse_pixels(self) -> None:
        """Stops at a table that holds the pictures themselves."""
        pixels = [c for c, name in enumerate(self._names) if is_pixel(name)]
        if len(pixels) > 1 or any(tells_no_class(self._sampled(c)) for c in pixels):
            raise UsageError(
                f"{self._table.source} contains the pixels of pictures, in "
                f"{self._listed(pixels)}, and no paths: write each row as a picture file, into a "
                "folder for each class"
            )

    def say_truths(self, taken: Collection[int]) -> None:
        """Says that rows may tell what is not so."""
        for column in self._usual(TRUTH_NAMES, taken):
            if {one_hot_value(word) for word in self._words(column)} == {True, False}:
                self.notes.append(
                    f"its column {self._table.header[column]!r} ({', '.join(self._words(column))}) "
                    "is not read: remove the rows with 0 if they mean that the class is absent"
                )

    def group(
        self, given: str, path: int, labels: Collection[int], split: int | None
    ) -> int | None:
        """Returns the column of what several pictures are of, which is no other's."""
        if not given:
            return None
        column = self._given("--group_column", given)
        others = {path: "paths", **dict.fromkeys(labels, "classes")}
        others |= {} if split is None else {split: "splits"}
        if column in others:
            raise UsageError(
                f"--group_column={given}: {self._table.source} has its {others[column]} in that "
                "column: name the one of what several pictures are of, such as a patient or a track"
            )
        self.notes += groups.missing_notes(self._table, column)
        return column

    def labels(self, given: Sequence[str], taken: Collection[int]) -> tuple[int, ...]:
        if given:
            return tuple(self._given("--label_column", name) for name in given)
        without = {c for c in range(len(self._names)) if self._holds_no_class(c)}
        taken = {*taken, *(without if LABEL not in self._table.header else ())}
        found = self._usual(LABEL_NAMES, taken)
        if LABEL in self._table.header:
            label = self._table.header.index(LABEL)
            others = [column for column in found if column not in {label, *without}]
            if differing := [c for c in others if not self._say_the_same([label, c])]:
                self.notes.append(
                    f"its classes are taken from column {LABEL!r}, and {self._listed(differing)} "
                    "divides the rows otherwise: --label_column names another"
                )
            return (label,)
        found = found or [
            c for c, name in enumerate(self._names) if c not in taken and ends_as_label(name)
        ]
        if len(found) > 1 and self._say_the_same(found):
            # A number and a name of one class: the name.
            found = [next((c for c in found if not self._all(c, str.isdigit)), found[0])]
        if len(found) > 1:
            self._unclear("the classes", "--label_column", found)
        if not found:
            found = self._unnamed_labels(taken)
            if not found:
                self._refuse_without_class(without)
            if len(found) > 1:
                self.notes.append(
                    f"each of its {len(found)} columns of 0 and 1 is a class: {self._listed(found)}"
                )
                return tuple(found)
        self._guessed("classes", found)
        return tuple(found)

    def _unnamed_labels(self, taken: Collection[int]) -> list[int]:
        """Returns the columns of classes by what is left: one column, one-hot columns or none."""
        others = [c for c, name in enumerate(self._names) if name and c not in taken]
        splits = {*self._usual(SPLIT_NAMES, ()), *self._usual(SPLIT_MARKS, ())}
        if len(others) == 1:
            return [c for c in others if c not in splits and not self._are_row_numbers(c)]
        if found := self._one_hot([c for c in others if not self._is_mark(c)]):
            return found
        return [] if self._table.has_header else self._text_beside_numbers(others)

    def _text_beside_numbers(self, others: Sequence[int]) -> list[int]:
        """Returns the one column of texts of a list without a header, if it may be the classes.

        As in "val_0.JPEG n01443537 0 32 44 62"; but of "0.jpg 2 web", the 2 may be the class.
        """
        texts = [c for c in others if not self._all(c, is_number)]
        if len(texts) != 1 or self._are_row_numbers(texts[0]):
            return []
        numbers = [c for c in others if c not in texts]
        rivals = [c for c in numbers if self._repeats(c) and not self._say_the_same([*texts, c])]
        if rivals and len(numbers) < _BOX:
            self._unclear("the classes", "--label_column", sorted([*texts, *rivals]))
        return texts

    def _repeats(self, column: int) -> bool:
        """Returns whether a column has several values, each twice or more on average."""
        values = [fields[column] for _, fields in self._table.rows()]
        return 1 < len(set(values)) <= len(values) / 2

    def _are_row_numbers(self, column: int) -> bool:
        values = [fields[column] for _, fields in self._table.rows()]
        if len(values) < 2 or len(set(values)) < len(values):
            return False
        return not self._table.has_header or all(map(is_number, values))

    def _is_mark(self, column: int) -> bool:
        name = self._names[column]
        return name in SPLIT_MARKS and name.startswith(_NO_CLASSES)

    def _holds_no_class(self, column: int) -> bool:
        """Returns whether a column's values are addresses, boxes or coordinates."""
        values = self._sampled(column)
        # "x" and "y", or "Bbox [x", "y", "w", "h]" of a header that is not quoted.
        if self._names[column] == "y":
            beside = [self._sampled(c) for c, name in enumerate(self._names) if _X.match(name)]
            return any(
                all(is_number(value) for value in (*values, *own) if value) for own in beside
            )
        return tells_no_class(values)

    def _refuse_without_class(self, without: Collection[int]) -> None:
        """Stops where no column is one of classes; says so of columns that look like it."""
        if len(self._names) == 1:
            raise UsageError(
                f"{self._table.source} has one column, of paths, and none of classes: a path and a "
                "class are expected in each row"
            )
        numbers = [c for c in sorted(without) if not all(map(is_url, self._sampled(c)))]
        if len(numbers) == 1 and tells_no_class(values := self._sampled(numbers[0])):
            raise UsageError(
                f"{self._table.source}: column {self._table.header[numbers[0]]!r} holds boxes or "
                f"pixels, such as {next(filter(None, values))[:40]!r}, and no other is known to "
                "hold the classes: write the class of each picture into a column, and name it with "
                "--label_column"
            )
        self._unclear("the classes", "--label_column", [])

    def _given(self, flag: str, name: str) -> int:
        header = self._table.header
        if name in header:
            return header.index(name)
        same = [c for c, own in enumerate(header) if own.lower() == name.strip().lower()]
        if len(same) == 1:
            return same[0]
        if name.isdigit() and 1 <= int(name) <= len(header):
            return int(name) - 1
        near = difflib.get_close_matches(name, header, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"{flag}={name}: {self._table.source} has the columns {', '.join(header)}{hint}"
        )

    def _usual(self, names: Sequence[str], taken: Collection[int]) -> list[int]:
        """Returns the columns that have a usual name, in the order of `names`."""
        found = [c for c, name in enumerate(self._names) if name in names and c not in taken]
        return sorted(found, key=lambda column: names.index(self._names[column]))

    def _sampled(self, column: int) -> list[str]:
        if self._first is None:  # Once for all columns: MNIST has 785.
            self._first = [fields for _, fields in itertools.islice(self._table.rows(), _SAMPLE)]
        return [fields[column] for fields in self._first]

    def _with_pictures(self) -> list[int]:
        """Returns the columns whose values all have the suffix of a picture."""
        columns = range(len(self._names))
        sampled = {column: self._sampled(column) for column in columns}
        return [
            c
            for c in columns
            if sampled[c] and all(is_picture_name(v) and not _WEB.match(v) for v in sampled[c])
        ]

    def _with_files(self, columns: Sequence[int]) -> list[int]:
        """Returns the columns for whose values there are files, by the number of files."""
        # The classes 0, 1 and 2 are called as three files are, however many rows have them.
        values = {c: {value for value in self._sampled(c) if value} for c in columns}
        found = {c: sum(map(self._finds, values[c])) for c in columns}
        best = max(found.values())
        return [c for c in columns if best and found[c] == best]

    def _all(self, column: int, test: Callable[[str], bool]) -> bool:
        return all(test(fields[column]) for _, fields in self._table.rows())

    def _say_the_same(self, columns: Sequence[int]) -> bool:
        """Returns whether each value of one column always stands beside the same of the others."""
        seen: dict[tuple[int, str], tuple[str, ...]] = {}
        for _, fields in self._table.rows():
            values = tuple(fields[column] for column in columns)
            for column in columns:
                if seen.setdefault((column, fields[column]), values) != values:
                    return False
        return True

    def _one_hot(self, columns: Sequence[int]) -> list[int]:
        """Returns the columns of zeros and ones, if there are several."""
        left = list(columns)
        for _, fields in self._table.rows():
            left = [c for c in left if fields[c] and one_hot_value(fields[c]) is not None]
        return left if len(left) > 1 else []

    def _guessed(self, what: str, columns: Sequence[int]) -> None:
        self.notes.append(f"its {what} are taken from column {self._listed(columns)}")

    def _listed(self, columns: Sequence[int]) -> str:
        shown = [repr(self._table.header[column]) for column in columns[:8]]
        return ", ".join(shown) + (", …" if len(columns) > 8 else "")

    def _unclear(self, what: str, flag: str, found: Sequence[int]) -> None:
        if found:
            raise UsageError(
                f"{self._table.source}: the columns {self._listed(found)} may hold {what}: "
                f"say which with {flag}"
            )
        header, shown = "the header", self._table.header
        if not self._table.has_header:
            header, shown = "the first line", tuple(next(self._table.rows())[1])
        fields = ", ".join((*shown[:_SHOWN], *(("…",) if len(shown) > _SHOWN else ())))
        if len(shown) == 1 and not self._table.is_json:
            raise UsageError(
                f"{self._table.source}: no column is known to hold {what}, and its lines are one "
                f"column each, as {fields!r}: name what separates them with --csv_separator, or "
                f"the column with {flag}"
            )
        raise UsageError(
            f"{self._table.source}: no column is known to hold {what}: name it with {flag}"
            f"{'' if self._table.has_header else ', by its number from 1'}; {header} is {fields!r}"
        )


def _is_split(value: str, splits: Sequence[str]) -> bool:
    return value in splits or split_of(value) is not None
