"""The pictures of an evaluation that a run was trained on, as the run itself knows them."""

from __future__ import annotations

from pathlib import Path

from tfrecords import ledger
from tfrecords.errors import TrainerError
from trainer.runs import inherited, locate, overlap, trained_on
from trainer.runs.load import LoadedRun
from trainer.runs.overlap import Leak, Part
from trainer.runs.trained_on import TrainedOn


def find(run_dir: str, trained: LoadedRun, evaluated: Part) -> list[Leak]:
    """Returns the pictures that a run, or one that it began with, was trained on, in key order.

    Args:
      run_dir: of the run.
      trained: the run.
      evaluated: the pictures in question.

    Raises:
      TrainerError: what the run was trained on is not known.
      ledger.LedgerError: a data set has no readable sources.parquet.
    """
    known = (_trained_on(run_dir, trained, evaluated), *_trained_before(run_dir, trained))
    return overlap.find(known, evaluated)


def allowed(run_dir: str, trained: LoadedRun, evaluated: Part, *, all_of_them: bool) -> list[Leak]:
    """Returns the same; refuses them, and what cannot be known, unless all are allowed.

    Raises:
      TrainerError: some pictures were trained on, or it is not known whether.
    """
    split = evaluated.split
    try:
        leaks = find(run_dir, trained, evaluated)
    except (ledger.LedgerError, TrainerError) as error:
        if all_of_them:
            return []
        raise TrainerError(
            f"cannot check whether the run was trained on pictures of split {split!r}: {error}; "
            "--allow_leaks evaluates without this check"
        ) from error
    if leaks and not all_of_them:
        raise TrainerError(
            f"{overlap.explain(leaks, split)}; give another --split, or --allow_leaks"
        )
    return leaks


def _trained_on(run_dir: str, trained: LoadedRun, evaluated: Part) -> TrainedOn:
    """Returns the pictures that the run was trained on.

    A run of an earlier version does not hold them: they are those of its data set, if that is
    found.

    Raises:
      TrainerError: they are not known.
      ledger.LedgerError: the data set has no readable sources.parquet.
    """
    digest = trained.stored.dataset.digest
    known = trained_on.read(Path(run_dir))
    if known is None:
        same = evaluated.manifest.digest == digest
        data_dir = evaluated.data_dir if same else locate.data_dir(run_dir, trained.stored)
        split = trained.config.train_split
        fold = trained.manifest.split_of_fold(split)
        return trained_on.of(data_dir, digest, split, trained.selection, fold)
    if known.digest != digest:
        raise TrainerError(
            f"{trained_on.FILENAME} in {run_dir} is of another data set ({known.digest[:12]}…) "
            f"than its config.json ({digest[:12]}…)"
        )
    return known


def _trained_before(run_dir: str, trained: LoadedRun) -> tuple[TrainedOn, ...]:
    """Returns the pictures that the runs which a run began with were trained on.

    Raises:
      TrainerError: they are not known.
    """
    fork = trained.stored.fork
    known = inherited.trained_before(Path(run_dir))
    if known is not None:
        return known
    if fork is None:
        return ()  # Nothing says that there are any.
    raise TrainerError(
        f"{run_dir} has no {inherited.TRAINED_BEFORE}, so that nothing says what {fork.run}, "
        "which it began with, was trained on"
    )
