"""Runs trials, each in a child process of its own, so that all of its memory is freed.

Keras keeps a network's memory until the process ends (keras-team/keras#12625): a dozen trials in
one process run out of memory where each alone has enough.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np

from tfrecords.cli import flags
from tfrecords.cli import run as codes
from trainer.runs.history import History, HistoryError
from trainer.sweep import trial_status
from trainer.sweep.grid import Trial
from trainer.sweep.resources import Resources
from trainer.sweep.trial_status import TrainingSet, TrialProgress

LOG = "train.log"

# The module that trains; tests replace it with a quicker one.
CHILD = "trainer.sweep.child"

WAITING, RUNNING, PAUSED, DONE = "waiting", "running", "paused", "done"
FAILED, REFUSED, DROPPED, INTERRUPTED = "failed", "refused", "dropped", "interrupted"

_POLL_SECONDS = 0.1
_TICK_SECONDS = 1.0
# A child saves a checkpoint before it stops; one that takes longer is stuck.
_GRACE_SECONDS = 120.0
# An orphan of a killed sweep releases its run directory within seconds.
_HELD_SECONDS = 120.0
_MAX_REASON = 300
# Of a child that was asked to stop: while it trained, or before it had a handler for that.
_UNFINISHED = (codes.DONE, codes.INTERRUPTED, codes.TERMINATED, -signal.SIGTERM, -signal.SIGINT)


@dataclass
class Entry:
    """A trial and its status.

    Attributes:
      trial: to run.
      training_set: the records it trains on; None if the data set does not have them.
      progress: its epochs so far.
      status: one of the constants above.
      reason: why it failed, was refused or dropped.
      where: the cores or GPU that it runs on.
      since: when it was started, on the monotonic clock.
      digest: of the data set; empty for any.
    """

    trial: Trial
    training_set: TrainingSet | None = None
    progress: TrialProgress = field(default_factory=lambda: TrialProgress(History({})))
    status: str = WAITING
    reason: str = ""
    where: str = ""
    since: float = 0.0
    digest: str = ""

    @property
    def name(self) -> str:
        """Name of the trial."""
        return self.trial.name

    @property
    def seconds(self) -> float:
        """Training time of the finished epochs, over all attempts; 0 where none is known."""
        return float(np.nansum(self.progress.history["seconds"]))

    def refresh(self) -> None:
        """Reads its metrics again."""
        try:
            self.progress = trial_status.read(self.trial)
        except (OSError, HistoryError) as error:
            self.reason = str(error)


class Listener(Protocol):
    """Receives the events of a sweep."""

    def started(self, entry: Entry) -> None:
        """A trial was started."""

    def ended(self, entry: Entry) -> None:
        """A trial's process ended; the entry's status says how."""

    def waits(self, entry: Entry) -> None:
        """A trial's run directory is held by another process."""

    def stopping(self, running: int) -> None:
        """The running trials were asked to stop; `running` is their number."""

    def tick(self) -> None:
        """About a second has passed."""


@dataclass
class Stop:
    """How often a stop was asked for: once, trials save first; twice, they are killed.

    Attributes:
      asked: how often.
      number: of the last signal that asked; 0 for none.
    """

    asked: int = 0
    number: int = 0


@dataclass(eq=False)
class Child:
    """A trial's process.

    Attributes:
      entry: the trial.
      process: that runs it.
      share: the part of the machine that it may use.
      until: epoch it pauses after; 0 for none.
      log_start: size of its log when it was started.
    """

    entry: Entry
    process: subprocess.Popen[bytes]
    share: Resources
    until: int
    log_start: int


def run(
    entries: Sequence[Entry],
    until: Callable[[Trial], int],
    shares: Sequence[Resources],
    listener: Listener,
    stop: Stop,
) -> None:
    """Runs trials to an epoch, as many at once as there are shares; updates their entries.

    Args:
      entries: the trials, in order; those that have reached the epoch are skipped.
      until: returns the epoch that a trial pauses after; 0 for its end.
      shares: parts of the machine, one for each trial at a time.
      listener: receives the events.
      stop: when asked, running trials save a checkpoint and end.
    """
    waiting = [entry for entry in entries if not entry.progress.reached(until(entry.trial))]
    free, running = list(shares), list[Child]()
    held: dict[str, float] = {}
    ticked = 0.0
    try:
        while running or (waiting and not stop.asked):
            if stop.asked:
                _stop_all(running, stop, listener)
                return
            for entry in _startable(waiting, len(free), held, listener):
                waiting.remove(entry)
                if not _lost_its_data(entry, listener):
                    running.append(start(entry, until(entry.trial), free.pop(0)))
                    listener.started(entry)
            for child in _take_ended(running):
                free.insert(0, child.share)
                conclude(child, stopped=False)
                listener.ended(child.entry)
            if time.monotonic() - ticked > _TICK_SECONDS:
                ticked = time.monotonic()
                for child in running:
                    child.entry.refresh()
                listener.tick()
            time.sleep(_POLL_SECONDS)
    finally:
        for child in running:  # Empty unless an exception ended the loop.
            child.process.kill()


