"""`EvaluateConfig`: the flags of `evenshard evaluate`."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from tfrecords.sharding import stable_hash
from trainer import remote, run_flags

TTA = ("none", "flip")

# Longer lists of classes are named by their number and a digest.
_MAX_NAMES = 40

# Names of classes that make up a directory's name which no other classes or flags have.
_PLAIN_NAME = re.compile(r"[\w.]+")
_OTHER_PART = re.compile(rf"last|ema|{'|'.join(TTA)}|tau[\d.e+]*|\d+classes_.*")

_WHAT, _HOW, _RUN = "What to evaluate", "How to evaluate it", "Run"


@dataclass(frozen=True)
class EvaluateConfig:
    """An evaluation. Fields are the flags of `evenshard evaluate`.

    Raises:
      UsageError: a value out of range.
    """

    run_dir: tuple[str, ...] = flag(
        MISSING,
        _WHAT,
        "Directory of a training run. With several, such as folds or seeds, their averaged "
        "probabilities are evaluated, as predict writes them.",
        metavar="DIR,…",
    )
    trust_run_code: bool = run_flags.trust_run_code(_WHAT)
    data_dir: str = flag(
        "",
        _WHAT,
        "Data set to evaluate on. Default: the one the run was trained on; several runs are each "
        "evaluated on their own, whose split must hold the same pictures.",
        metavar="DIR",
    )
    split: str = flag("test", _WHAT, "Split to evaluate on.", metavar="NAME")
    classes: tuple[str, ...] = flag(
        (),
        _WHAT,
        "Only pictures of these classes; the network still chooses among all its classes.",
        metavar="A,B,…",
    )
    allow_leaks: bool = flag(
        False,
        _WHAT,
        "Evaluate on a split that a run was partly trained on; the result says so.",
    )

    weights: str = flag(
        "best",
        _HOW,
        "best: of the best epoch, which is the average in a run with --ema; last: as the last "
        "step left them; ema: the moving average at the last step.",
        choices=run_flags.WEIGHTS,
    )
    logit_adjustment: float = flag(
        0.0,
        _HOW,
        "Subtract τ·log(prior) from the logits, prior being the classes' shares of the training "
        "records: helps the tail of a network trained with plain cross-entropy (Menon 2020). "
        "0: off.",
        metavar="TAU",
    )
    tta: str = flag(
        "none", _HOW, "flip: average the probabilities of each picture and its mirror image.",
        choices=TTA,
    )  # fmt: skip
    batch_size: int = flag(128, _HOW, "Pictures at a time; no effect on results.", metavar="N")

    output_dir: str = flag(
        "",
        _RUN,
        "Where results go. Default: RUN_DIR/evaluation/SPLIT…; required with several runs.",
        metavar="DIR",
    )
    verbose: bool = run_flags.verbose(_RUN)

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        for name, path in (
            *(("run_dir", each) for each in self.run_dir),
            ("output_dir", self.output_dir),
        ):
            remote.check_local(name, path)
        if self.batch_size < 1:
            raise UsageError(f"--batch_size must be 1 or more, not {self.batch_size}")
        if not -10 <= self.logit_adjustment <= 10:
            raise UsageError(f"--logit_adjustment must be -10 to 10, not {self.logit_adjustment:g}")

    @property
    def label(self) -> str:
        """A directory's name for this evaluation: "test", "test-last-flip", "test-ant+bee", …."""
        parts = [self.split]
        if self.weights != "best":
            parts.append(self.weights)
        if self.logit_adjustment:
            parts.append(f"tau{self.logit_adjustment:g}")
        if self.tta != "none":
            parts.append(self.tta)
        if self.classes:
            parts.append(self._named_classes)
        return "-".join(parts)

    @property
    def _named_classes(self) -> str:
        """The classes as part of a directory's name; other classes have another."""
        names = sorted(set(self.classes))
        text = "+".join(names)
        is_plain = all(_PLAIN_NAME.fullmatch(name) for name in names)
        if len(text) <= _MAX_NAMES and is_plain and not _OTHER_PART.fullmatch(text):
            return text
        return f"{len(names)}classes_{stable_hash(*names) % 16**8:08x}"
