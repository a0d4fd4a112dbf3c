"""Flags of the command, checked, as one frozen record."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from evenshard.springfield_like.citizens.cast import CITIZENS, TOTAL
from evenshard.springfield_like.files import FORMATS, KINDS
from tfrecords.cli.run import version_line
from tfrecords.system import cores

_DESCRIPTION = f"""\
Draws a town of cartoon citizens: {len(CITIZENS)} classes of 3 to {CITIZENS[0].count:,} pictures,
{TOTAL:,} in all, about 416 x 409 pixels on average (height x width) and up to 1072 x 1912.
Every picture is a function of the seed, its class and its number; the same flags give the
same bytes with any --workers.
"""

_EPILOG = f"""\
writes:
  D/pictures/<class>/pic_0001.jpg ...  the class folders
  D/truth.json                         what every file is: kind, class, format, mode, size
  D/unlabelled/pic_0001.jpg ...        with --unlabelled: pictures to predict
  D/sample_submission.csv              their Id,Expected with the same class for all
  D/unlabelled.csv                     their Id,Expected with the right class

among the {TOTAL:,} files at full scale (fewer in proportion below it, with a floor):
  {", ".join(f"{n} {kind.value}" for kind, (n, _) in KINDS.items())};
  {", ".join(f"{n:,} {trait}" for trait, (n, _) in FORMATS.items())}; the rest plain JPEG.

example:
  python -m evenshard.springfield_like --output_dir=town --scale=0.05 --unlabelled=40
"""


@dataclass(frozen=True)
class Options:
    """What to draw.

    Attributes:
      output_dir: where; empty, absent, or made by this command before.
      scale: of the class sizes, above 0 and up to 10.
      classes: how many of the largest classes, 1 to 42.
      workers: processes.
      seed: of everything.
      unlabelled: pictures of the flat folder.
    """

    output_dir: Path
    scale: float = 1.0
    classes: int = len(CITIZENS)
    workers: int = 1
    seed: int = 0
    unlabelled: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.scale <= 10.0:
            raise ValueError(f"--scale must be above 0 and at most 10, not {self.scale:g}")
        if not 1 <= self.classes <= len(CITIZENS):
            raise ValueError(f"--classes must be 1 to {len(CITIZENS)}, not {self.classes}")
        if self.workers < 1:
            raise ValueError(f"--workers must be 'auto' or at least 1, not {self.workers}")
        if self.unlabelled < 0:
            raise ValueError(f"--unlabelled must be 0 or more, not {self.unlabelled}")


class _Parser(argparse.ArgumentParser):
    """Names the nearest flag when one is misspelt; usage errors exit 2 in one line."""

    def parse_all(self, argv: Sequence[str] | None) -> argparse.Namespace:
        namespace, unknown = self.parse_known_args(argv)
        if not unknown:
            return namespace
        flag = unknown[0].split("=")[0]
        nearest = difflib.get_close_matches(flag, self._option_string_actions, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "see --help"
        self.error(f"unknown argument {flag}; {hint}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"springfield_like: error: {message}\n")


def parse(argv: Sequence[str] | None = None) -> tuple[Options, bool]:
    """Returns the options and whether tracebacks are wanted; exits 2 on a usage error."""
    parser = _parser()
    flags = parser.parse_all(argv)
    if flags.output_dir is None:
        parser.error("--output_dir is missing: say where to draw, as in --output_dir=town")
    try:
        options = Options(
            output_dir=flags.output_dir,
            scale=flags.scale,
            classes=flags.classes,
            workers=flags.workers,
            seed=flags.seed,
            unlabelled=flags.unlabelled,
        )
    except ValueError as error:
        parser.error(str(error))
    return options, flags.verbose


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m evenshard.springfield_like",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--output_dir", metavar="D", type=Path, help="where to draw (required)")
    add("--scale", metavar="S", type=float, default=1.0,
        help="files of each class: max(3, round(count * S)); default 1")  # fmt: skip
    add("--classes", metavar="N", type=int, default=len(CITIZENS),
        help=f"only the N largest classes; default {len(CITIZENS)}")  # fmt: skip
    add("--unlabelled", metavar="N", type=int, default=0,
        help="also a flat folder of N pictures to predict, classes alike; default 0")  # fmt: skip
    add("--seed", metavar="N", type=int, default=0, help="another town; default 0")
    add("--workers", metavar="auto|N", type=_workers, default=_workers("auto"),
        help="processes; default auto, one a core")  # fmt: skip
    add("--version", action="version", version=version_line(), help="show the version")
    add("-v", "--verbose", action="store_true", help="tracebacks of errors")
    return parser


def _workers(text: str) -> int:
    if text == "auto":
        return cores.usable()
    if not re.fullmatch(r"-?\d+", text):
        raise argparse.ArgumentTypeError(f"must be 'auto' or a number, not {text!r}")
    return int(text)
