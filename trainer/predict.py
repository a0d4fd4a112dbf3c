"""`python -m trainer.predict`: unlabelled pictures in, a CSV of their classes out."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING

from tfrecords.cli import flags, following
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import TrainerError, UsageError
from tfrecords.inputs import filters
from tfrecords.inputs.options import DEFAULT_MAX_FILE_MB, MEGABYTE, InputOptions, TableOptions
from tfrecords.inputs.rules import InputRules
from trainer import remote, run_flags, tensorflow_import
from trainer.predicting.wish import LabelForm, Wish, check_suffix

if TYPE_CHECKING:
    from trainer.predicting.writing import Submission

_WHAT, _HOW, _OUTPUT = "What to predict", "How to predict", "Output"


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """A prediction. Fields are the flags of `evenshard predict`.

    Raises:
      UsageError: a value out of range.
    """

    run_dir: tuple[str, ...] = flag(
        MISSING,
        _WHAT,
        "Directory of a training run; its data set is not needed. The probabilities of several "
        "runs, such as folds or seeds, are averaged.",
        metavar="DIR,…",
    )
    trust_run_code: bool = run_flags.trust_run_code(_WHAT)
    input: str = flag(
        MISSING,
        _WHAT,
        "Pictures: a folder with all below it, a pattern (in quotes: 'in/**/*.jpg'), a zip or tar, "
        "one picture, or a table with a column of paths or ids, relative to the table.",
        metavar="PATH",
    )
    path_column: str = flag(
        "",
        _WHAT,
        "The column of paths or ids, by name or number: of --like, else of the table. Default: "
        "path, Id, or a usual name, which is then printed.",
        metavar="NAME",
    )
    csv_separator: str = flag(
        "",
        _WHAT,
        "Character between the table's fields, or tab. Default: detected from its first lines.",
        metavar="CHARACTER",
    )
    csv_encoding: str = flag(
        "",
        _WHAT,
        "Encoding of the table, such as cp1252. Default: UTF-8, or what its byte order mark says.",
        metavar="CODEC",
    )
    zip_encoding: str = flag(
        "",
        _WHAT,
        "Encoding of names in an archive that are not UTF-8, such as cp932. Default: a guess, "
        "which is then printed.",
        metavar="CODEC",
    )
    max_file_mb: int = flag(
        DEFAULT_MAX_FILE_MB,
        _WHAT,
        "Reject files larger than N MB without reading them.",
        metavar="N",
    )
    include: tuple[str, ...] = flag(
        (), _WHAT, "Read only files that one of these globs matches, as in a bake: test/**, *.png.",
        metavar="GLOB,…",
        typed_as=("only", "pattern"),
    )  # fmt: skip
    exclude: tuple[str, ...] = flag(
        (), _WHAT, "Leave out files that match one of these globs, even if --include matches.",
        metavar="GLOB,…",
        typed_as=("ignore", "skip"),
    )  # fmt: skip
    fallback_class: str = flag(
        "",
        _WHAT,
        "Class of pictures that cannot be read. Default: the one with most training pictures.",
        metavar="NAME",
    )
    max_reject_fraction: float = flag(
        0.05,
        _WHAT,
        "Exit with code 1 if a larger share of the pictures could not be read; the output is still "
        "written. Ids of --like without a picture also count, and stop the command at once.",
        metavar="0..1",
    )

    weights: str = run_flags.weights(_HOW)
    tta: str = flag(
        "none",
        _HOW,
        "flip: mean probability of each picture and its mirror image; takes twice as long.",
        choices=("none", "flip"),
    )
    batch_size: int = flag(128, _HOW, "Pictures at a time; no effect on results.", metavar="N")
    workers: int = flag(0, _HOW, "Processes that decode; 0: one per core.", metavar="N")
    device: str = flag("auto", _HOW, "Where to compute.", choices=("auto", "cpu", "gpu"))

    output: str = flag(
        MISSING, _OUTPUT, "CSV to write: Id,Expected; with tabs as .tsv.", metavar="FILE"
    )
    like: str = flag(
        "",
        _OUTPUT,
        "A contest's sample submission, which may lie in an archive: its header, its ids and "
        "their order, its separator and quotes, with one column of classes or one for each.",
        metavar="FILE",
        typed_as=("sample", "sample_submission", "template"),
    )
    label_form: LabelForm = flag(
        LabelForm.AUTO,
        _OUTPUT,
        "Write a class's name, or its index from 0 in the run's order. auto: as in --like, else "
        "the name.",
    )
    probabilities: bool = flag(
        False,
        _OUTPUT,
        "Write probabilities, a column for each class in the run's order, or in that of --like; "
        "each row's sum is 1.",
        typed_as=("proba", "probs", "soft"),
    )
    positive_class: str = flag(
        "", _OUTPUT, "Write only the probability of this class.", metavar="NAME"
    )
    escape_formulas: bool = flag(
        False,
        _OUTPUT,
        "Put an apostrophe before ids and classes that a spreadsheet would run as formulas: those "
        "that begin with =, +, -, @, tab or CR.",
    )
    top_k: int = flag(
        0,
        _OUTPUT,
        "Also write the N likeliest classes and their probabilities, to OUTPUT.top_k.csv.",
        metavar="N",
    )
    verbose: bool = run_flags.verbose(_OUTPUT)

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        for name, path in (*(("run_dir", each) for each in self.run_dir), ("output", self.output)):
            remote.check_local(name, path)
        for name, low in (("batch_size", 1), ("workers", 0), ("top_k", 0), ("max_file_mb", 1)):
            value = getattr(self, name)
            if value < low:
                raise UsageError(f"--{name} must be {low} or more, not {value}")
        if not 0 <= self.max_reject_fraction <= 1:
            raise UsageError(
                f"--max_reject_fraction must be 0 to 1, not {self.max_reject_fraction}"
            )
        check_suffix(self.output)
        filters.check_globs({"include": self.include, "exclude": self.exclude})
        if self.like and self.escape_formulas:
            raise UsageError("--escape_formulas changes ids, and --like keeps them: give one")
        self.wish()

    def wish(self) -> Wish:
        """Returns what is to be written for a picture."""
        return Wish(self.label_form, self.probabilities, self.positive_class)

    def input_rules(self) -> InputRules:
        """Returns which files of the input are read."""
        return InputRules(include=self.include, exclude=self.exclude)

    def input_options(self) -> InputOptions:
        """Returns how the input is to be read."""
        table = TableOptions(
            path_column="" if self.like else self.path_column,
            separator=self.csv_separator,
            encoding=self.csv_encoding,
        )
        return InputOptions(table, self.zip_encoding, self.max_file_mb * MEGABYTE)


def main(config: PredictConfig) -> int:
    """Predicts, and says what came of it."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.predicting import run  # TensorFlow takes seconds to import: not for --help.

    started = time.monotonic()
    asked = run.Asked(
        config.input,
        config.input_options(),
        config.input_rules(),
        config.like,
        config.path_column,
        config.wish(),
        config.escape_formulas,
        config.max_reject_fraction,
    )
    found = run.run(
        config.run_dir,
        asked,
        config.output,
        weights=config.weights,
        tta=config.tta,
        top_k=config.top_k,
        fallback=config.fallback_class,
        batch_size=config.batch_size,
        workers=config.workers,
        device=config.device,
        trust_run_code=config.trust_run_code,
    )
    print(describe(found, config.output, time.monotonic() - started), flush=True)
    rejected = len(found.rejects) / len(found.ids)
    if rejected > config.max_reject_fraction:
        raise TrainerError(
            f"{len(found.rejects):,} of {len(found.ids):,} pictures could not be read, "
            f"--max_reject_fraction={config.max_reject_fraction:g} allows fewer; {config.output} "
            f"has the fallback in their rows, and why is in {config.output}.rejects.csv"
        )
    if len(config.run_dir) == 1:
        print(following.line("export", f"--run_dir={config.run_dir[0]}"))
    return DONE


