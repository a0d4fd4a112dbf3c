"""What a data set lacks of what the flags ask for: said before a run, and refused by a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import TrainConfig
from trainer.data import idle
from trainer.data.selection import Source

# Names that a line gives of many.
_SHOWN = 3


def shortfalls(config: TrainConfig, train: Source, validation: Source) -> list[str]:
    """Returns a line for each thing that a run will do otherwise than its flags say.

    Args:
      config: with --batch_size resolved.
      train: the records to train on.
      validation: the records to validate on.
    """
    few = too_many_per_class(config, train)
    lines = [
        judged_on_training(config),
        f"{few}: every one is trained on" if few else _some_below(config, train),
        _batch_above(config, train),
        *idle.notes(config),
        _unvalidated(validation),
    ]
    return [line for line in lines if line]


def judged_on_training(config: TrainConfig) -> str:
    """Returns that a run is validated on what it is trained on; empty where it is not."""
    if config.validation_split != config.train_split:
        return ""
    return (
        f"--validation_split={config.validation_split} is what the run trains on: its numbers say "
        "nothing about new pictures, nor does its best epoch or its temperature"
    )


def too_many_per_class(config: TrainConfig, train: Source) -> str:
    """Returns that --per_class is above what any class has; empty where it is not."""
    most = max(_available(config, train))
    if config.per_class is None or config.per_class <= most:
        return ""
    return f"--per_class={config.per_class} is above the bake's {most:,} {_what(config)} a class"


def _some_below(config: TrainConfig, train: Source) -> str:
    """Returns that some classes, not all, have fewer records than --per_class."""
    if config.per_class is None:
        return ""
    available = _available(config, train)
    few = [i for i, number in enumerate(available) if number < config.per_class]
    if not few:
        return ""
    classes = train.selection.classes
    least = min(few, key=lambda i: available[i])
    return (
        f"{len(few):,} of {len(classes):,} classes have fewer {_what(config)} than "
        f"--per_class={config.per_class}, the fewest {classes[least]!r} with {available[least]:,}: "
        "the classes are not balanced"
    )


def _batch_above(config: TrainConfig, train: Source) -> str:
    """Returns that a batch is larger than the data."""
    size = config.fixed_batch_size
    takes_steps = not config.fits_head or config.unfreeze_epochs
    if size <= train.records or not takes_steps:
        return ""
    return (
        f"--batch_size={size} is above the {train.records:,} pictures of an epoch: each epoch is "
        "one step, filled up with repeats that do not count"
    )


def _unvalidated(validation: Source) -> str:
    """Returns that some classes have no validation picture."""
    counts = validation.selection.counts(validation.split)
    names = [n for n, c in zip(validation.selection.classes, counts, strict=True) if not c]
    if not names:
        return ""
    have = "has" if len(names) == 1 else "have"
    return (
        f"{len(names):,} of {len(counts):,} classes {have} no picture in split "
        f"{validation.split.name!r}, so nothing will be known about {_listed(names)}"
    )


def _available(config: TrainConfig, train: Source) -> list[int]:
    """Returns the records that the bake has of each selected class."""
    split = train.split
    return [
        split.originals[label] + (0 if config.originals_only else split.copies[label])
        for label in train.selection.labels
    ]


def _what(config: TrainConfig) -> str:
    return "originals" if config.originals_only else "records"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    more = len(names) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
