"""What a person asks to be written for a picture: the part of trainer.predict's flags."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import UsageError

# By these suffixes programs choose how to read a file. Those of _TABS are written as they say.
_TABS = frozenset({".tsv", ".tab"})
_OTHER_FORMATS = {
    ".7z", ".arrow", ".bmp", ".bz2", ".db", ".feather", ".gif", ".gz", ".h5", ".hdf5", ".heic",
    ".htm", ".html", ".jpeg", ".jpg", ".json", ".jsonl", ".md", ".ndjson", ".npy", ".npz", ".ods",
    ".orc", ".parquet", ".pickle", ".pkl", ".png", ".sqlite", ".tar", ".tfrecord", ".tgz", ".tif",
    ".tiff", ".webp", ".xls", ".xlsx", ".xml", ".xz", ".yaml", ".yml", ".zip", ".zst",
}  # fmt: skip


class LabelForm(str, enum.Enum):
    """How a class is written where a picture has one."""

    AUTO = "auto"
    NAME = "name"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked to be written.

    Attributes:
      form: of a class.
      probabilities: one column for each class.
      positive_class: whose probability alone is written; "" for none.
    """

    form: LabelForm = LabelForm.AUTO
    probabilities: bool = False
    positive_class: str = ""

    def __post_init__(self) -> None:
        asked = [
            name
            for name, value in (
                ("--probabilities", self.probabilities),
                (f"--label_form={self.form.value}", self.form is not LabelForm.AUTO),
                ("--positive_class", self.positive_class),
            )
            if value
        ]
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} exclude each other: give one")


def check_suffix(output: str) -> None:
    """Refuses a file name that promises another format than a table in plain text.

    Raises:
      UsageError: by its suffix, other programs would take the file for something else.
    """
    if Path(output).suffix.lower() in _OTHER_FORMATS:
        raise UsageError(
            f"--output={output} promises another format: a CSV is written, so give a name that "
            "ends in .csv, or in .tsv for tabs between the fields"
        )


def separator_of(output: str | Path) -> str:
    """Returns what stands between the fields of a table, by its file's name."""
    return "\t" if Path(output).suffix.lower() in _TABS else ","


def check_separator(output: str, separator: str) -> None:
    """Refuses a name in .tsv for a table that is like a sample with another separator.

    Args:
      output: --output.
      separator: of the sample.

    Raises:
      UsageError: the file would have other separators than its name promises.
    """
    if separator_of(output) == "\t" != separator:
        raise UsageError(
            f"--output={output} promises tabs, and the sample of --like has {separator!r} between "
            "its fields: give a name that ends in .csv"
        )
