"""What is written for a picture: a class's name, its index, or probabilities; and in which columns.

A sample submission tells by its header and its values. What these leave open is asked for.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs.column_names import LABEL_NAMES, normalised
from tfrecords.inputs.say import Say
from trainer.predicting import together
from trainer.predicting.sample import Sample
from trainer.predicting.together import some
from trainer.predicting.wish import LabelForm, Wish

_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Answers:
    """What is written for each picture.

    Attributes:
      labels: whose probabilities are written, in the order of their columns; () for the class.
      as_index: whether the class is written as its index in label order.
      columns: of the sample, that the answers stand in.
    """

    labels: tuple[int, ...] = ()
    as_index: bool = False
    columns: tuple[int, ...] = ()


def without_sample(wish: Wish, classes: Sequence[str]) -> Answers:
    """Returns what is written where no sample tells.

    Raises:
      UsageError: the run does not know the positive class.
    """
    if wish.probabilities:
        return Answers(tuple(range(len(classes))))
    if wish.positive_class:
        return Answers((known(wish.positive_class, classes, "--positive_class"),))
    return Answers(as_index=wish.form is LabelForm.INDEX)


def of_sample(sample: Sample, wish: Wish, classes: Sequence[str], say: Say) -> Answers:
    """Returns what a sample asks for.

    Args:
      sample: with at least one row.
      wish: what a person says of it.
      classes: of the run, in label order.
      say: told what was understood where it could be something else.

    Raises:
      UsageError: its columns are not those of the run's classes, or it is not clear what is
        expected in them.
    """
    others = [c for c in range(len(sample.header)) if c != sample.id_column]
    label_of = {name: label for label, name in enumerate(classes)}
    labels = {c: label_of.get(unicodedata.normalize("NFC", sample.header[c])) for c in others}
    named = [c for c in others if labels[c] is not None]
    if not others:
        raise UsageError(f"{sample.source} has a column of ids and none for answers")
    if len(others) == 1 and not wish.probabilities:
        return _one_column(sample, others[0], labels[others[0]], wish, classes, say)
    if not named and not wish.probabilities:
        usual = [c for c in others if normalised(sample.header[c]) in LABEL_NAMES]
        if len(usual) == 1:
            say(
                f"{sample.source}: answers go into column {sample.header[usual[0]]!r}; its other "
                "columns stay as they are"
            )
            return _one_column(sample, usual[0], None, wish, classes, say)
    if wish.form is not LabelForm.AUTO or wish.positive_class:
        raise UsageError(
            f"{sample.source} has one column for each class, which is probabilities: leave out "
            "--label_form and --positive_class"
        )
    _check_columns(sample, others, named, classes)
    order = tuple(label for label in labels.values() if label is not None)
    return Answers(order, columns=tuple(others))


def known(name: str, classes: Sequence[str], flag: str) -> int:
    """Returns the label of a class that a flag names.

    Raises:
      UsageError: the run does not know it; names the nearest.
    """
    if name not in classes:
        nearest = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)[0]
        raise UsageError(f"{flag}: the run knows no class {name!r}; did you mean {nearest!r}?")
    return list(classes).index(name)


def _check_columns(
    sample: Sample, others: Sequence[int], named: Sequence[int], classes: Sequence[str]
) -> None:
    header = [unicodedata.normalize("NFC", sample.header[c]) for c in others]
    if told := together.difference(header, classes, "the sample", "the run"):
        hint = "; name its id column with --path_column if that is another" if named else ""
        raise UsageError(
            f"{sample.source}: its columns beside {sample.header[sample.id_column]!r} must be the "
            f"run's {len(classes):,} classes: {told}{hint}"
        )


def _one_column(
    sample: Sample,
    column: int,
    label: int | None,
    wish: Wish,
    classes: Sequence[str],
    say: Say,
) -> Answers:
    """Returns what a sample with one column for answers asks for."""
    name = sample.header[column]
    if wish.positive_class:
        positive = known(wish.positive_class, classes, "--positive_class")
        return Answers((positive,), columns=(column,))
    if wish.form is not LabelForm.AUTO:
        return Answers(as_index=wish.form is LabelForm.INDEX, columns=(column,))
    values = list(
        dict.fromkeys(unicodedata.normalize("NFC", row.values[column]) for row in sample.rows())
    )
    if label is not None and all(map(_NUMBER.fullmatch, values)):
        say(f"{sample.source}: column {name!r} is the probability of that class")
        return Answers((label,), columns=(column,))
    if any(value in classes for value in values):
        _check_names(sample, name, values, classes, say)
        return Answers(columns=(column,))
    _check_indexes(sample, name, values, classes, say)
    return Answers(as_index=True, columns=(column,))


def _check_names(
    sample: Sample, name: str, values: Sequence[str], classes: Sequence[str], say: Say
) -> None:
    """Says which values of a column of class names the run does not know.

    Raises:
      UsageError: there are some, and the column may as well hold indexes.
    """
    strange = [value for value in values if value not in classes]
    if not strange:
        return
    if all(map(_WHOLE.fullmatch, classes)):
        _unclear(sample, name, f"some of its values are not classes, such as {strange[0]!r}")
    say(
        f"{sample.source}: column {name!r} holds names of classes; the run does not know "
        f"{some(strange)}"
    )


def _check_indexes(
    sample: Sample, name: str, values: Sequence[str], classes: Sequence[str], say: Say
) -> None:
    """Says that a column, no value of which is a class, is taken for indexes of classes.

    Raises:
      UsageError: it cannot be.
    """
    if not all(map(_WHOLE.fullmatch, values)):
        if all(map(_NUMBER.fullmatch, values)):
            raise UsageError(
                f"{sample.source}: column {name!r} holds fractions such as {values[0]}: say whose "
                "probability they are with --positive_class=NAME"
            )
        _unclear(sample, name, f"none of its values is a class of the run, such as {values[0]!r}")
    if all(map(_WHOLE.fullmatch, classes)):
        _unclear(sample, name, f"the run's classes are numbers, and {values[0]} is none of them")
    highest = max(map(int, values))
    if highest >= len(classes) or min(map(int, values)) < 0:
        raise UsageError(
            f"{sample.source}: column {name!r} holds whole numbers up to {highest}, and the run's "
            f"classes are 0 to {len(classes) - 1}: --label_form=name writes names"
        )
    listed = ", ".join(f"{number} = {each!r}" for number, each in enumerate(classes[:_NAMED]))
    say(
        f"{sample.source}: column {name!r} holds whole numbers, taken for indexes of the run's "
        f"classes in its order: {listed}{', …' if len(classes) > _NAMED else ''}"
    )


def _unclear(sample: Sample, name: str, why: str) -> None:
    raise UsageError(
        f"{sample.source}: column {name!r} may expect names or indexes of classes: {why}; say "
        "which with --label_form=name or --label_form=index"
    )
