"""JSON in the form of COCO as a table: a row for each picture, with its category as the class.

The form is described at https://cocodataset.org/#format-data. iNaturalist, the Herbarium
challenges and camera traps use it with one category per picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from tfrecords.errors import UsageError
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.say import counted, some
from tfrecords.inputs.tables.records import Records, field

_IMAGES, _ANNOTATIONS, _CATEGORIES = "images", "annotations", "categories"
_FILE, _NAME, _IMAGE_ID, _CATEGORY_ID = "file_name", "name", "image_id", "category_id"

# The columns that every table may have; an image's own keys of these names get another one.
_PATH, _LABEL = "path", "label"

# What stands before a category's keys, as columns.
_OF_CATEGORY = "category."

# Examples in an error.
_NAMED = 3

# As in JSON: 3 and "3" are different.
_Id = int | str
_Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Picture:
    """An element of `images`.

    Attributes:
      values: all of its keys.
      path: its file.
      category: of its annotations, or None where classes are not asked for.
    """

    values: _Object
    path: str
    category: _Id | None = None


def is_meant(document: object) -> TypeGuard[Mapping[str, object]]:
    """Returns whether a JSON document is meant to be of COCO's form."""
    if not isinstance(document, dict):
        return False
    lists = [
        key for key in (_IMAGES, _ANNOTATIONS, _CATEGORIES) if isinstance(document.get(key), list)
    ]
    return _IMAGES in lists or len(lists) > 1


def records(source: InputPath, document: _Object, *, by_name: bool, labelled: bool) -> Records:
    """Returns the pictures of a document, a record for each element of `images`.

    Its columns are `path`, the file; `label`, the name of the category; the other keys of
    `images`, and those of `categories` after "category.". Boxes do not count: a picture with
    several annotations of one category is one record.

    Args:
      source: names the document in errors.
      document: as `is_meant` knows it.
      by_name: whether the names of the categories are to be the classes.
      labelled: whether classes are asked for; otherwise only `images` is read.

    Raises:
      UsageError: a key is missing, an id is unknown or is given twice, a picture has no category
        or several, or two categories have one name.
    """
    images = _objects(source, document, _IMAGES)
    if not images:
        raise UsageError(f"{source} has no {_IMAGES}")
    paths = [_path(source, number, image) for number, image in enumerate(images, 1)]
    if not labelled:
        pictures = [_Picture(*pair) for pair in zip(images, paths, strict=True)]
        return Records((_PATH, *_own_names(_keys(images)).values()), _rows(pictures, {}))
    if not document.get(_ANNOTATIONS):
        raise UsageError(
            f"{source} is COCO's form without {_ANNOTATIONS}, which give pictures their classes"
        )
    annotations = _objects(source, document, _ANNOTATIONS)
    categories = _by_id(source, document)
    ids = _image_ids(source, images, paths)
    found = _categories_of(source, annotations, set(ids), categories)
    names = {id_: field(category.get(_NAME)) for id_, category in categories.items()}
    _check_one_category(source, ids, paths, found, names)
    used = {next(iter(own)) for own in found.values()}
    if by_name:
        _check_names(source, {id_: names[id_] for id_ in names if id_ in used}, categories)
    pictures = [
        _Picture(image, path, next(iter(found[id_])))
        for image, path, id_ in zip(images, paths, ids, strict=True)
    ]
    header = (
        _PATH,
        _LABEL,
        *_own_names(_keys(images)).values(),
        *(f"{_OF_CATEGORY}{field(key)}" for key in _keys(categories.values())),
    )
    notes = _notes(pictures, annotations, categories, used)
    return Records(header, _rows(pictures, categories), tuple(notes))


def _objects(source: InputPath, document: _Object, key: str) -> list[_Object]:
    """Returns a list of objects."""
    found = document.get(key)
    if not isinstance(found, list):
        what = "is no list" if key in document else "is missing"
        raise UsageError(
            f"{source}: of COCO's form, {_IMAGES}, {_ANNOTATIONS} and {_CATEGORIES} are expected, "
            f"a list of objects each, but {key} {what}"
        )
    odd = next((number for number, item in enumerate(found, 1) if not isinstance(item, dict)), None)
    if odd is not None:
        raise UsageError(f"{source}: element {odd} of {key} is no object")
    return found


def _path(source: InputPath, number: int, image: _Object) -> str:
    path = image.get(_FILE)
    if isinstance(path, str) and path.strip():
        return field(path)
    raise UsageError(
        f"{source}: {_element(number, _IMAGES, image)} has no {_FILE!r}, the path of its picture"
    )


def _id(source: InputPath, number: int, kind: str, item: _Object, keys: Sequence[str]) -> int | str:
    """Returns the id that the first of some keys gives."""
    value = next((item[key] for key in keys if item.get(key) is not None), None)
    if isinstance(value, int | str):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)  # As pandas writes whole numbers beside missing ones.
    what = "no" if value is None else "no number and no text as its"
    raise UsageError(f"{source}: {_element(number, kind, item)} has {what} {keys[0]!r}")


def _element(number: int, kind: str, item: _Object) -> str:
    """Returns which element of a list is meant, with what tells it."""
    told = [f"{key} {item[key]!r}" for key in ("id", _IMAGE_ID, _FILE) if item.get(key) is not None]
    return f"element {number} of {kind}{f' ({told[0][:80]})' if told else ''}"


def _by_id(source: InputPath, document: _Object) -> dict[_Id, _Object]:
    """Returns the categories."""
    found: dict[_Id, _Object] = {}
    for number, category in enumerate(_objects(source, document, _CATEGORIES), 1):
        id_ = _id(source, number, _CATEGORIES, category, ("id", _CATEGORY_ID))
        if found.setdefault(id_, category) != category:
            raise UsageError(f"{source}: two {_CATEGORIES} have the id {id_!r}")
    return found


