"""What a case of torture is, and the commands that it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.tiers import ROOT
from tfrecords.sharding import stable_hash

# Longer than any command here takes, on a busy machine.
_SECONDS = 900.0


class Lost(Exception):
    """Something was lost: a wrong result, half a file under its name, a crash, a traceback."""


@dataclass(frozen=True)
class Case:
    """One attempt.

    Attributes:
      seed: decides what is done; when a process is hit, the machine's speed decides too.
      folder: empty, to work in; removed after.
      bench: what cases of all kinds compare with, made once; not to be changed.
    """

    seed: int
    folder: Path
    bench: Path

    def rng(self, kind: str) -> np.random.Generator:
        """Returns the random numbers of this case of a kind."""
        return np.random.default_rng(stable_hash("torture", kind, self.seed))


@dataclass(frozen=True)
class Kind:
    """A kind of torture.

    Attributes:
      name: for --only.
      what: is done, for the table.
      share: of the time, against that of the others.
      attempt: tries one case, and returns how it ended in a few words.
      most: cases; 0 for as many as there is time for.
    """

    name: str
    what: str
    share: float
    attempt: Callable[[Case], str]
    most: int = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
      code: its exit code; negative for a signal.
      out: its standard output.
      err: its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The line of its error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return lines[-1] if lines else ""

    def require_told(self, what: str) -> None:
        """Requires that it ended well, or with one line for a person.

        Raises:
          Lost: a traceback, a crash, or a failure without a line.
        """
        if self.code not in (0, 1, 2, 130, 143):
            raise Lost(f"{what} ended with {self.code}: {self.err[-600:]}")
        for mark in ("Traceback (most recent", "unexpected ", "Exception ignored"):
            if mark in self.err:
                raise Lost(f"{what} said {mark!r}: {self.err[-900:]}")
        if self.code in (1, 2) and self.err.count("error: ") != 1:
            raise Lost(f"{what} ended with {self.code} and no one line: {self.err[-600:]}")

    def require_done(self, what: str) -> None:
        """Raises Lost unless it ended well."""
        self.require_told(what)
        if self.code != 0:
            raise Lost(f"{what} ended with {self.code}: {self.err[-600:]}")


def start(
    module: str,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen[str]:
    """Starts `python -m module flags` in a session of its own.

    Args:
      environment: what is added to that of this process.
      output: file of its standard output.
      before: called in the new process first.
    """
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "", **(environment or {})}
    return subprocess.Popen(
        [sys.executable, "-m", module, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE if output is None else open(output, "wb"),
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **variables},
        start_new_session=True,
        preexec_fn=before,
    )


def finish(process: subprocess.Popen[str], seconds: float = _SECONDS) -> Ended:
    """Returns how a command ended.

    Raises:
      Lost: it did not in time.
    """
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        kill(process, whole=True)
        raise Lost(f"{process.args} hung") from error
    return Ended(process.returncode, out or "", err or "")


def run(module: str, *flags: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Runs `python -m module flags` to its end."""
    return finish(start(module, *flags, environment=environment))


def kill(process: subprocess.Popen[str], *, whole: bool) -> None:
    """Kills a command: its first process, or the whole of its session."""
    if whole:
        # The leader may be gone, and its children not.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        process.kill()
    process.wait()


def kill_after(process: subprocess.Popen[str], seconds: float, *, whole: bool) -> bool:
    """Kills a command after some seconds; returns False if it ended before by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            process.communicate()
            return False
        time.sleep(min(0.01, seconds))
    kill(process, whole=whole)
    # Pipes stay open in children that live on: they are nobody's.
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return True


def require_clean(folder: Path) -> None:
    """Raises Lost if a temporary file lies below a folder after a command that ended well."""
    left = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.name.startswith((".tmp-", ".export-", ".evenshard-"))
    ]
    if left:
        raise Lost(f"temporary files are left: {left[:5]}")
