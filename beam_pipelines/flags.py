"""The flags of the bake ⇄ `PrepareConfig`, and the check of what is left for Beam."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from beam_pipelines.config import (
    DEFAULT_SPLITS,
    NearDuplicates,
    Operation,
    PrepareConfig,
    SplitBy,
)
from beam_pipelines.similarity.duplicates import DROP_DISTANCE, MAX_DISTANCE, ConflictPolicy
from tfrecords.cli.run import CommandParser, ForeignFlags, usage_errors, whole_number
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import DEFAULT_MAX_PIXELS, PixelLimits
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.system import cores

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

LOCAL_RUNNER = "FnApiRunner"

_EXAMPLES = """examples:
  python -m beam_pipelines.prepare --input_dir=pictures --output_dir=shards --per_class=300
  python -m beam_pipelines.prepare --input_dir=train.zip --output_dir=shards --image_size=128
  python -m beam_pipelines.prepare --input_dir=gs://b/pictures --output_dir=gs://b/shards \\
      --runner=DataflowRunner --project=p --region=r --temp_location=gs://b/tmp

Every option of Apache Beam passes through, as --runner and --project do above."""


def make_parser() -> CommandParser:
    """Returns the parser of `python -m beam_pipelines.prepare`."""
    parser = CommandParser(
        "beam_pipelines.prepare",
        "--input_dir=DIR --output_dir=DIR",
        "Bakes a folder of labelled pictures into balanced TFRecord shards.",
        _EXAMPLES,
    )
    _add_input(parser.add_argument_group("input and output"))
    _add_pixels(parser.add_argument_group("pictures"))
    _add_split(parser.add_argument_group("split and duplicates"))
    _add_balance(parser.add_argument_group("balance of the train split"))
    _add_running(parser.add_argument_group("running"))
    return parser


def config_of(flags: argparse.Namespace) -> PrepareConfig:
    """Returns the configuration that parsed flags ask for.

    Raises:
      UsageError: a value is out of range or contradicts another.
    """
    with usage_errors():
        height, width = _image_size(flags.image_size)
        least, most = _per_class(flags)
        return PrepareConfig(
            input_dir=flags.input_dir or os.path.dirname(flags.input_csv) or ".",
            input_csv=flags.input_csv,
            output_dir=flags.output_dir,
            name=flags.name,
            image=ImageSpec(
                height, width, Resize(flags.resize), Encoding(flags.encoding), flags.jpeg_quality
            ),
            limits=PixelLimits(flags.min_source_pixels, flags.max_source_pixels),
            splits=_splits(flags.splits),
            seed=flags.seed,
            min_per_class=least,
            max_per_class=most,
            balance=flags.balance,
            augment=_operations(flags.augment),
            near_duplicates=NearDuplicates(flags.near_duplicates),
            near_distance=flags.near_distance,
            label_conflicts=flags.label_conflicts,
            group_by=flags.group_by,
            split_by=SplitBy(flags.split_by),
            max_reject_fraction=flags.max_reject_fraction,
            num_shards=None if flags.num_shards == "auto" else int(flags.num_shards),
            keep_cache=flags.keep_cache,
            overwrite=flags.overwrite,
            plan_only=flags.plan_only,
            workers=_workers(flags.workers, flags.runner),
        )


def check_beam_flags(arguments: Sequence[str]) -> ForeignFlags:
    """Judges the arguments that are none of ours: every flag must be one of Beam's."""
    if not arguments:
        return ForeignFlags()
    options = beam_options(arguments)
    with _quiet_beam():
        known = options.get_all_options()
        unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
    refused = [
        argument
        for argument in arguments
        if not argument.startswith("--") or argument[2:].partition("=")[0] in unknown
    ]
    # The value of `--flag value` stands alone: it belongs to the flag before it.
    refused = [
        argument
        for argument in refused
        if argument.startswith("-") or not _is_value(argument, arguments)
    ]
    return ForeignFlags(refused=refused, known=[f"--{name}" for name in known])


def beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Returns Beam's options for the arguments that are Beam's; imports Beam."""
    with _quiet_beam():
        from apache_beam.options.pipeline_options import PipelineOptions

        return PipelineOptions(list(arguments))


def runs_here(arguments: Sequence[str]) -> bool:
    """Returns whether Beam runs the steps in this process: its local runner, as it is by itself."""
    elsewhere = any(argument.startswith("--direct_running_mode") for argument in arguments)
    return f"--runner={LOCAL_RUNNER}" in arguments and not elsewhere


@contextlib.contextmanager
def _quiet_beam() -> Iterator[None]:
    """Silences what Beam 2.77 logs of optional packages and of flags that we check ourselves."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _is_value(argument: str, arguments: Sequence[str]) -> bool:
    before = arguments[arguments.index(argument) - 1] if arguments.index(argument) else ""
    return before.startswith("--") and "=" not in before


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input_dir",
        metavar="DIR",
        help="class folders with pictures in them, or a .zip or .tar of such; a path or any "
        "URL that Beam reads (gs://, s3://, hdfs://). Folders train/, validation/, test/ at the "
        "top fix the split",
    )
    group.add_argument(
        "--input_csv",
        metavar="FILE",
        help="table with a header that names path, label and optionally split; paths start "
        "from --input_dir, or from the table's own folder",
    )
    group.add_argument("--output_dir", metavar="DIR", required=True, help="the data set")
    group.add_argument(
        "--name", default="dataset", help="of the data set; begins every shard's file name"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the complete data set that is there"
    )
    group.add_argument(
        "--keep_cache",
        action="store_true",
        help="keep decoded images under OUTPUT_DIR/.cache: the next bake with another balance, "
        "split or a few more pictures decodes only what is new",
    )


