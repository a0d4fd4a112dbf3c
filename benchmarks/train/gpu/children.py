"""Runs a program that measures, and gives its results as they come, until its time is up."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

from benchmarks.harness.paths import ROOT


def results(
    argv: Sequence[str], expected: Sequence[str], limit: float
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yields (case, what was found) of each line of JSON that a program prints.

    Cases that it should have printed and did not come last, with the reason as "error".

    Args:
      argv: the program.
      expected: the cases that it is to print.
      limit: seconds until it is killed, with the processes that it started.
    """
    missing = list(expected)
    end = time.monotonic() + limit
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        child = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, start_new_session=True
        )
        assert child.stdout is not None  # noqa: S101  # For mypy: it is a pipe.
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        reason = ""
        try:
            while (line := lines.get(timeout=max(0.0, end - time.monotonic()))) is not None:
                if line.startswith("{"):
                    found = json.loads(line)
                    name = str(found.pop("case"))
                    missing = [each for each in missing if each != name]
                    yield name, found
            child.wait(timeout=max(0.1, end - time.monotonic()))
            log.seek(0)
            said = [each for each in log.read().splitlines() if each.strip()]
            reason = f"exit code {child.returncode}: {(said or ['nothing said'])[-1][:300]}"
        except (queue.Empty, subprocess.TimeoutExpired):
            reason = f"not done within {limit:.0f} s"
        finally:
            _end(child)
            reader.join()
            child.stdout.close()
        for name in missing:
            yield name, {"error": reason}


def _read(pipe: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """Ends a program and what it started, which may outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