def _lost_its_data(entry: Entry, listener: Listener) -> bool:
    """Returns whether a trial fails for its data set, which was baked anew since."""
    reason = trial_status.replaced_data(entry.trial.config.data_dir, entry.digest)
    if reason:
        entry.status, entry.reason = FAILED, reason
        listener.ended(entry)
    return bool(reason)


def _take_ended(running: list[Child]) -> list[Child]:
    """Takes those whose process has ended out of `running`, and returns them."""
    ended = [child for child in running if child.process.poll() is not None]
    for child in ended:
        running.remove(child)
    return ended


def start(entry: Entry, until: int, share: Resources) -> Child:
    """Starts a trial's process, whose output goes to train.log in its run directory.

    Args:
      entry: the trial.
      until: epoch to pause after; 0 for none.
      share: the part of the machine that it may use.
    """
    config = entry.trial.config
    folder = Path(config.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [*flags.command_line(config), "--progress=lines"]
    if until:
        arguments.append(f"--stop_after_epoch={until}")
    cores = ",".join(map(str, share.cores))
    with open(folder / LOG, "ab") as log:
        before = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", CHILD, str(os.getpid()), cores, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **share.environment},
            # Ctrl-C reaches only the sweep, which passes it on once: a second one would kill.
            start_new_session=True,
        )
    entry.status, entry.reason, entry.where = RUNNING, "", share.label
    entry.since = time.monotonic()
    return Child(entry, process, share, until, before)


def conclude(child: Child, *, stopped: bool) -> None:
    """Records in a child's entry how its process has ended."""
    entry, code = child.entry, child.process.returncode
    entry.refresh()
    entry.where = ""
    if entry.progress.finished and code == 0:
        entry.status = DONE
    elif entry.progress.reached(child.until) and code == 0:
        entry.status = PAUSED
    elif stopped or code in _UNFINISHED:
        entry.status, entry.reason = INTERRUPTED, "stopped; the same command resumes it"
    else:
        entry.status, entry.reason = FAILED, _reason(child)


@contextmanager
def stopping_on_signals() -> Iterator[Stop]:
    """Counts Ctrl-C and SIGTERM in a `Stop`, so that they do not end the process."""
    stop = Stop()

    def count(number: int, frame: FrameType | None) -> None:
        del frame
        stop.asked, stop.number = stop.asked + 1, number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, count) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _startable(
    waiting: Sequence[Entry], most: int, held: dict[str, float], listener: Listener
) -> list[Entry]:
    """Returns up to `most` trials whose run directory no other process holds."""
    startable: list[Entry] = []
    for entry in waiting:
        if len(startable) == most:
            break
        if not trial_status.busy(entry.trial.config.run_dir):
            entry.refresh()  # The process that held it may have trained on.
            startable.append(entry)
        elif entry.name not in held:
            held[entry.name] = time.monotonic()
            listener.waits(entry)
        elif time.monotonic() - held[entry.name] > _HELD_SECONDS:
            startable.append(entry)  # It fails by itself, with an error that names the directory.
    return startable


def _stop_all(running: list[Child], stop: Stop, listener: Listener) -> None:
    """Lets children save and stop; kills them at a second signal or after `_GRACE_SECONDS`."""
    asked = stop.asked
    deadline = time.monotonic() + _GRACE_SECONDS
    for child in running:
        child.process.terminate()
    listener.stopping(len(running))
    while running:
        if stop.asked > asked or time.monotonic() > deadline:
            for child in running:
                child.process.kill()
        for child in [c for c in running if c.process.poll() is not None]:
            running.remove(child)
            conclude(child, stopped=True)
            listener.ended(child.entry)
        time.sleep(_POLL_SECONDS)


def _reason(child: Child) -> str:
    """Returns the last line of a child's log, and the signal that killed it, if any."""
    with open(Path(child.entry.trial.config.run_dir) / LOG, "rb") as log:
        log.seek(child.log_start)
        lines = log.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    last = last.removeprefix("error: ")[:_MAX_REASON]
    code = child.process.returncode
    if code >= 0:
        return last
    memory = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{memory} (last line: {last})"
