"""Finds which folders of an input are wrappers, which are splits and which are classes.

From all names at once, by the shape of the tree first and by words second: the same sub-folders
under several top folders are nearly a proof of splits, and a name such as "Testing" says which
split it is. Where shape and words do not agree nothing is guessed: the error has both readings
and the flags that choose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfrecords.errors import UsageError
from tfrecords.inputs.folders import doubts
from tfrecords.inputs.folders import tree as folder_tree
from tfrecords.inputs.folders.layout import FolderLayout, split_names
from tfrecords.inputs.folders.levels import layout_of_level
from tfrecords.inputs.folders.names import are_views, has_no_class, normal, split_in
from tfrecords.inputs.folders.tree import Folder, agree, chain, folded
from tfrecords.inputs.rules import AUTO, FOLDERS, NO_FOLDERS, InputRules
from tfrecords.inputs.say import NAMED, some, typed, typed_globs
from tfrecords.inputs.split_words import TEST, split_of
from tfrecords.schema import TRAIN


def find_layout(
    names: Collection[str],
    rules: InputRules | None = None,
    source: str = "the input",
    tables: Callable[[], str] = lambda: "a table of labels with --input_csv",
) -> FolderLayout:
    """Returns how to read the folders of an input.

    Args:
      names: POSIX paths of all files that may be pictures.
      rules: what a person told.
      source: of the files, for messages.
      tables: tells what to give where pictures lie in no class folders, for messages.

    Raises:
      UsageError: there are two readings, or the rules do not fit; the text names the flags.
    """
    rules = rules or InputRules()
    root = Folder.of(names)
    if rules.class_level is not None:
        told = layout_of_level(names, rules.class_level, rules, source)
        return replace(told, notes=(*told.notes, *doubts.software_note(root)))
    doubts.refuse_software(root, source)
    path, base = folder_tree.unwrap(root)
    layout = _Finder(path, base, rules, source, tables).find()
    folders = _class_folders(layout, root)
    classes = {name for name, _ in folders}
    level = max(folder.count("/") for folder in layout.roots) + 1
    doubts.refuse_masks(classes, level, source, tables)
    doubts.refuse_parts(classes, level, source, tables)
    if rules.splits_from == AUTO and not rules.split_folders:
        doubts.refuse_splits(classes, source)
    # Where the classes are on top, their depth was told.
    is_below = any(layout.roots.values()) or layout.unlabelled
    hollow = doubts.hollow_note(folders, level + 1) if is_below else ()
    return replace(layout, notes=(*layout.notes, *hollow, *doubts.thumbnails_note(classes)))


@dataclass(frozen=True, slots=True)
class _Top:
    """A folder directly below the wrapper, which may be a class or a split.

    Attributes:
      name: of it.
      folder: itself.
      root: path of the folder in it that holds what may be class folders.
      classes: names of those; () where it holds pictures only.
      again: paths of folders among them that hold the same classes once more.
      split: that its name stands for, or None.
      is_word: whether its whole name is a word for that split.
      no_class: whether it is called as if its pictures had no class.
    """

    name: str
    folder: Folder
    root: str
    classes: frozenset[str]
    again: tuple[str, ...]
    split: str | None
    is_word: bool
    no_class: bool

    @property
    def names(self) -> frozenset[str]:
        """Names of what may be class folders, as they are compared."""
        return folded(self.classes)


class _Finder:
    """Finds the layout of the folders below the wrapper `path`."""

    def __init__(
        self, path: str, base: Folder, rules: InputRules, source: str, tables: Callable[[], str]
    ) -> None:
        self._path, self._rules = path, rules
        self._source, self._tables = source, tables
        self._repeats = folder_tree.repeats(path, base)
        chains = {
            name: chain(f"{path}{name}/", folder)
            for name, folder in sorted(base.folders.items())
            if name not in self._repeats
        }
        forks = {
            name: folded(links[-1][1].folders)
            for name, links in chains.items()
            if len(links[-1][1].folders) > 1
        }
        self._tops = []
        for name, links in chains.items():
            others = frozenset[str]().union(*(forks[other] for other in forks if other != name))
            self._tops.append(_top(name, links, others))
        self._with_classes = [top for top in self._tops if top.classes]
        self._flat = [top for top in self._tops if not top.classes]
        self._named = [top for top in self._with_classes if top.split]

    def find(self) -> FolderLayout:
        """Returns the layout; raises UsageError."""
        if self._rules.split_folders:
            return self._as_told()
        if self._rules.splits_from == NO_FOLDERS:
            return self._classes_on_top()
        if (layout := self._splits_in_classes()) is not None:
            return layout
        if self._rules.splits_from == FOLDERS:
            return self._by_names()
        if self._are_splits():
            splits = {top.name: top.split for top in self._named if top.split}
            doubts.refuse_drawn_splits(splits, self._path, self._source)
            return self._splits(splits)
        if self._is_one_set_beside_unlabelled():
            return self._splits({top.name: None for top in self._with_classes})
        self._refuse_several_sets()
        self._refuse_pictures_without_classes()
        self._refuse_unclear_splits()
        self._refuse_unclear_pictures()
        return self._classes_on_top()

    # What shape and words show.

    def _are_splits(self) -> bool:
        """Returns whether folders are splits beyond doubt."""
        train = self._classes_of(top for top in self._named if top.split == TRAIN)
        held_out = [top for top in self._named if top.split != TRAIN]
        if not train or not (held_out or any(top.no_class for top in self._flat)):
            return False
        unnamed = [top for top in self._with_classes if not top.split]
        return (
            all(agree(top.names, train) for top in held_out)
            and not any(agree(top.names, train) for top in unnamed)
            # A folder of pictures that is called like a class may be one.
            and not any(folded([top.name]) & train for top in self._flat)
        )

    def _is_one_set_beside_unlabelled(self) -> bool:
        """Returns whether one folder holds all classes, and those beside it have none by name."""
        others = [top.no_class for top in self._flat]
        return len(self._with_classes) == 1 and not self._named and bool(others) and all(others)

    def _splits_in_classes(self) -> FolderLayout | None:
        """Returns the layout of classes that are each divided into splits, or None."""
        divided = [top for top in self._tops if top.folder.holds_splits]
        if self._repeats or len(self._tops) < 2 or 2 * len(divided) < len(self._tops):
            return None
        splits: dict[str, str] = {}
        for top in self._tops:
            for name, folder in top.folder.folders.items():
                split = split_of(name)
                if split is None or folder.folders or top.split:
                    return None
                splits[name] = split
        classes = _count(len(self._tops), "class", "classes")
        note = f"in the class folders, {split_names(splits)} are splits; {classes}"
        notes = (*self._wrapper_note(), note)
        return FolderLayout(self._path, {self._path: None}, inner=splits, notes=notes)

    @staticmethod
    def _classes_of(tops: Iterable[_Top]) -> frozenset[str]:
        return frozenset[str]().union(*(top.names for top in tops))

    # What is unclear.

    def _refuse_pictures_without_classes(self) -> None:
        """Stops at train/ and test/ that hold pictures and no class folders."""
        worded = [top for top in self._flat if top.split or top.no_class]
        splits = {top.split for top in worded}
        others = len(self._flat) - len(worded)
        if self._with_classes or len(splits) < 2 or (TRAIN not in splits and others > 1):
            return
        raise UsageError(
            f"{self._source}: {_listed(worded)} look like splits, but they hold pictures and no "
            f"class folders; give {self._tables()}, or --splits_from=none if they are the classes"
        )

    def _refuse_unclear_splits(self) -> None:
        """Stops where some folders have names of splits, or the same folders in them."""
        shared = folder_tree.shared([top.names for top in self._with_classes])
        splits = {top.split for top in self._named}
        if any(top.split is None and top.names & shared for top in self._with_classes):
            self._refuse_shared(shared)
        if self._named and TRAIN not in splits and len(self._named) == len(self._tops):
            raise UsageError(
                f"{self._source}: {_listed(self._named)} look like splits, but there is no train "
                f"split{self._by_table('; ')}, or give --class_level={self._depth + 2} to read "
                "their class folders and split the pictures anew"
            )
        if len(splits) > 1 or any(top.is_word for top in self._named):
            # Of folders that hold the same ones, to take none for a split leaves a doubt.
            second = f"class_level={self._depth + 1}" if shared else f"splits_from={NO_FOLDERS}"
            raise UsageError(
                f"{self._source} can be read in two ways: {_listed(self._named)} "
                f"{_be(self._named, 'is a split', 'are splits')}, or {self._classes_are()}; give "
                f"--splits_from={FOLDERS} for the first, --{second} for the second"
                f"{self._labels_there()}"
            )

    def _refuse_unclear_pictures(self) -> None:
        """Stops at test/ among class folders: its pictures may have no class, or be one."""
        beside = [top for top in self._tops if top.no_class]
        if not beside or len(self._tops) - len(beside) < 2:
            return
        first = f"--splits_from={FOLDERS}"
        if any(top.classes for top in beside):
            first = typed_globs("exclude", *(f"/{self._path}{top.name}" for top in beside))
        raise UsageError(
            f"{self._source} can be read in two ways: the pictures under {_listed(beside)} have no "
            f"class, or {self._classes_are()}; give {first} for the first, "
            f"--splits_from={NO_FOLDERS} for the second"
        )

    def _refuse_several_sets(self) -> None:
        """Stops at folders that hold splits of their own."""
        sets = [top for top in self._tops if top.folder.holds_splits]
        if sets:
            # Of cat/train/1.jpg, train/ holds no classes: to read cat/ alone would be an error.
            whole = [top.name for top in sets if top.folder.holds_classes_in_splits]
            one = typed_globs("include", f"/{self._path}{whole[0]}") if whole else ""
            raise UsageError(
                f"{self._source}: {_listed(sets)} {_be(sets, 'holds', 'hold')} splits, as a data "
                f"set would; {f'name one, as in {one}, or ' if whole else ''}"
                f"give --class_level={self._depth + 1} if {self._classes_are()}"
                f"{'' if whole else ', to split their pictures anew'}"
            )

    def _refuse_shared(self, shared: frozenset[str]) -> None:
        """Stops at folders that hold the same folders, unless those are views of one class."""
        names = [name for name in self._inner_names() if folded([name]) & shared]
        if not names or are_views(names, [top.name for top in self._tops]):
            return
        tops = [(top.name, top.root) for top in self._with_classes]
        doubts.refuse_drawn(tops, self._path, self._source)
        one = "" if self._named else f"; or read one, as with {doubts.one_of([tops[0][1]])}"
        raise UsageError(
            f"{self._source} can be read in two ways: {self._classes_are()}, or the folders "
            f"{_listed(self._with_classes)} hold the same classes, {some(names)}; give "
            f"--class_level={self._depth + 1} for the first, --class_level={self._depth + 2} for "
            f"the second{self._by_table(', or ')}{one}{self._labels_there()}"
        )

    def _labels_there(self) -> str:
        """Returns the tables of labels that lie beside the folders, or "" if there is none."""
        told = self._tables()
        return f"; or give {told}" if "--input_csv=" in told else ""

    def _by_table(self, joint: str) -> str:
        guesses = [top.split for top in self._with_classes]
        unknown = [place for place, split in enumerate(guesses) if split is None]
        for place in unknown:
            guesses[place] = TRAIN if place == unknown[0] else TEST
        pairs = zip(self._with_classes, guesses, strict=True)
        told = [f"{top.name}:{split}" for top, split in list(pairs)[:NAMED]]
        return f"{joint}say which is which split, as in {typed('splits_from', *told)}"

    # The layouts.

    def _as_told(self) -> FolderLayout:
        """Returns the layout by a person's own table of folders and splits."""
        told: dict[str, str | None] = {}
        for folder, split in self._rules.split_folders.items():
            path = normal(folder.strip("/"))
            names = [top.name for top in self._tops if path in self._paths_of(top)]
            if not names:
                raise UsageError(
                    f"{self._source}: --splits_from names the folder {folder!r}, but the folders "
                    f"are {_listed(self._tops)}"
                )
            told[names[0]] = split
        if missing := [top for top in self._with_classes if top.name not in told]:
            raise UsageError(
                f"{self._source}: {_listed(missing)} {_be(missing, 'holds', 'hold')} class folders "
                "too, and --splits_from does not name them; add each with its split, or leave it "
                f"out, as in {typed_globs('exclude', f'/{self._path}{missing[0].name}')}"
            )
        return self._splits(told)

    def _paths_of(self, top: _Top) -> tuple[str, str]:
        return normal(top.name), normal(self._path + top.name)

    def _by_names(self) -> FolderLayout:
        """Returns the layout in which every folder with the name of a split is one."""
        if self._named:
            classes = self._classes_of(self._named)
            if any(agree(top.names, classes) for top in self._with_classes if not top.split):
                self._refuse_shared(classes)
            return self._splits({top.name: top.split for top in self._named})
        if any(map(split_of, self._repeats)):
            return self._classes_on_top()
        beside = [top for top in self._flat if top.no_class]
        if not beside:
            raise UsageError(
                f"{self._source}: --splits_from={FOLDERS}, but none of {_listed(self._tops)} has "
                "the name of a split; say which is which, as in --splits_from=A:train,B:test"
            )
        unlabelled = frozenset(f"{self._path}{top.name}/" for top in beside)
        notes = (*self._wrapper_note(), *_unlabelled_note(beside))
        return FolderLayout(self._path, {self._path: None}, unlabelled, notes=notes)

    def _splits(self, splits: Mapping[str, str | None]) -> FolderLayout:
        """Returns the layout in which some top folders hold classes, and the others have none."""
        holding = [top for top in self._tops if top.name in splits]
        others = [top for top in self._tops if top.name not in splits]
        roots = {root: splits[top.name] for top in holding for root in (top.root, *top.again)}
        unlabelled = [f"{self._path}{top.name}/" for top in others]
        for repeat in self._repeats.values():
            roots |= {_moved(root, self._path, repeat): roots[root] for root in list(roots)}
            unlabelled += [_moved(folder, self._path, repeat) for folder in unlabelled]
        classes = frozenset[str]().union(*(top.classes for top in holding))
        fixed = {top.name: split for top in holding if (split := splits[top.name]) is not None}
        if fixed:
            first = f"{split_names(fixed)} {'are splits' if len(fixed) > 1 else 'is a split'}"
        else:
            first = f"the class folders are in {', '.join(top.root for top in holding)}"
        parts = [first, _count(len(classes), "class", "classes"), *_unlabelled_note(others)]
        again = [folder for top in holding for folder in top.again]
        notes = (*self._wrapper_note(), "; ".join(parts), *self._repeat_notes(again))
        return FolderLayout(self._path, roots, frozenset(unlabelled), notes=notes)

    def _classes_on_top(self) -> FolderLayout:
        """Returns the layout in which the top folders are the classes."""
        self._refuse_shared(folder_tree.shared([top.names for top in self._with_classes]))
        roots: dict[str, str | None] = {self._path: None}
        for name, repeat in self._repeats.items():
            roots[repeat] = None if self._rules.splits_from == NO_FOLDERS else split_of(name)
        notes = (*self._wrapper_note(), *self._repeat_notes(()), *self._depth_notes())
        return FolderLayout(self._path, roots, notes=notes)

    def _hold_folders(self) -> bool:
        """Returns whether no top folder holds pictures itself."""
        return len(self._tops) > 1 and all(
            top.classes or top.folder.holds_folders for top in self._tops
        )

    # What is said.

    @property
    def _depth(self) -> int:
        return self._path.count("/")

    def _classes_are(self) -> str:
        return f"the classes are {some([top.name for top in self._tops])}"

    def _inner_names(self) -> list[str]:
        return sorted({name for top in self._with_classes for name in top.classes})

    def _wrapper_note(self) -> Iterator[str]:
        if self._path:
            yield f"the data are in {self._path}"

    def _repeat_notes(self, again: Sequence[str]) -> Iterator[str]:
        for folder in (*self._repeats.values(), *again):
            split = split_of(folder.split("/")[-2])
            read = f"read as {split}" if split and folder not in again else "read like them"
            yield f"{folder} holds the same folders as lie beside it, and is {read}"

    def _depth_notes(self) -> Iterator[str]:
        """Yields what is worth a second look where folders lie below the classes."""
        level = self._depth + 2
        shared = folder_tree.shared([top.names for top in self._with_classes])
        if shared and len(self._with_classes) > 1:
            names = [f"{name}/" for name in self._inner_names() if folded([name]) & shared]
            yield (
                f"{some(names)} lie in several classes and are read as parts of them; "
                f"--class_level={level} makes them the classes"
            )
        elif self._with_classes and self._hold_folders():
            folders = sum(len(top.classes) or 1 for top in self._tops)
            yield (
                f"the classes {some([top.name for top in self._tops])} hold no pictures but "
                f"{folders} folders: give --class_level={level} if those are the classes, or name "
                "one as --input_dir if each is a data set of its own"
            )
        for top in self._tops:
            if top.is_word and not top.classes and self._rules.splits_from == AUTO:
                yield f"{self._path}{top.name}/ has the name of a split, and is read as a class"
            for name in sorted(top.folder.folders):
                if split_of(name):
                    yield f"{self._path}{top.name}/{name}/ is read as a part of class {top.name}"