def _add_pixels(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--image_size", default="224", metavar="N|HxW", help="pixels")
    group.add_argument(
        "--resize",
        default=Resize.SQUASH.value,
        choices=[mode.value for mode in Resize],
        help="squash: ignore the aspect ratio; pad: black bars; crop: the centre; short_side: "
        "keep the whole picture, sizes then differ",
    )
    group.add_argument(
        "--encoding",
        default=Encoding.JPEG.value,
        choices=[encoding.value for encoding in Encoding],
        help="raw is largest and fastest to read",
    )
    group.add_argument("--jpeg_quality", type=int, default=95, metavar="1..100", help="of records")
    group.add_argument(
        "--min_source_pixels",
        type=int,
        default=1,
        metavar="N",
        help="reject pictures of fewer pixels, width times height",
    )
    group.add_argument(
        "--max_source_pixels",
        type=int,
        default=DEFAULT_MAX_PIXELS,
        metavar="N",
        help="reject pictures of more pixels",
    )
    group.add_argument(
        "--max_reject_fraction",
        type=float,
        default=0.05,
        metavar="0..1",
        help="fail if more of the files than this are rejected; the table of sources is written "
        "all the same",
    )


def _add_split(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--splits",
        default=",".join(f"{name}:{fraction:g}" for name, fraction in DEFAULT_SPLITS),
        metavar="NAME:F,…",
        help="fractions of each class; the first is train",
    )
    group.add_argument("--seed", type=int, default=0, help="of split, ranks and copies")
    group.add_argument(
        "--near_duplicates",
        default=NearDuplicates.GROUP.value,
        choices=[mode.value for mode in NearDuplicates],
        help="group: keep pictures that look the same in one split; drop: keep one of them",
    )
    group.add_argument(
        "--near_distance",
        type=int,
        metavar="BITS",
        help="of 256 in the fingerprint that near duplicates may differ in (default: "
        f"{MAX_DISTANCE} to group, {DROP_DISTANCE} to drop)",
    )
    group.add_argument(
        "--label_conflicts",
        default=ConflictPolicy.KEEP_FIRST.value,
        choices=[policy.value for policy in ConflictPolicy],
        help="what to do with equal files under two classes",
    )
    group.add_argument(
        "--group_by",
        metavar="REGEX",
        help="on a picture's path below the input; pictures whose match (or first group) is "
        "equal, as of one video or patient, stay in one split",
    )
    group.add_argument(
        "--split_by",
        default=SplitBy.RANDOM.value,
        choices=[mode.value for mode in SplitBy],
        help="random, or appearance: deal whole clusters of pictures that look alike, for an "
        "honest estimate where pictures are kin and neither names nor hashes show it",
    )


def _add_balance(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--per_class",
        type=whole_number(1),
        metavar="N",
        help="exactly N records a class: larger ones are capped, smaller ones get copies. "
        "Without any of these flags nothing is balanced",
    )
    group.add_argument(
        "--min_per_class", type=whole_number(1), metavar="N", help="copies up to N a class"
    )
    group.add_argument(
        "--max_per_class", type=whole_number(1), metavar="N", help="at most N a class"
    )
    group.add_argument(
        "--balance",
        metavar="power:A|effective:B",
        help="targets from class sizes: size to the power A, or by the effective number of "
        "samples at B",
    )
    group.add_argument(
        "--augment",
        default="flip,crop,color",
        metavar="OP,…",
        help="operations that make copies: "
        + ", ".join(operation.value for operation in Operation)
        + "; or none",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--num_shards", default="auto", metavar="auto|N", help="of the train split")
    group.add_argument(
        "--plan_only",
        action="store_true",
        help="print what a bake would give, per class, with an estimate of its time; write nothing",
    )
    group.add_argument(
        "--workers",
        default="auto",
        metavar="auto|N",
        help="processes that decode: by default one per core, or none beside the workers that "
        "another runner starts; 1 or more isolate a picture that kills its decoder",
    )
    group.add_argument(
        "--runner", default=LOCAL_RUNNER, help="Beam's runner, e.g. FlinkRunner, DataflowRunner"
    )


def _image_size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width or height)
    except ValueError as error:
        raise UsageError(
            f"--image_size must be N or HxW, as in 128 or 96x128, not {text!r}"
        ) from error


def _per_class(flags: argparse.Namespace) -> tuple[int | None, int | None]:
    if flags.per_class is None:
        return flags.min_per_class, flags.max_per_class
    if flags.min_per_class is not None or flags.max_per_class is not None:
        raise UsageError("--per_class sets both --min_per_class and --max_per_class; give one")
    return flags.per_class, flags.per_class


def _splits(text: str) -> tuple[tuple[str, float], ...]:
    pairs = []
    for part in text.split(","):
        name, _, fraction = part.partition(":")
        try:
            pairs.append((name.strip(), float(fraction)))
        except ValueError as error:
            raise UsageError(
                f"--splits must be name:fraction,… as in train:0.8,test:0.2, not {text!r}"
            ) from error
    return tuple(pairs)


def _operations(text: str) -> tuple[Operation, ...]:
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    known = [operation.value for operation in Operation]
    for name in names:
        if name not in known:
            raise UsageError(f"--augment knows {', '.join(known)} and none, not {name!r}")
    return tuple(operation for operation in Operation if operation.value in names)


def _workers(text: str, runner: str) -> int:
    if text == "auto":
        return cores.usable() if runner == LOCAL_RUNNER else 0
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"--workers must be auto or a number, not {text!r}") from error
