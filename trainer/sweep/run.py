"""A sweep in one call: `run(config)` from the grid to the leaderboard."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords import kinds
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.manifest import Manifest
from trainer import remote
from trainer.data import idle
from trainer.sweep import (
    estimate,
    grid_file,
    halving,
    leaderboard,
    leaderboard_page,
    out_of_fold,
    recipes,
    trial_status,
    trials,
)
from trainer.sweep.config import SweepConfig
from trainer.sweep.display import Display
from trainer.sweep.fold_groups import FoldGroup, groups_of, over_folds
from trainer.sweep.grid import Trial
from trainer.sweep.resources import Resources, assign, usable_cores, visible_gpus
from trainer.sweep.trials import Entry, Stop

# Drawing a page takes a second or two: while trials run, it is drawn once a minute.
_PAGE_SECONDS = 60.0


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
      entries: its trials, in the grid's order.
      stopped_by: number of the signal that told it to stop; 0 for none.
      page: path of the leaderboard's page; None with --plan_only.
      groups: of trials that differ by --fold alone, best mean first.
    """

    entries: tuple[Entry, ...]
    stopped_by: int
    page: Path | None
    groups: tuple[FoldGroup, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether it was told to stop."""
        return bool(self.stopped_by)

    @property
    def complete(self) -> bool:
        """Whether every trial finished, or was dropped by halving."""
        return all(entry.status in (trials.DONE, trials.DROPPED) for entry in self.entries)


@dataclass
class Results:
    """The files of a sweep, kept current while it runs.

    Attributes:
      config: of the sweep.
      entries: its trials.
      manifest: of the data set.
      drawn: when the page was last written, on the monotonic clock.
      missing: why there are no out-of-fold predictions of trials whose folds are all done.
      groups: of trials that differ by --fold alone, best mean first.
    """

    config: SweepConfig
    entries: Sequence[Entry]
    manifest: Manifest
    drawn: float
    missing: Sequence[str] = ()
    groups: tuple[FoldGroup, ...] = ()

    def refresh(self) -> None:
        """Writes leaderboard.csv, and the page if it is older than a minute.

        Errors, such as a full disk, are printed: they are no reason to stop trials.
        """
        try:
            self._write_csv()
            if time.monotonic() - self.drawn > _PAGE_SECONDS:
                self.write()
        except OSError as error:
            print(f"cannot write the leaderboard: {error}", file=sys.stderr)

    def write(self) -> Path:
        """Writes both, and returns the page's path."""
        self.drawn = time.monotonic()
        self.groups = groups = self._write_csv()
        found, self.missing = out_of_fold.complete(groups, self.manifest)
        out_of_fold.write(Path(self.config.runs_dir), groups, found, self.manifest.digest)
        return leaderboard_page.write_page(self.config, self.entries, self.manifest, groups, found)

    def _write_csv(self) -> tuple[FoldGroup, ...]:
        rows = leaderboard.rows(self.entries, self.config.metric)
        groups = groups_of(rows, self.config.metric, len(self.manifest.folds))
        leaderboard.write_csv(self.config, rows, over_folds(groups))
        return groups


def run(config: SweepConfig) -> SweepResult:
    """Trains every trial that is not trained yet, and writes the leaderboard.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    kinds.refuse_other(config.runs_dir, "runs_dir", kinds.SWEEP)
    manifest = remote.load(config.data_dir)
    entries, recipe = prepare(config, manifest)
    shares = assign(config.parallel, visible_gpus(), usable_cores())
    results = Results(config, entries, manifest, drawn=time.monotonic())
    display = Display(entries, config.metric, config.progress, on_end=results.refresh)
    expected = estimate.line(config, entries, gpu=bool(visible_gpus()))
    display.say("\n".join(filter(None, (recipe, describe(entries, shares), expected))))
    for note in without_effect([entry.trial for entry in entries]):
        display.note(note)
    if config.plan_only:
        return SweepResult(entries, stopped_by=0, page=None)
    with trial_status.locked(Path(config.runs_dir)), trials.stopping_on_signals() as stop:
        _train(config, entries, shares, display, stop)
        page = results.write()
    for reason in results.missing:
        display.say(reason)
    return SweepResult(entries, stop.number, page, results.groups)


def prepare(config: SweepConfig, manifest: Manifest) -> tuple[tuple[Entry, ...], str]:
    """Returns the trials of the grid, each checked against the data set before any starts.

    Returns:
      The trials, and what is said of the recipe that was chosen for them; "" of none.

    Raises:
      UsageError: the grid is wrong, a run directory holds something else, or no trial can run.
    """
    loaded = grid_file.load(
        config.grid, config.data_dir, config.runs_dir, config.scale, len(manifest.folds)
    )
    loaded, recipe = recipes.settle(loaded, manifest)
    entries = tuple(_entry(trial, manifest) for trial in loaded)
    if all(entry.status == trials.REFUSED for entry in entries):
        raise UsageError(f"no trial can run; {entries[0].name}: {entries[0].reason}")
    return entries, recipe


def describe(entries: Sequence[Entry], shares: Sequence[Resources]) -> str:
    """Returns the lines that open a sweep's output: the work left, and trials that cannot run."""
    started = sum(bool(entry.progress.epochs) for entry in entries)
    done = sum(entry.status == trials.DONE for entry in entries)
    lines = [f"{len(entries)} trials, {done} done, {started - done} begun"]
    if len(shares) > 1:
        lines.append(f"{len(shares)} at once: {'; '.join(share.label for share in shares)}")
    shared = [share.environment.get("CUDA_VISIBLE_DEVICES") for share in shares]
    if any(gpu is not None and shared.count(gpu) > 1 for gpu in shared):
        lines.append("trials share a GPU: give them gpu_memory_limit_mb in the grid's `base`")
    lines += [f"{e.name}: refused, {e.reason}" for e in entries if e.status == trials.REFUSED]
    return "\n".join(lines)


def without_effect(loaded: Sequence[Trial]) -> Iterator[str]:
    """Yields a line for each flag that changes nothing in any trial, and for trials that are one.

    Both look like a result: that a flag makes no difference.
    """
    everywhere = [set(idle.notes(trial.config)) for trial in loaded]
    for note in sorted(set().union(*everywhere)):
        flag = note.partition("=")[0]
        if all(any(each.startswith(f"{flag}=") for each in notes) for notes in everywhere):
            yield note
    first: dict[str, str] = {}
    for trial in loaded:
        same = first.setdefault(idle.effective(trial.config), trial.name)
        if same != trial.name:
            yield f"{trial.name} is the same run as {same}: they differ in nothing that counts"


def _entry(trial: Trial, manifest: Manifest) -> Entry:
    entry = Entry(trial, digest=manifest.digest)
    try:
        entry.training_set = trial_status.training_set(trial.config, manifest)
    except EvenshardError as error:
        entry.status, entry.reason = trials.REFUSED, str(error)
        return entry
    trial_status.check_unclaimed(trial, manifest)
    entry.refresh()
    if entry.progress.finished:
        entry.status = trials.DONE
    elif entry.progress.epochs:
        entry.status = trials.PAUSED
    return entry


def _train(
    config: SweepConfig,
    entries: Sequence[Entry],
    shares: Sequence[Resources],
    display: Display,
    stop: Stop,
) -> None:
    """Trains all trials to the end, or with --halving only the better ones, rung by rung."""
    able = [entry for entry in entries if entry.status != trials.REFUSED]
    for rung in range(config.rungs if config.halving else 0):

        def pause(trial: Trial, rung: int = rung) -> int:
            return halving.rung_epochs(trial.config.epochs, config.halving, config.rungs)[rung]

        trials.run(able, pause, shares, display, stop)
        if stop.asked or any(entry.status == trials.INTERRUPTED for entry in able):
            return  # A rung compares all trials or none.
        able = _keep(config, able, [pause(entry.trial) for entry in able], rung, display)
    trials.run(able, lambda trial: 0, shares, display, stop)


def _keep(
    config: SweepConfig,
    entries: Sequence[Entry],
    epochs: Sequence[int],
    rung: int,
    display: Display,
) -> list[Entry]:
    """Returns the trials that continue after a rung, and marks the others as dropped."""
    scores, losses = {}, {}
    for entry, epoch in zip(entries, epochs, strict=True):
        if entry.status != trials.FAILED:
            history, monitor = entry.progress.history, entry.trial.config.monitor
            scores[entry.name] = halving.score(history, config.metric, monitor, epoch)
            losses[entry.name] = halving.loss(history, monitor, epoch)
    kept = halving.survivors(scores, config.metric, config.halving, losses)
    for entry in entries:
        if entry.name in scores and entry.name not in kept and not entry.progress.finished:
            entry.status = trials.DROPPED
            entry.reason = f"not among the best 1/{config.halving} at rung {rung + 1}"
    display.say(f"rung {rung + 1}: {len(kept)} of {len(scores)} continue: {', '.join(kept)}")
    return [entry for entry in entries if entry.name in kept]
