"""What a bake's flags must be: each within its range, and no two that contradict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from beam_pipelines.choices import GroupWithin
from beam_pipelines.flag_rules.values import SPLIT_NAME
from tfrecords.cli import flags
from tfrecords.errors import UsageError
from tfrecords.inputs import filters
from tfrecords.inputs.rules import AUTO
from tfrecords.schema import TRAIN

if TYPE_CHECKING:
    from beam_pipelines.config import PrepareConfig

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_input_and_output(config: PrepareConfig) -> None:
    """Checks how the input is read and what the data set is called.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """
    _check_input_rules(config)
    _check_table(config)
    if not _NAME.fullmatch(config.name):
        raise UsageError(
            f"--name must be lower-case letters, digits and underscores, not {config.name!r}"
        )


def check_dataset(config: PrepareConfig) -> None:
    """Checks what becomes of the pictures, once --splits and --folds are settled.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """
    _check_splits(config.splits)
    _check_numbers(config)
    _check_groups(config)


def _check_input_rules(config: PrepareConfig) -> None:
    filters.check_globs({"include": config.include, "exclude": config.exclude})
    if config.class_level is not None and config.class_level < 1:
        raise UsageError(f"--class_level must be at least 1, not {config.class_level}")
    _check_class_from(config)
    if config.input_csv is None:
        return
    for name, value in (("splits_from", config.splits_from != AUTO),
                        ("class_level", config.class_level), ("include", config.include),
                        ("exclude", config.exclude)):  # fmt: skip
        if value:
            raise UsageError(f"--{name} is for folders and archives, not for an --input_csv")


def _check_class_from(config: PrepareConfig) -> None:
    if config.class_from is None:
        return
    _check_regex("class_from", config.class_from)
    for name, why in (
        ("input_csv", "whose rows name the class of each picture"),
        ("label_column", "which names the classes"),
        ("class_level", "which says which folder is the class"),
    ):
        if getattr(config, name):
            raise UsageError(
                f"--class_from takes the class from the path, and cannot be given with --{name}, "
                f"{why}: leave one of them out"
            )


def _check_regex(name: str, value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise UsageError(f"--{name}={value!r} is not a regular expression: {error}") from error


def _check_table(config: PrepareConfig) -> None:
    flags_of_tables = (
        "path_column", "split_column", "group_column", "csv_separator", "csv_encoding",
    )  # fmt: skip
    for name in flags_of_tables:
        if getattr(config, name) and config.input_csv is None:
            raise UsageError(f"--{name} is for a table: give --input_csv too, or leave it out")


def _check_splits(splits: tuple[tuple[str, float], ...]) -> None:
    names = [name for name, _ in splits]
    text = ",".join(f"{name}:{fraction:g}" for name, fraction in splits)
    if len(set(names)) != len(names) or not all(map(SPLIT_NAME.fullmatch, names)):
        raise UsageError(f"--splits={text}: names must differ and be lower-case words")
    if TRAIN not in names or names[0] != TRAIN:
        raise UsageError(f"--splits={text}: the first split must be {TRAIN!r}")
    if any(not 0 < fraction <= 1 for _, fraction in splits):
        raise UsageError(f"--splits={text}: each fraction must be above 0 and at most 1")
    total = sum(fraction for _, fraction in splits)
    if abs(total - 1) > 1e-6:
        raise UsageError(f"--splits={text}: fractions must add up to 1, they add up to {total:g}")


def _check_numbers(config: PrepareConfig) -> None:
    if not 0 <= config.max_reject_fraction <= 1:
        raise UsageError(f"--max_reject_fraction must be 0 to 1, not {config.max_reject_fraction}")
    for name in ("per_class", "min_per_class", "max_per_class", "num_shards", "max_file_mb"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}")
    if config.per_class is not None and (config.min_per_class or config.max_per_class):
        raise UsageError(
            "--per_class sets both --min_per_class and --max_per_class: give it or them"
        )
    least, most = config.records_per_class
    if (least or 0) > (most or 2**62):
        raise UsageError(f"--min_per_class={least} exceeds --max_per_class={most}")
    with flags.usage_errors():  # Each of these checks the values that it is made of.
        config.balance_policy()
        _ = config.image, config.limits
    if least and not config.augment:
        raise UsageError("--min_per_class needs copies, so --augment must name an operation")
    if not 0 <= (config.near_distance or 0) <= 64:
        raise UsageError(f"--near_distance must be 0 to 64 bits, not {config.near_distance}")
    if config.workers < 0:
        raise UsageError(f"--workers must be auto or at least 0, not {config.workers}")


def _check_groups(config: PrepareConfig) -> None:
    if config.group_by is not None:
        _check_regex("group_by", config.group_by)
    elif config.group_within is not GroupWithin.ALL:
        raise UsageError(
            f"--group_within={config.group_within.value} needs --group_by, whose groups it keeps "
            "within classes"
        )