def describe(found: Submission, output: str, seconds: float) -> str:
    """Returns the lines that end the command's output."""
    said = Counter(found.expected(row) for row in range(len(found.ids)))
    most = ", ".join(f"{name} ({count:,})" for name, count in said.most_common(3))
    lines = [f"{len(found.ids):,} pictures in {seconds:.1f} s; most often {most}"]
    if found.rejects:
        lines.append(
            f"{len(found.rejects):,} could not be read and got {found.fallback!r}: why is in "
            f"{output}.rejects.csv"
        )
    return "\n".join([*lines, f"submission: {output}"])


COMMAND = Command(
    module="trainer.predict",
    summary="Predicts the class of each unlabelled picture, and writes a CSV with a line for each.",
    arguments="--run_dir=R --input=DIR --output=submission.csv",
    config=PredictConfig,
    main=main,
    notes=(
        "Pictures are decoded and resized as in the bake. One that cannot be read gets the "
        "fallback class, and a line in OUTPUT.rejects.csv that says why. docs/predict.md has more."
    ),
    examples=(
        "evenshard predict --run_dir=runs/a --input=unlabelled --output=submission.csv\n"
        "evenshard predict --run_dir=runs/fold1,runs/fold2 --input=contest.zip/test "
        "--like=contest.zip/sample_submission.csv --output=submission.csv"
    ),
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
