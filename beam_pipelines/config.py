"""`PrepareConfig`: everything a bake is told, validated once."""

from __future__ import annotations

from dataclasses import dataclass

from beam_pipelines.balance_policy import BalancePolicy
from beam_pipelines.choices import (
    BEAM_LOCAL_RUNNER,
    DEFAULT_SPLITS,
    DROP_DISTANCE,
    LOCAL_RUNNER,
    MAX_DISTANCE,
    ConflictPolicy,
    GroupWithin,
    NearDuplicates,
    Operation,
    SplitBy,
)
from beam_pipelines.flag_rules import checks
from beam_pipelines.flag_rules.values import (
    auto_of,
    operations_of,
    record_size_of,
    settle_folds,
    show_auto,
    show_splits,
    splits_of,
)
from beam_pipelines.input_flags import InputFlags
from tfrecords.cli import flags, values
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import (
    DEFAULT_MAX_PIXELS,
    PixelLimits,
    Truncated,
)
from tfrecords.inputs.options import DEFAULT_MAX_FILE_MB, MEGABYTE, InputOptions, TableOptions
from tfrecords.inputs.table_names import common_folder
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.system import cores

_PIXELS, _SPLIT = "Pictures", "Split and duplicates"
_BALANCE, _RUNNING = "Balance of the train split", "Running"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareConfig(InputFlags):
    """What to bake, from where, to where. Fields are the flags of `prepare`.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """

    image_size: tuple[int, int] = flag(
        224,
        _PIXELS,
        "Size of the records in pixels.",
        metavar="N|HxW",
        typed_as=("imgsz", "img_size", "resolution"),
        parse=record_size_of,
        show=values.show_size,
    )
    resize: Resize = flag(
        Resize.SQUASH,
        _PIXELS,
        "squash: ignore the aspect ratio; pad: black bars; crop: the centre; short_side: keep "
        "the whole picture, sizes then differ.",
    )
    encoding: Encoding = flag(
        Encoding.JPEG, _PIXELS, "raw is the largest and the fastest to read.", typed_as=("format",)
    )
    jpeg_quality: int = flag(
        95, _PIXELS, "Quality of JPEG records.", metavar="1..100", typed_as=("quality",)
    )
    min_source_pixels: int = flag(
        1, _PIXELS, "Reject pictures of fewer pixels, width times height.", metavar="N"
    )
    max_source_pixels: int = flag(
        DEFAULT_MAX_PIXELS, _PIXELS, "Reject pictures of more pixels.", metavar="N"
    )
    truncated: str = flag(
        Truncated.KEEP.value,
        _PIXELS,
        "JPEGs without their last marker. keep: keep those that lack at most 5% of their rows, as "
        "image viewers show them, with a note in sources.parquet.",
        choices=(Truncated.KEEP.value, Truncated.REJECT.value),
    )
    max_file_mb: int = flag(
        DEFAULT_MAX_FILE_MB,
        _PIXELS,
        "Reject files larger than N MB without reading them; also the most that is decompressed "
        "of a file in an archive.",
        metavar="N",
    )
    max_reject_fraction: float = flag(
        0.05,
        _PIXELS,
        "Fail if a larger share of the files is rejected; sources.parquet is written in any case.",
        metavar="0..1",
    )

    splits: tuple[tuple[str, float], ...] = flag(
        DEFAULT_SPLITS,
        _SPLIT,
        "Fractions of each class; the first is train. If the input fixes splits, those that it "
        "lacks are taken from train; of the default ones, only validation. folds:5,test:0.1 "
        "divides train into folds: see --folds.",
        metavar="NAME:F,…|folds:K,…",
        typed_as=("split", "test_size", "validation_split", "val_split"),
        parse=splits_of,
        show=show_splits,
    )
    folds: int | None = flag(
        None,
        _SPLIT,
        "Divide train into K folds, 2 to 20: one bake serves evenshard train --fold=0 to K-1, each "
        "with that fold for validation. Same as --splits=folds:K.",
        metavar="K",
        typed_as=("kfold", "k_fold", "n_splits", "cv"),
    )
    seed: int = flag(0, _SPLIT, "Seed of the split, the ranks and the copies.", metavar="N")
    near_duplicates: NearDuplicates = flag(
        NearDuplicates.GROUP,
        _SPLIT,
        "group: keep pictures that look the same in one split; drop: keep one of them.",
    )
    near_distance: int | None = flag(
        None,
        _SPLIT,
        "Bits of 256 in the fingerprint that near duplicates may differ in. Default: "
        f"{MAX_DISTANCE} to group, {DROP_DISTANCE} to drop.",
        metavar="BITS",
    )
    label_conflicts: ConflictPolicy = flag(
        ConflictPolicy.KEEP_FIRST, _SPLIT, "What to do with equal files under two classes."
    )
    group_by: str | None = flag(
        None,
        _SPLIT,
        "Regular expression on a picture's path below the input. Pictures with the same match (or "
        "first group), such as frames of one video, stay in one split.",
        metavar="REGEX",
    )
    group_within: GroupWithin = flag(
        GroupWithin.ALL,
        _SPLIT,
        "class: equal matches of --group_by in two classes are two groups, for numbers that start "
        "again in each class.",
    )
    allow_empty_splits: bool = flag(
        False,
        _SPLIT,
        "Bake even if a requested split gets no picture, e.g. because groups are too large.",
    )
    split_by: SplitBy = flag(
        SplitBy.AUTO,
        _SPLIT,
        "appearance keeps similar-looking pictures in one split, for an honest estimate where "
        "file names do not tell what belongs together; random assigns each picture separately; "
        "if many pictures are related, such as frames of videos, auto keeps those together whose "
        "names tell that they are, or else is appearance, and says so; if not, it is random.",
    )

    per_class: int | None = flag(
        None,
        _BALANCE,
        "Exactly N train records per class: larger classes are capped, smaller ones get augmented "
        "copies. Without any of these flags nothing is balanced.",
        metavar="N",
    )
    min_per_class: int | None = flag(
        None, _BALANCE, "Fill smaller classes with augmented copies up to N.", metavar="N"
    )
    max_per_class: int | None = flag(
        None, _BALANCE, "At most N train records per class.", metavar="N"
    )
    balance: str | None = flag(
        None,
        _BALANCE,
        "Targets from class sizes: size to the power A, or by the effective number of samples "
        "at B.",
        metavar="power:A|effective:B",
    )
    augment: tuple[Operation, ...] = flag(
        (Operation.CROP, Operation.FLIP, Operation.COLOR),
        _BALANCE,
        "Operations that make copies: "
        + ", ".join(operation.value for operation in Operation)
        + "; or none.",
        metavar="OP,…",
        parse=operations_of,
    )

    num_shards: int | None = flag(
        None,
        _RUNNING,
        "Shards of the train split; auto goes by its bytes.",
        metavar="auto|N",
        typed_as=("shards",),
        parse=auto_of,
        show=show_auto,
    )
    plan_only: bool = flag(
        False,
        _RUNNING,
        "Print what a bake would write, per class, with an estimate of its time; bake nothing. "
        "With --output_dir, a page there shows it too.",
        typed_as=("dry_run",),
    )
    workers: int = flag(
        None,
        _RUNNING,
        "Processes that decode; auto: one per core, or none beside the workers that another "
        "runner starts. 1 or more isolate a picture that kills its decoder.",
        metavar="auto|N",
        typed_as=("num_workers", "jobs", "threads"),
        parse=auto_of,
        show=show_auto,
    )
    runner: str = flag(
        LOCAL_RUNNER, _RUNNING, "local: this machine, without Beam; or a runner of Beam, such as "
        "FnApiRunner (this machine), FlinkRunner or DataflowRunner.",
        metavar="local|RUNNER",
    )  # fmt: skip
    beam_options: tuple[str, ...] = flags.rest()

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if self.workers is None:
            local = self.runner in (LOCAL_RUNNER, BEAM_LOCAL_RUNNER)
            object.__setattr__(self, "workers", cores.usable() if local else 0)
        if not self.input_dir:
            if self.input_csv is None:
                raise UsageError(
                    "--input_dir is required (or --input_csv): class folders with pictures in "
                    "them, or a .zip or .tar of such"
                )
            object.__setattr__(self, "input_dir", common_folder(self.input_tables))
        if not self.output_dir and not self.plan_only:
            raise UsageError("--output_dir is required: directory of the data set")
        checks.check_input_and_output(self)
        with flags.usage_errors():
            splits, folds = settle_folds(self.splits, self.folds)
        object.__setattr__(self, "splits", splits)
        object.__setattr__(self, "folds", folds)
        checks.check_dataset(self)

    @property
    def image(self) -> ImageSpec:
        """Size and encoding of the records."""
        return ImageSpec(*self.image_size, self.resize, self.encoding, self.jpeg_quality)

    def input_options(self, spool_dir: str = "") -> InputOptions:
        """Returns how the input is to be read.

        Args:
          spool_dir: folder for the plain form of a compressed tar.
        """
        table = TableOptions(
            path_column=self.path_column,
            label_column=self.label_column,
            split_column=self.split_column,
            separator=self.csv_separator,
            encoding=self.csv_encoding,
            splits=self.split_names,
            group_column=self.group_column,
        )
        return InputOptions(table, self.zip_encoding, self.max_file_mb * MEGABYTE, spool_dir)

    @property
    def limits(self) -> PixelLimits:
        """Bounds on a source's pixels."""
        return PixelLimits(
            self.min_source_pixels, self.max_source_pixels, truncated=Truncated(self.truncated)
        )

    @property
    def records_per_class(self) -> tuple[int | None, int | None]:
        """The least and the most train records of a class; None where there is no bound."""
        if self.per_class is not None:
            return self.per_class, self.per_class
        return self.min_per_class, self.max_per_class

    @property
    def balances(self) -> bool:
        """Whether the train split is to be balanced at all."""
        return bool(self.balance or any(self.records_per_class))

    @property
    def beam_arguments(self) -> tuple[str, ...]:
        """What Beam's own options are made of, the runner among them."""
        return (f"--runner={self.runner}", *self.beam_options)

    def balance_policy(self) -> BalancePolicy:
        """Returns the policy that `balance` and the bounds ask for.

        Raises:
          ValueError: `balance` is none of the rules, or a number is out of range.
        """
        rule, _, number = (self.balance or "").partition(":")
        try:
            value = float(number) if rule else None
        except ValueError:
            rule = "unknown"
        if rule not in ("", "power", "effective"):
            raise ValueError(
                f"--balance must be power:A or effective:B, as in power:0.5, not {self.balance!r}"
            )
        return BalancePolicy(
            min_per_class=self.records_per_class[0],
            max_per_class=self.records_per_class[1],
            power=value if rule == "power" else None,
            effective_beta=value if rule == "effective" else None,
        )

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(name for name, _ in self.splits)