def _image_ids(source: InputPath, images: Sequence[_Object], paths: Sequence[str]) -> list[_Id]:
    """Returns the id of each picture; two of one id may only be one picture."""
    ids = [
        _id(source, number, _IMAGES, image, ("id", _IMAGE_ID))
        for number, image in enumerate(images, 1)
    ]
    known: dict[_Id, str] = {}
    for id_, path in zip(ids, paths, strict=True):
        if known.setdefault(id_, path) != path:
            raise UsageError(
                f"{source}: two {_IMAGES} have the id {id_!r}, {known[id_]!r} and {path!r}"
            )
    return ids


def _categories_of(
    source: InputPath,
    annotations: Sequence[_Object],
    images: set[_Id],
    categories: Mapping[_Id, _Object],
) -> dict[_Id, dict[_Id, None]]:
    """Returns the categories of each picture that has an annotation, in their order."""
    found: dict[_Id, dict[_Id, None]] = {}
    for number, annotation in enumerate(annotations, 1):
        image = _id(source, number, _ANNOTATIONS, annotation, (_IMAGE_ID,))
        category = _id(source, number, _ANNOTATIONS, annotation, (_CATEGORY_ID,))
        for key, value, known in ((_IMAGE_ID, image, images), (_CATEGORY_ID, category, categories)):
            if value not in known:
                kind = _IMAGES if key == _IMAGE_ID else _CATEGORIES
                raise UsageError(
                    f"{source}: {_element(number, _ANNOTATIONS, annotation)} has the {key} "
                    f"{value!r}, which is none of {kind}"
                )
        found.setdefault(image, {})[category] = None
    return found


def _check_one_category(
    source: InputPath,
    ids: Sequence[_Id],
    paths: Sequence[str],
    found: Mapping[_Id, Mapping[_Id, None]],
    names: Mapping[_Id, str],
) -> None:
    """Refuses pictures with several categories, and pictures without one."""
    several = [
        f"{path!r} ({', '.join(names[own] or repr(own) for own in found[id_])})"
        for id_, path in zip(ids, paths, strict=True)
        if len(found.get(id_, ())) > 1
    ]
    if several:
        raise UsageError(
            f"{source}: {len(several):,} of {counted(len(ids), 'picture')} have annotations of "
            f"several categories, and a picture has one class: {some(several, _NAMED)}; leave them "
            "out of the file, or cut each box out into a picture of its own, as docs/inputs.md "
            "shows"
        )
    without = [repr(path) for id_, path in zip(ids, paths, strict=True) if id_ not in found]
    if without:
        raise UsageError(
            f"{source}: {len(without):,} of {counted(len(ids), 'picture')} have no annotation, and "
            f"so no class: {some(without, _NAMED)}; leave them out of the file, or give them a "
            "category, such as 'empty', as docs/inputs.md shows"
        )


def _check_names(
    source: InputPath, names: Mapping[_Id, str], categories: Mapping[_Id, _Object]
) -> None:
    """Refuses categories without a name and of one name: they may be different things."""
    id_key = "id" if "id" in _keys(categories.values()) else _CATEGORY_ID
    helps = f"--label_column={_OF_CATEGORY}{id_key} or another key of {_CATEGORIES} may help"
    if unnamed := [repr(id_) for id_, name in names.items() if not name]:
        raise UsageError(
            f"{source}: {_CATEGORIES} of the id {some(unnamed, _NAMED)} have no {_NAME!r}, which "
            f"is to be the class; {helps}"
        )
    counts = Counter(names.values())
    if twice := [name for name, count in counts.items() if count > 1]:
        ids = [repr(id_) for id_, name in names.items() if name == twice[0]]
        raise UsageError(
            f"{source}: the {_CATEGORIES} of the ids {' and '.join(ids[:2])} are both called "
            f"{twice[0]!r}: rename one; or {helps}"
        )


def _notes(
    pictures: Sequence[_Picture],
    annotations: Sequence[_Object],
    categories: Mapping[_Id, _Object],
    used: set[_Id],
) -> Iterator[str]:
    yield (
        f"COCO's form, with {counted(len(pictures), 'picture')}, "
        f"{counted(len(annotations), 'annotation')} and {len(categories):,} categories, whose "
        "names are the classes unless --label_column says otherwise"
    )
    if unused := [
        field(c.get(_NAME)) or repr(id_) for id_, c in categories.items() if id_ not in used
    ]:
        yield f"no picture has the category {some(unused)}: no class is made of it"


def _keys(objects: Iterable[_Object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for item in objects for key in item))


def _own_names(keys: Sequence[str]) -> dict[str, str]:
    """Returns key → column of the keys of `images` other than the file's."""
    return {
        key: f"image.{key}" if field(key) in (_PATH, _LABEL) else field(key)
        for key in keys
        if key != _FILE
    }


def _rows(pictures: Sequence[_Picture], categories: Mapping[_Id, _Object]) -> Iterator[list[str]]:
    """Yields the fields of each picture, with those of its category if it has one."""
    keys = list(_own_names(_keys(picture.values for picture in pictures)))
    of_category = _keys(categories.values())
    ends = {  # Once for each category: there are many more pictures.
        id_: (field(category.get(_NAME)), [field(category.get(key)) for key in of_category])
        for id_, category in categories.items()
    }
    for picture in pictures:
        own = [field(picture.values.get(key)) for key in keys]
        if picture.category is None:
            yield [picture.path, *own]
        else:
            label, end = ends[picture.category]
            yield [picture.path, label, *own, *end]
