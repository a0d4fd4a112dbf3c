"""What a bake reads and where it writes: `InputFlags`, the first flags of `PrepareConfig`."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from beam_pipelines.choices import NATURAL
from beam_pipelines.flag_rules.values import (
    class_order_of,
    classes_map_of,
    show_names,
    show_pairs,
    splits_from_of,
)
from tfrecords.cli.flags import flag
from tfrecords.inputs import table_names
from tfrecords.inputs.rules import AUTO, InputRules

_INPUT = "Input and output"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFlags:
    """The input of a bake, how its classes and splits are found, and the data set's place."""

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
