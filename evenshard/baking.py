"""Baking from Python: `bake` and `plan`, which the commands of these names do too."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence

from beam_pipelines import flags as beam_flags
from beam_pipelines import prepare, preview
from beam_pipelines.config import PrepareConfig
from evenshard.arguments import (
    PathLike,
    configuration,
    documented,
    naming_arguments,
    speaking_python,
)
from evenshard.dataset import Dataset
from evenshard.plan_result import Plan
from tfrecords.cli import parsing
from tfrecords.errors import UsageError

# (height, width), the side of a square, or either as text.
ImageSize = int | str | tuple[int, int]
Splits = str | Mapping[str, float] | Sequence[tuple[str, float]]
# A mapping, or such pairs.
Pairs = Mapping[str, str] | Sequence[tuple[str, str]]
BeamOptions = str | Sequence[str] | Mapping[str, object]


@documented(PrepareConfig)
@naming_arguments()
@speaking_python()
def bake(
    input_dir: PathLike | PrepareConfig = "",
    output_dir: PathLike = "",
    *,
    input_csv: PathLike | Sequence[PathLike] | Mapping[str, PathLike] | None = None,
    path_column: str = "",
    label_column: str | Sequence[str] = (),
    split_column: str = "",
    group_column: str = "",
    csv_separator: str = "",
    csv_encoding: str = "",
    zip_encoding: str = "",
    splits_from: str | Pairs = "auto",
    class_level: int | None = None,
    class_from: str | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    class_order: PathLike | Sequence[str] = "natural",
    classes_map: PathLike | Pairs | None = None,
    name: str = "dataset",
    overwrite: bool = False,
    keep_cache: bool = False,
    image_size: ImageSize = 224,
    resize: str = "squash",
    encoding: str = "jpeg",
    jpeg_quality: int = 95,
    min_source_pixels: int = 1,
    max_source_pixels: int = 178_956_970,
    truncated: str = "keep",
    max_file_mb: int = 200,
    max_reject_fraction: float = 0.05,
    splits: Splits = "train:0.8,validation:0.1,test:0.1",
    folds: int | None = None,
    seed: int = 0,
    near_duplicates: str = "group",
    near_distance: int | None = None,
    label_conflicts: str = "keep_first",
    group_by: str | None = None,
    group_within: str = "all",
    split_by: str = "auto",
    allow_empty_splits: bool = False,
    per_class: int | None = None,
    min_per_class: int | None = None,
    max_per_class: int | None = None,
    balance: str | None = None,
    augment: str | Sequence[str] = ("crop", "flip", "color"),
    num_shards: int | str | None = "auto",
    workers: int | str | None = "auto",
    runner: str = "local",
    beam_options: BeamOptions = (),
) -> Dataset:
    """Bakes a folder of labelled pictures into balanced TFRecord shards.

    The arguments are the flags of `evenshard bake`. A `PrepareConfig` may stand for all of them.

    >>> import evenshard
    >>> dataset = evenshard.bake("pictures", "baked", image_size=16, per_class=20)
    >>> dataset.counts("train")
    {'apu': 20, 'bart': 20, 'lisa': 20}

    Returns:
      The data set in `output_dir`.

    Raises:
      UsageError: an argument is wrong, the input is not as expected, or `output_dir` holds a
        complete data set of other arguments or another input. That of the same is returned.
      BakeError: the bake cannot go on; called again, it carries on where it was.
      MissingExtraError: Beam is not installed, and `runner` or a URL asks for it.
    """
    given = {**locals(), "beam_options": _listed(beam_options)}
    config = configuration(PrepareConfig, bake, given)
    if config.plan_only:
        raise UsageError("plan_only=True bakes nothing: call evenshard.plan")
    beam_flags.require_beam(config)
    prepare.bake(_with_checked_options(config))
    return Dataset(config.output_dir)


@documented(PrepareConfig)
@naming_arguments()
@speaking_python()
def plan(
    input_dir: PathLike | PrepareConfig = "",
    output_dir: PathLike = "",
    *,
    input_csv: PathLike | Sequence[PathLike] | Mapping[str, PathLike] | None = None,
    path_column: str = "",
    label_column: str | Sequence[str] = (),
    split_column: str = "",
    group_column: str = "",
    csv_separator: str = "",
    csv_encoding: str = "",
    zip_encoding: str = "",
    splits_from: str | Pairs = "auto",
    class_level: int | None = None,
    class_from: str | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    class_order: PathLike | Sequence[str] = "natural",
    classes_map: PathLike | Pairs | None = None,
    name: str = "dataset",
    overwrite: bool = False,
    keep_cache: bool = False,
    image_size: ImageSize = 224,
    resize: str = "squash",
    encoding: str = "jpeg",
    jpeg_quality: int = 95,
    min_source_pixels: int = 1,
    max_source_pixels: int = 178_956_970,
    truncated: str = "keep",
    max_file_mb: int = 200,
    max_reject_fraction: float = 0.05,
    splits: Splits = "train:0.8,validation:0.1,test:0.1",
    folds: int | None = None,
    seed: int = 0,
    near_duplicates: str = "group",
    near_distance: int | None = None,
    label_conflicts: str = "keep_first",
    group_by: str | None = None,
    group_within: str = "all",
    split_by: str = "auto",
    allow_empty_splits: bool = False,
    per_class: int | None = None,
    min_per_class: int | None = None,
    max_per_class: int | None = None,
    balance: str | None = None,
    augment: str | Sequence[str] = ("crop", "flip", "color"),
    num_shards: int | str | None = "auto",
    workers: int | str | None = "auto",
    runner: str = "local",
    beam_options: BeamOptions = (),
) -> Plan:
    """Returns what `bake` would give for the same arguments; writes nothing.

    Every file is listed, a sample of them is decoded. Duplicates and broken pictures are known
    only after decoding all, so each file counts as a picture of its own. `output_dir` may be left
    out.

    >>> import evenshard
    >>> plan = evenshard.plan("pictures", image_size=16, per_class=20)
    >>> plan.counts("train")
    {'apu': 20, 'bart': 20, 'lisa': 20}
    >>> plan.copies("train")
    {'apu': 0, 'bart': 7, 'lisa': 15}

    Raises:
      UsageError: an argument is wrong, or the input is not as expected.
    """
    given = {**locals(), "beam_options": _listed(beam_options)}
    if not output_dir and not isinstance(input_dir, PrepareConfig):
        given["output_dir"] = "."  # Nothing is written there.
    config = configuration(PrepareConfig, plan, given)
    beam_flags.require_beam(config)
    # A compressed archive is unpacked beside the output, which a plan leaves alone.
    with tempfile.TemporaryDirectory(prefix="evenshard-") as folder:
        return Plan(preview.preview(dataclasses.replace(config, output_dir=folder)))


def _listed(options: BeamOptions) -> tuple[str, ...]:
    """Returns Beam's options as its command line has them."""
    if isinstance(options, str):
        return tuple(options.split())
    if isinstance(options, Mapping):
        return tuple(
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in options.items()
            if value is not False
        )
    return tuple(options)


def _with_checked_options(config: PrepareConfig) -> PrepareConfig:
    """Returns the configuration with Beam's options as Beam spells them.

    Raises:
      UsageError: Beam has no such option; it would drop it in silence.
    """
    verdict = beam_flags.check_beam_flags(config.beam_options)
    if verdict.refused:
        typed = verdict.refused[0].partition("=")[0].lstrip("-")
        meant = parsing.nearest(typed, verdict.known)
        if verdict.note:
            raise UsageError(f"beam_options: {typed!r} is unknown here; {verdict.note}")
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise UsageError(f"beam_options: Beam has no option {typed!r}{hint}")
    return dataclasses.replace(config, beam_options=tuple(verdict.accepted))