def _class_folders(layout: FolderLayout, root: Folder) -> list[folder_tree.Located]:
    """Returns the name and the folder of each class, of all splits."""
    apart = layout.roots.keys() | layout.unlabelled
    return [
        (name, folder)
        for path in layout.roots
        for name, folder in root.at(path).folders.items()
        if f"{path}{name}/" not in apart
    ]


def _top(name: str, links: Sequence[folder_tree.Located], others: frozenset[str]) -> _Top:
    """Returns a top folder. Its classes are where names agree best with `others`, else deepest.

    Args:
      name: of the folder.
      links: it and the folders that stand alone in it, down to the first fork.
      others: names of what may be class folders in the other top folders.
    """
    path, folder = max(reversed(links), key=lambda link: len(folded(link[1].folders) & others))
    again = folder_tree.repeats(path, folder)
    classes = frozenset(normal(below) for below in folder.folders if below not in again)
    if not folded(classes) & others and not (len(classes) > 1 and folder.holds_folders):
        return _Top(
            name=name,
            folder=links[0][1],
            root=links[0][0],
            classes=frozenset(),
            again=(),
            split=split_in(name),
            is_word=split_of(name) is not None,
            no_class=has_no_class(name),
        )
    words = path[:-1].split("/")[links[0][0].count("/") - 1 :]
    return _Top(
        name=name,
        folder=links[0][1],
        root=path,
        classes=classes,
        again=tuple(again.values()),
        split=next((split for word in words if (split := split_in(word))), None),
        is_word=any(split_of(word) for word in words),
        no_class=has_no_class(name),
    )


def _moved(folder: str, path: str, repeat: str) -> str:
    """Returns where a folder lies below `repeat`, which repeats what is below `path`."""
    return repeat + folder.removeprefix(path)


def _unlabelled_note(tops: Sequence[_Top]) -> Iterator[str]:
    if tops:
        total = sum(top.folder.total for top in tops)
        have, be = ("has", "is") if total == 1 else ("have", "are")
        files = _count(total, "file")
        yield f"{files} under {_listed(tops)} {have} no class and {be} left for predict"


def _listed(tops: Iterable[_Top]) -> str:
    return some(f"{top.name}/" for top in tops)


def _be(tops: Sequence[_Top], one: str, several: str) -> str:
    return one if len(tops) == 1 else several


def _count(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"
