"""The progress of a trial, read from its run directory: a sweep stores no state of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest, ManifestError
from tfrecords.system import locks
from trainer import remote
from trainer.config import TrainConfig
from trainer.data.folds import of_run
from trainer.data.selection import Selection, Source, open_configured
from trainer.data.shortfall import judged_on_training, too_many_per_class
from trainer.runs import compare, history, replaced
from trainer.runs.config_file import RunConfig
from trainer.runs.history import METRICS, History
from trainer.sweep.grid import Trial

LOCK = ".lock"  # Of a run, as `trainer.runs.directory` has it, and of a sweep.

_PAGE = Path("report", "index.html")


@dataclass(frozen=True, eq=False)
class TrialProgress:
    """The progress of a trial.

    Attributes:
      history: its epochs so far.
      finished: whether it has come to its end and its report is written, which is the last step.
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
class TrainingSet:
    """The records that a trial trains on, as the manifest counts them.

    Attributes:
      classes: number of them.
      pictures: training records.
      validation: records of the split that is validated on.
      size: (height, width) in pixels.
      judged_classes: number of those with a picture that is validated on, which macro-F1 and
        balanced accuracy are means over; None where that is not known.
    """

    classes: int
    pictures: int
    validation: int
    size: tuple[int, int]
    judged_classes: int | None = None

    @property
    def per_class(self) -> float:
        """Mean number of training records of a class."""
        return self.pictures / self.classes


def read(trial: Trial) -> TrialProgress:
    """Returns the progress of a trial.

    Raises:
      OSError, HistoryError: its metrics.csv cannot be read.
    """
    folder = Path(trial.config.run_dir)
    if not (folder / METRICS).exists():
        return TrialProgress(History({}))
    epochs = history.load(folder / METRICS)
    return TrialProgress(epochs, (folder / _PAGE).exists() and _is_at_end(trial, epochs))


def _is_at_end(trial: Trial, epochs: History) -> bool:
    """Returns whether a trial has no epoch left to train.

    One that was given more epochs, and did not come to their end, has the report of before.
    """
    config = trial.config
    if len(epochs) >= config.epochs:
        return True
    try:
        stored = RunConfig.read_if_present(config.run_dir)
    except TrainerError:
        return False  # The trial itself says what is wrong.
    rows = [{config.monitor: value} for value in epochs[config.monitor]]
    since = stored.patient_from if stored else 0
    return history.stopped_early(rows, config.monitor, config.early_stopping, since)


def training_set(config: TrainConfig, manifest: Manifest) -> TrainingSet:
    """Returns the records that a configuration trains on, after checking that they are there.

    Raises:
      UsageError, TrainerError, ManifestError: the data set lacks something; the text says what.
    """
    manifest = of_run(config, manifest)
    selection = Selection.of(config, manifest)
    train = open_configured(config, manifest, config.train_split, selection)
    natural = selection.natural()
    validation = open_configured(config, manifest, config.validation_split, natural)
    for source in (train, validation):
        if not source.records:
            raise UsageError(f"split {source.split.name!r} has no picture of the selected classes")
    _check_per_class(config, train)
    if judged_on_training(config):
        raise UsageError(
            f"{judged_on_training(config)}: name a --validation_split that it does not train on"
        )
    judged = sum(number > 0 for number in natural.originals(validation.split))
    return TrainingSet(
        len(selection.classes), train.records, validation.records, train.size, judged
    )


def check_unclaimed(trial: Trial, manifest: Manifest) -> None:
    """Refuses a run directory that holds a trained run of another configuration.

    Raises:
      UsageError: it does; the text shows the difference.
      TrainerError: its config.json is damaged.
    """
    if not replaced.was_trained(Path(trial.config.run_dir)):
        return
    stored = RunConfig.read_if_present(trial.config.run_dir)
    if stored is None:
        return
    changes = compare.differences(stored, trial.config, manifest.digest)
    if changes:
        raise UsageError(
            f"{trial.config.run_dir} holds a run of another configuration ("
            f"{'; '.join(changes)}): give another --runs_dir, or remove that directory"
        )


def replaced_data(data_dir: str, digest: str) -> str | None:
    """Returns why a trial must not start: its data set is not the one the sweep began with.

    Args:
      data_dir: of the data set.
      digest: that it had; empty for any.
    """
    try:
        there = remote.load(data_dir).digest
    except ManifestError as error:
        return str(error)
    if digest in ("", there):
        return None
    return (
        f"the data set in {data_dir} was replaced while the sweep ran: it was {digest[:12]}…, is "
        f"now {there[:12]}…; give another --runs_dir to sweep on the new one"
    )


def busy(run_dir: str | Path) -> bool:
    """Returns whether a process trains in a run directory."""
    return locks.is_locked(Path(run_dir) / LOCK)


@contextmanager
def locked(runs_dir: Path) -> Iterator[None]:
    """Keeps other sweeps out of a directory of runs, which is made if absent.

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


def _check_per_class(config: TrainConfig, train: Source) -> None:
    """Refuses --per_class above the size of every class: the trial would not do what it says."""
    above = too_many_per_class(config, train)
    if above:
        raise UsageError(
            f"{above}: bake with --per_class={config.per_class} or more, or scale the grid down"
        )
