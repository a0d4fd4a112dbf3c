"""Running trials: one child process each, so that its memory is really given back.

Keras keeps what a network took until the process ends (keras-team/keras#12625), so a dozen
trials in one process run out of memory where each alone has enough.
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

from tfrecords.cli import flags
from trainer.runs.history import History, HistoryError
from trainer.sweep import trial_status as standing
from trainer.sweep.grid import Trial
from trainer.sweep.resources import Slot
from trainer.sweep.trial_status import Standing, Subject

LOG = "train.log"

# The module that trains; tests put a quicker one in its place.
CHILD = "trainer.sweep.child"

WAITING, RUNNING, PAUSED, DONE = "waiting", "running", "paused", "done"
FAILED, REFUSED, DROPPED, INTERRUPTED = "failed", "refused", "dropped", "interrupted"

_POLL_SECONDS = 0.1
_TICK_SECONDS = 1.0
# A child saves a checkpoint before it stops; one that takes longer hangs.
_GRACE_SECONDS = 120.0
# An orphan of a killed sweep lets go of its run directory within seconds.
_HELD_SECONDS = 120.0
_MAX_REASON = 300


@dataclass
class Entry:
    """A trial and where it stands.

    Attributes:
      trial: what to run.
      subject: what it trains on; None if the data set cannot serve it.
      standing: its epochs so far.
      status: one of the constants above.
      reason: why it failed, was refused or dropped.
      where: cores or GPU it runs on.
      since: when it was started, on the monotonic clock.
    """

    trial: Trial
    subject: Subject | None = None
    standing: Standing = field(default_factory=lambda: Standing(History({})))
    status: str = WAITING
    reason: str = ""
    where: str = ""
    since: float = 0.0

    @property
    def name(self) -> str:
        """Of the trial."""
        return self.trial.name

    @property
    def seconds(self) -> float:
        """Training time of the finished epochs, over all attempts."""
        return float(sum(self.standing.history["seconds"])) if self.standing.epochs else 0.0

    def refresh(self) -> None:
        """Reads its metrics again."""
        try:
            self.standing = standing.read(self.trial)
        except (OSError, HistoryError) as error:
            self.reason = str(error)


class Listener(Protocol):
    """Who is told how a sweep goes on."""

    def started(self, entry: Entry) -> None:
        """A trial was started."""

    def ended(self, entry: Entry) -> None:
        """A trial's process ended; its status says how."""

    def waits(self, entry: Entry) -> None:
        """A trial's run directory is held by another process."""

    def stopping(self, running: int) -> None:
        """So many trials were asked to stop."""

    def tick(self) -> None:
        """About a second went by."""


@dataclass
class Stop:
    """Whether somebody asked for an end: once, let trials save; twice, at once."""

    asked: int = 0


@dataclass(eq=False)
class Child:
    """A trial's process.

    Attributes:
      entry: the trial.
      process: of it.
      slot: what it may use.
      until: epoch it pauses after; 0 for none.
      said_before: size of its log when it was started.
    """

    entry: Entry
    process: subprocess.Popen[bytes]
    slot: Slot
    until: int
    said_before: int


def run(
    entries: Sequence[Entry],
    until: Callable[[Trial], int],
    slots: Sequence[Slot],
    listener: Listener,
    stop: Stop,
) -> None:
    """Runs trials to an epoch, as many at once as there are slots; updates their entries.

    Args:
      entries: those to run, in order; ones that are there already are left alone.
      until: of each trial, the epoch to pause after; 0 for the end.
      slots: what each may use.
      listener: is told.
      stop: ends it; trials that run are interrupted with their checkpoint saved.
    """
    waiting = [entry for entry in entries if not entry.standing.reached(until(entry.trial))]
    free, running = list(slots), list[Child]()
    held: dict[str, float] = {}
    ticked = 0.0
    try:
        while running or (waiting and not stop.asked):
            if stop.asked:
                _stop_all(running, stop, listener)
                return
            for entry in _startable(waiting, len(free), held, listener):
                waiting.remove(entry)
                slot = free.pop(0)
                running.append(start(entry, until(entry.trial), slot))
                listener.started(entry)
            for child in [c for c in running if c.process.poll() is not None]:
                running.remove(child)
                free.insert(0, child.slot)
                conclude(child, stopped=False)
                listener.ended(child.entry)
            if time.monotonic() - ticked > _TICK_SECONDS:
                ticked = time.monotonic()
                for child in running:
                    child.entry.refresh()
                listener.tick()
            time.sleep(_POLL_SECONDS)
    finally:
        for child in running:  # Empty, unless something unforeseen happened.
            child.process.kill()


def start(entry: Entry, until: int, slot: Slot) -> Child:
    """Starts a trial's process; what it says goes to train.log in its run directory.

    Args:
      entry: the trial.
      until: epoch to pause after; 0 for none.
      slot: what it may use.
    """
    config = entry.trial.config
    folder = Path(config.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [*flags.command_line(config), "--progress=lines"]
    if until:
        arguments.append(f"--stop_after_epoch={until}")
    cores = ",".join(map(str, slot.cores))
    with open(folder / LOG, "ab") as log:
        before = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", CHILD, str(os.getpid()), cores, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **slot.environment},
            # Ctrl-C reaches the sweep alone, which passes it on once: a second would kill.
            start_new_session=True,
        )
    entry.status, entry.reason, entry.where = RUNNING, "", slot.label
    entry.since = time.monotonic()
    return Child(entry, process, slot, until, before)


def conclude(child: Child, *, stopped: bool) -> None:
    """Writes into a child's entry how its process, which has ended, ended."""
    entry, code = child.entry, child.process.returncode
    entry.refresh()
    entry.where = ""
    if entry.standing.finished and code == 0:
        entry.status = DONE
    elif entry.standing.reached(child.until) and code == 0:
        entry.status = PAUSED
    elif stopped or code == 0:
        # trainer.train ends with 0 after SIGTERM: it did what it was asked to.
        entry.status, entry.reason = INTERRUPTED, "stopped; the same command carries on"
    else:
        entry.status, entry.reason = FAILED, _reason(child)


@contextmanager
def stopping_on_signals() -> Iterator[Stop]:
    """Counts Ctrl-C and SIGTERM in a `Stop` instead of dying of them."""
    stop = Stop()

    def count(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.asked += 1

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
    """Returns up to `most` trials whose directory no other process holds."""
    found: list[Entry] = []
    for entry in waiting:
        if len(found) == most:
            break
        if not standing.busy(entry.trial.config.run_dir):
            entry.refresh()  # The process that held it may have trained on.
            found.append(entry)
        elif entry.name not in held:
            held[entry.name] = time.monotonic()
            listener.waits(entry)
        elif time.monotonic() - held[entry.name] > _HELD_SECONDS:
            found.append(entry)  # It will say itself who holds it, and fail.
    return found


def _stop_all(running: list[Child], stop: Stop, listener: Listener) -> None:
    """Lets children save and stop; a second signal, or their taking too long, kills them."""
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
    """Returns the last line a child said, and the signal it died of."""
    with open(Path(child.entry.trial.config.run_dir) / LOG, "rb") as log:
        log.seek(child.said_before)
        lines = log.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    last = last.removeprefix("error: ")[:_MAX_REASON]
    code = child.process.returncode
    if code >= 0:
        return last
    memory = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{memory} (last line: {last})"
