"""How far a trial is, read from its run directory alone: a sweep keeps no books of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest
from tfrecords.system import locks
from trainer.config import TrainConfig
from trainer.data import selection
from trainer.data.selection import Selection
from trainer.runs import config_file, history
from trainer.runs.history import History
from trainer.sweep.grid import Trial

LOCK = ".lock"  # Of a run, as `trainer.runs.directory` has it, and of a sweep.

_METRICS = "metrics.csv"
_PAGE = Path("report", "index.html")


@dataclass(frozen=True, eq=False)
class Standing:
    """How far a trial is.

    Attributes:
      history: its epochs so far.
      finished: whether its report is written, which comes last.
    """

    history: History
    finished: bool = False

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def reached(self, epoch: int) -> bool:
        """Returns whether nothing is left to do up to `epoch`; 0 means to the end."""
        return self.finished or 0 < epoch <= self.epochs


@dataclass(frozen=True)
class Subject:
    """What a trial trains on, as the manifest counts it.

    Attributes:
      classes: number of them.
      pictures: training records.
      size: (height, width) in pixels.
    """

    classes: int
    pictures: int
    size: tuple[int, int]

    @property
    def per_class(self) -> float:
        """Mean number of training records of a class."""
        return self.pictures / self.classes


def read(trial: Trial) -> Standing:
    """Returns how far a trial is.

    Raises:
      OSError, HistoryError: its metrics.csv cannot be read.
    """
    folder = Path(trial.config.run_dir)
    if not (folder / _METRICS).exists():
        return Standing(History({}))
    return Standing(history.load(folder / _METRICS), (folder / _PAGE).exists())


def subject(config: TrainConfig, manifest: Manifest) -> Subject:
    """Returns what a configuration trains on, once it is sure that the data set has it.

    Raises:
      UsageError, TrainerError, ManifestError: the data set cannot serve it; the text says why.
    """
    chosen = selection.select(
        manifest,
        config.train_split,
        config.classes,
        config.num_classes,
        config.per_class,
        config.originals_only,
    )
    for split, records in (
        (config.train_split, chosen),
        (config.validation_split, chosen.natural()),
    ):
        source = selection.open_split(manifest, config.data_dir, split, records, config.size)
        if not source.records:
            raise UsageError(f"split {split!r} has no picture of the selected classes")
    _check_per_class(config, manifest, chosen)
    counts = chosen.counts(manifest.split(config.train_split))
    return Subject(len(chosen.classes), sum(counts), source.size)


def check_unclaimed(trial: Trial, manifest: Manifest) -> None:
    """Refuses a run directory that holds another configuration.

    Raises:
      UsageError: it does; the text shows the difference.
      TrainerError: its config.json is damaged.
    """
    stored = config_file.stored_config(trial.config.run_dir)
    if stored is None:
        return
    changes = config_file.changes(stored, config_file.of(trial.config, manifest.digest))
    if changes:
        raise UsageError(
            f"{trial.config.run_dir} holds a run of another configuration ("
            f"{'; '.join(changes)}): give another --runs_dir, or remove that directory"
        )


def busy(run_dir: str | Path) -> bool:
    """Returns whether a process trains in a run directory."""
    return locks.is_locked(Path(run_dir) / LOCK)


@contextmanager
def locked(runs_dir: Path) -> Iterator[None]:
    """Holds a directory of runs against a second sweep; made if absent.

    Raises:
      LockedError: another sweep runs in it.
      TrainerError: it cannot be made.
    """
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot write in --runs_dir={runs_dir}: {error.strerror}") from error
    with locks.locked(
        runs_dir / LOCK,
        taken=f"another sweep runs in {runs_dir}",
        advice="wait for it, or give another --runs_dir",
    ):
        yield


def _check_per_class(config: TrainConfig, manifest: Manifest, chosen: Selection) -> None:
    """Refuses --per_class above what any class has: the trial would not be what it says."""
    if config.per_class is None:
        return
    split = manifest.split(config.train_split)
    most = max(
        split.originals[label] + (0 if config.originals_only else split.copies[label])
        for label in chosen.labels
    )
    if config.per_class > most:
        what = "originals" if config.originals_only else "records"
        raise UsageError(
            f"--per_class={config.per_class} is above the bake's {most:,} {what} a class: bake "
            f"with --per_class={config.per_class} or more, or scale the grid down"
        )
