"""WebDatasets: tars in which a sample is several files of one name, its class among them.

`000.jpg` with `000.cls` (a number or a name), `000.json` (an object with a class) or `000.txt`
(https://github.com/webdataset/webdataset, "The WebDataset Format").
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.column_names import LABEL_NAMES, normalised
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.rows import ListedFile

# Returns what a member holds; raises OSError.
ReadMember = Callable[[ListedFile], bytes]

_KINDS = ("cls", "json", "txt")

# A label is a word; a JSON may describe the whole picture.
_MOST_BYTES = {"cls": 1 << 10, "json": 1 << 20, "txt": 1 << 10}


def label_samples(
    files: Sequence[ListedFile], read: ReadMember, label_key: str = ""
) -> tuple[list[ListedFile], str] | None:
    """Returns the files of a WebDataset with the labels of its pictures, and a note that says so.

    Args:
      files: of an archive.
      read: returns the bytes of one.
      label_key: of the class in JSON; "" for the usual ones.

    Returns:
      None where the files are no labelled WebDataset: where pictures lie in several folders, these
      are classes, unless a .cls beside each picture divides them otherwise; and where texts differ
      from picture to picture, they describe it.
    """
    samples = _samples(files)
    pictures = [file for file in files if file.problem is None and is_picture_name(file.name)]
    if not pictures:
        return None
    several = len({file.name.rpartition("/")[0] for file in pictures}) > 1
    for kind in _KINDS[:1] if several else _KINDS:
        beside = {file.name: samples[_key(file.name)].get(kind) for file in pictures}
        if 2 * sum(file is not None for file in beside.values()) < len(pictures):
            continue
        labels = {
            name: None if file is None else _label(file, kind, read, label_key)
            for name, file in beside.items()
        }
        given = [label for label in labels.values() if label is not None]
        if not given or (kind == "txt" and 2 * len(set(given)) > len(given)):
            continue
        if several and (len(given) < len(pictures) or not _divide_otherwise(labels)):
            continue
        note = f"it is a WebDataset: the class of each picture is in its .{kind}"
        return [_labelled(file, labels, samples) for file in files], note
    return None


def _divide_otherwise(labels: Mapping[str, str | None]) -> bool:
    """Returns whether labels are several, and not one for each folder, whose name says more."""
    folders: dict[str | None, set[str]] = {}
    for name, label in labels.items():
        folders.setdefault(label, set()).add(name.rpartition("/")[0])
    return len(folders) > 1 and any(len(own) > 1 for own in folders.values())


def _samples(files: Sequence[ListedFile]) -> dict[str, dict[str, ListedFile]]:
    """Returns the files of each sample, by what their names have after the first dot."""
    samples: dict[str, dict[str, ListedFile]] = {}
    for file in files:
        if file.problem is None:
            key = _key(file.name)
            samples.setdefault(key, {})[file.name[len(key) + 1 :].lower()] = file
    return samples


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.split('.')[0]}"


def _labelled(
    file: ListedFile,
    labels: Mapping[str, str | None],
    samples: Mapping[str, Mapping[str, ListedFile]],
) -> ListedFile:
    if file.problem is not None:
        return file
    if file.name in labels:
        return dataclasses.replace(file, label=labels[file.name])
    sample = samples[_key(file.name)]
    if any(other.name in labels for other in sample.values()):
        return dataclasses.replace(file, problem=RejectReason.SIDECAR)
    return file


def _label(file: ListedFile, kind: str, read: ReadMember, label_key: str) -> str | None:
    if file.bytes > _MOST_BYTES[kind]:
        return None
    try:
        text = read(file).decode("utf-8-sig").strip()
        value = _json_label(json.loads(text), label_key) if kind == "json" else text
    except (OSError, ValueError, RecursionError):
        return None
    return value if value and "\n" not in value else None


def _json_label(found: object, label_key: str) -> str | None:
    if not isinstance(found, dict):
        return None
    names = {normalised(str(name)): value for name, value in found.items()}
    wanted = (normalised(label_key),) if label_key else LABEL_NAMES
    for name in wanted:
        value = names.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return str(value).strip()
    return None
