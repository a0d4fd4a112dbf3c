"""What a person asks to be written for a picture: the part of trainer.predict's flags."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tfrecords.errors import UsageError


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
