"""`PrepareConfig`: everything a bake is told, validated once."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from beam_pipelines.balance_policy import BalancePolicy
from beam_pipelines.choices import (
    BEAM_LOCAL_RUNNER,
    DEFAULT_SPLITS,
    DROP_DISTANCE,
    LOCAL_RUNNER,
    MAX_DISTANCE,
    NATURAL,
    ConflictPolicy,
    GroupWithin,
    NearDuplicates,
    Operation,
    SplitBy,
)
from beam_pipelines.flag_rules import checks
from beam_pipelines.flag_rules.values import (
    auto_of,
    class_order_of,
    classes_map_of,
    operations_of,
    record_size_of,
    settle_folds,
    show_auto,
    show_names,
    show_pairs,
    show_splits,
    splits_from_of,
    splits_of,
)
from tfrecords.cli import flags, values
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import (
    DEFAULT_MAX_PIXELS,
    PixelLimits,
    Truncated,
)
from tfrecords.inputs import table_names
from tfrecords.inputs.options import DEFAULT_MAX_FILE_MB, MEGABYTE, InputOptions, TableOptions
from tfrecords.inputs.rules import AUTO, InputRules
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.system import cores

_INPUT, _PIXELS, _SPLIT = "Input and output", "Pictures", "Split and duplicates"
_BALANCE, _RUNNING = "Balance of the train split", "Running"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareConfig:
    """What to bake, from where, to where. Fields are the flags of `prepare`.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """

    input_dir: str = flag(
        "",
        _INPUT,
        "Class folders with pictures, or a .zip or .tar of them; a path or any URL that "
        "Beam reads (gs://, s3://, hdfs://). Folders such as train/ and test/ above the classes "
        "fix the split.",
        metavar="DIR",
        typed_as=("input", "data_dir", "source", "src", "images", "in"),
    )
    output_dir: str = flag(
        MISSING,
        _INPUT,
        "Directory of the data set.",
        metavar="DIR",
        unless="plan_only",
        typed_as=("output", "out", "dest", "destination"),
    )
    input_csv: str | None = flag(
        None,
        _INPUT,
        "Table with a column of paths or ids, one of classes and optionally one of splits, as CSV, "
        "TSV or JSON, also in COCO's form; paths start from --input_dir, or from the table's own "
        "folder. It may lie in an archive, as in data.zip/labels.csv. Several: a.csv,b.csv, or "
        "with their splits train=a.csv,test=b.csv.",
        metavar="FILE",
        typed_as=("csv", "labels", "table"),
        several=True,
        parse=table_names.joined,
    )
    path_column: str = flag(
        "",
        _INPUT,
        "The table's column of paths or ids, by name or number. Default: path, or a usual name, "
        "which is then printed.",
        metavar="NAME",
        typed_as=("image_column", "file_column", "x_col"),
    )
    label_column: tuple[str, ...] = flag(
        (),
        _INPUT,
        "The column of classes. Several columns: each is a class, with a 1 in the rows of that "
        "class. Default: label, or a usual name, which is then printed.",
        metavar="NAME,…",
        typed_as=("class_column", "target_column", "y_col"),
    )
    split_column: str = flag(
        "",
        _INPUT,
        "The column of splits, or none if no column is to be read as such. Default: split, or a "
        "usual name, which is then printed.",
        metavar="NAME",
    )
    group_column: str = flag(
        "",
        _INPUT,
        "The column of what several pictures are of: a patient, lesion, track, site, photographer. "
        "Pictures with the same value stay in one split; those without a value are on their own.",
        metavar="NAME",
        typed_as=("group", "groups", "group_col", "patient_column"),
    )
    csv_separator: str = flag(
        "",
        _INPUT,
        "Character between the table's fields, or tab. Default: detected from its first lines.",
        metavar="CHARACTER",
        typed_as=("sep", "separator", "delimiter"),
    )
    csv_encoding: str = flag(
        "",
        _INPUT,
        "Encoding of the table, such as cp1252. Default: UTF-8, or what its byte order mark says.",
        metavar="CODEC",
        typed_as=("encoding",),
    )
    zip_encoding: str = flag(
        "",
        _INPUT,
        "Encoding of names in an archive that are not UTF-8, such as cp932 or gbk. Default: a "
        "guess, which is then printed.",
        metavar="CODEC",
        typed_as=("archive_encoding", "name_encoding"),
    )
    splits_from: str | tuple[tuple[str, str], ...] = flag(
        AUTO,
        _INPUT,
        "Which folders are splits. auto: those whose names and content leave no doubt; folders: "
        "those with the name of a split; none: no folder; or a split for each folder, as in "
        "fold1:train,fold2:test.",
        metavar="auto|folders|none|FOLDER:SPLIT,…",
        parse=splits_from_of,
        show=show_pairs,
    )
    class_level: int | None = flag(
        None,
        _INPUT,
        "Which folder of a path below the input is the class, 1 for the top one. Default: derived "
        "from all names.",
        metavar="N",
    )
    class_from: str | None = flag(
        None,
        _INPUT,
        "Regular expression on a picture's path below the input: what its first group captures, "
        "or all that it matches, is the class, as in '([^/]+)_[0-9]+\\.jpg' for cat_1.jpg.",
        metavar="REGEX",
        typed_as=("class_regex", "class_pattern", "label_from", "label_regex", "label_pattern"),
    )
    include: tuple[str, ...] = flag(
        (),
        _INPUT,
        "Read only files that one of these globs matches: *.png, cat/**, /train. They match at any "
        "folder of a path, or at the top if they begin with a slash; one that matches a folder "
        "matches all in it.",
        metavar="GLOB,…",
        typed_as=("only", "pattern"),
    )
    exclude: tuple[str, ...] = flag(
        (), _INPUT, "Leave out files that match one of these globs, even if --include matches.",
        metavar="GLOB,…",
        typed_as=("ignore", "skip"),
    )  # fmt: skip
    class_order: str | tuple[str, ...] = flag(
        NATURAL,
        _INPUT,
        "Order of the labels. natural: 2 before 10; name: by characters, as torchvision and Keras "
        "do; or a file with one class per line.",
        metavar="natural|name|FILE",
        parse=class_order_of,
        show=show_names,
    )
    classes_map: str | tuple[tuple[str, str], ...] | None = flag(
        None,
        _INPUT,
        "CSV with the columns from and to, which renames or merges classes; an empty to, or -, "
        "drops one.",
        metavar="FILE",
        typed_as=("class_map", "label_map"),
        parse=classes_map_of,
        show=show_pairs,
    )
    name: str = flag(
        "dataset", _INPUT, "Name of the data set; begins every shard's file name.", metavar="NAME"
    )
    overwrite: bool = flag(
        False, _INPUT, "Replace a complete data set in --output_dir.", typed_as=("force",)
    )
    keep_cache: bool = flag(
        False,
        _INPUT,
        "Keep decoded images under OUTPUT_DIR/.cache: the next bake with another balance, split "
        "or a few more pictures decodes only what is new.",
    )

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
            object.__setattr__(self, "input_dir", checks.folder_of(self.input_tables))
        if not self.output_dir and not self.plan_only:
            raise UsageError("--output_dir is required: directory of the data set")
        checks.check_input_and_output(self)
        with flags.usage_errors():
            splits, folds = settle_folds(self.splits, self.folds)
        object.__setattr__(self, "splits", splits)
        object.__setattr__(self, "folds", folds)
        checks.check_dataset(self)

    @property
    def input_tables(self) -> tuple[str, ...]:
        """Paths of the tables that --input_csv names."""
        named = () if self.input_csv is None else table_names.named_tables(self.input_csv)
        return tuple(table.path for table in named)

    def input_rules(self) -> InputRules:
        """Returns which files are read, and what their folders mean."""
        told = self.splits_from if isinstance(self.splits_from, tuple) else ()
        return InputRules(
            include=self.include,
            exclude=self.exclude,
            splits_from=AUTO if isinstance(self.splits_from, tuple) else self.splits_from,
            split_folders=dict(told),
            class_level=self.class_level,
            class_from=self.class_from,
        )

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
