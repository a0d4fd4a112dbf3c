"""JSON documents that name pictures: the forms whose meaning is certain, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tfrecords.errors import UsageError
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.say import counted
from tfrecords.inputs.tables import coco
from tfrecords.inputs.tables.records import Records, field, load, of_objects

_FORMS = (
    'COCO\'s ({"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id"}], '
    '"categories": [{"id", "name"}]}), a list of objects with a path and a class each '
    '([{"path": "a.jpg", "label": "cat"}]), and an object of files and their classes '
    '({"a.jpg": "cat"})'
)


class SeveralValuesError(Exception):
    """A text is not one JSON value but several, as JSON Lines are."""


def records(source: InputPath, text: str, by_name: bool, labelled: bool) -> Records:
    """Returns what a JSON document says of pictures.

    Args:
      source: names the document in errors.
      text: all of it.
      by_name: whether the column `label` is to be the classes, as far as they are asked for.
      labelled: whether classes are asked for.

    Raises:
      SeveralValuesError: it is several values, one after another.
      UsageError: it is no JSON, or of another form; says which forms are read.
    """
    try:
        document = load(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            raise SeveralValuesError from error
        raise UsageError(f"{source} begins as JSON does, but cannot be read: {error}") from error
    if coco.is_meant(document):
        return coco.records(source, document, by_name=by_name, labelled=labelled)
    if isinstance(document, list) and all(isinstance(item, dict) for item in document):
        if not any(document):
            raise UsageError(f"{source} is a list of no records: an object per picture is expected")
        return of_objects(document)
    if isinstance(document, dict) and _is_of_files(document):
        rows = [[field(path), field(label)] for path, label in document.items()]
        note = f"it is a JSON object of {counted(len(rows), 'file')} and their classes"
        return Records(("path", "label"), rows, (note,))
    raise UsageError(f"{source} is JSON, {_what(document)}; the forms that are read are {_FORMS}")


def _is_of_files(document: Mapping[str, object]) -> bool:
    """Returns whether an object gives each file one value: {"0": "cat"} may number classes."""
    return bool(document) and all(
        is_picture_name(key) and (value is None or isinstance(value, str | int | float))
        for key, value in document.items()
    )


def _what(document: object) -> str:
    """Returns what a document is, in a few words."""
    if isinstance(document, dict):
        keys = [repr(key[:40]) for key in document]
        shown = ", ".join(keys[:4]) + (", …" if len(keys) > 4 else "")
        return f"an object with {counted(len(keys), 'key')}{f' ({shown})' if keys else ''}"
    if isinstance(document, list):
        other = next(item for item in document if not isinstance(item, dict))
        return f"a list with values that are no objects, such as {json.dumps(other)[:40]}"
    return "a single value"
