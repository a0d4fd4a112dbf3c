"""`python -m trainer.predict`: unlabelled pictures in, a CSV of their classes out."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import UsageError
from tfrecords.inputs.options import DEFAULT_MAX_FILE_MB, MEGABYTE, InputOptions, TableOptions
from trainer import remote, tensorflow_import

if TYPE_CHECKING:
    from trainer.predicting.run import Submission

_WHAT, _HOW, _OUTPUT = "What to predict", "How to predict", "Output"


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """A prediction. Fields are the flags of `python -m trainer.predict`.

    Raises:
      UsageError: a value out of range.
    """

    run_dir: str = flag(
        MISSING, _WHAT, "Directory of a trainer.train run; nothing else of it is needed.",
        metavar="DIR",
    )  # fmt: skip
    trust_run_code: bool = flag(
        False,
        _WHAT,
        "Run the code that the run directory names or holds, where its network is a person's own "
        "(--model=module:function) and needs it. Only for a run whose author you trust.",
    )
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
        "The table's column of paths or ids, by name or number. Default: path, Id, or a usual "
        "name, which is then said.",
        metavar="NAME",
    )
    csv_separator: str = flag(
        "",
        _WHAT,
        "Between the table's fields, one character or tab. Default: found from its first lines.",
        metavar="CHARACTER",
    )
    csv_encoding: str = flag(
        "",
        _WHAT,
        "Of the table, such as cp1252. Default: UTF-8, or what its byte order mark says.",
        metavar="CODEC",
    )
    zip_encoding: str = flag(
        "",
        _WHAT,
        "Of names in an archive that are not UTF-8, such as cp932. Default: guessed, which is "
        "then said.",
        metavar="CODEC",
    )
    max_file_mb: int = flag(
        DEFAULT_MAX_FILE_MB, _WHAT, "Reject files of more megabytes unread.", metavar="N"
    )
    fallback_class: str = flag(
        "",
        _WHAT,
        "Class of pictures that cannot be read. Default: the one with most training pictures.",
        metavar="NAME",
    )

    weights: str = flag(
        "best",
        _HOW,
        "Of the best epoch by the run's --monitor, of the last step, or their moving average.",
        choices=("best", "last", "ema"),
    )
    tta: str = flag(
        "none",
        _HOW,
        "flip: mean probability of each picture and its mirror image; takes twice as long.",
        choices=("none", "flip"),
    )
    batch_size: int = flag(128, _HOW, "Pictures at a time; no effect on results.", metavar="N")
    workers: int = flag(0, _HOW, "Processes that decode; 0: one per core.", metavar="N")
    device: str = flag("auto", _HOW, "Where to compute.", choices=("auto", "cpu", "gpu"))

    output: str = flag(MISSING, _OUTPUT, "CSV to write: Id,Expected.", metavar="FILE")
    top_k: int = flag(
        0,
        _OUTPUT,
        "Write the N likeliest classes and their probabilities too, to OUTPUT.top_k.csv.",
        metavar="N",
    )
    verbose: bool = flag(False, _OUTPUT, "Show tracebacks and TensorFlow's log.", short="v")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        for name in ("run_dir", "output"):
            remote.check_local(name, getattr(self, name))
        for name, low in (("batch_size", 1), ("workers", 0), ("top_k", 0), ("max_file_mb", 1)):
            value = getattr(self, name)
            if value < low:
                raise UsageError(f"--{name} must be {low} or more, not {value}")

    def input_options(self) -> InputOptions:
        """Returns how the input is to be read."""
        table = TableOptions(
            path_column=self.path_column,
            separator=self.csv_separator,
            encoding=self.csv_encoding,
        )
        return InputOptions(table, self.zip_encoding, self.max_file_mb * MEGABYTE)


def main(config: PredictConfig) -> int:
    """Predicts, and says what came of it."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.predicting import run  # TensorFlow takes seconds to import: not for --help.

    started = time.monotonic()
    found = run.run(
        config.run_dir,
        config.input,
        config.output,
        weights=config.weights,
        tta=config.tta,
        top_k=config.top_k,
        fallback=config.fallback_class,
        batch_size=config.batch_size,
        workers=config.workers,
        device=config.device,
        trust_run_code=config.trust_run_code,
        options=config.input_options(),
    )
    print(describe(found, config.output, time.monotonic() - started))
    return DONE


def describe(found: Submission, output: str, seconds: float) -> str:
    """Returns the lines that end the command's output."""
    said = Counter(found.expected(row) for row in range(len(found.ids)))
    most = ", ".join(f"{name} {count:,}" for name, count in said.most_common(3))
    lines = [f"{len(found.ids):,} pictures in {seconds:.1f} s; most often {most}"]
    if found.rejects:
        lines.append(
            f"{len(found.rejects):,} could not be read and got {found.fallback!r}: why is in "
            f"{output}.rejects.csv"
        )
    return "\n".join([*lines, f"submission: {output}"])


COMMAND = Command(
    module="trainer.predict",
    summary="Names the class of unlabelled pictures: one line each of a CSV, Id,Expected.",
    arguments="--run_dir=R --input=DIR --output=submission.csv",
    config=PredictConfig,
    main=main,
    notes=(
        "Pictures are decoded and resized as the bake did it. One that cannot be read gets the "
        "fallback class, and a line in OUTPUT.rejects.csv that says why."
    ),
    examples=(
        "python -m trainer.predict --run_dir=runs/a --input=unlabelled --output=submission.csv"
    ),
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
