"""Progress of a bake, read off the files that its workers finish.

It works the same for threads, processes and another machine's workers, since all of them
publish finished bundles, packs and shards under one output directory.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from beam_pipelines import storage

_POLL_SECONDS = 0.5
_LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage whose workers leave one file per task.

    Attributes:
      name: shown in front of the bar.
      directory: where the files appear.
      suffix: how the name of a finished one ends.
      total: number of tasks, or None while it is unknown.
      unit: what is counted.
    """

    name: str
    directory: str
    suffix: str
    total: int | None
    unit: str


class Progress:
    """Shows stages one after the other while the block runs.

    A terminal gets bars, anything else a line at most every 10 seconds.

    Args:
      stages: in the order in which they run.
      stream: where to show them.
    """

    def __init__(self, stages: tuple[Stage, ...], stream: TextIO = sys.stderr) -> None:
        self._stages = stages
        self._stream = stream
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        show = self._show_bar if self._stream.isatty() else self._show_lines
        started = time.monotonic()
        for position, stage in enumerate(self._stages):
            show(stage, self._stages[position + 1 :])
            self.seconds[stage.name] = time.monotonic() - started
            started = time.monotonic()
            if self._stop.is_set():
                return

    def _show_bar(self, stage: Stage, later: tuple[Stage, ...]) -> None:
        with tqdm(
            total=stage.total, desc=stage.name, unit=f" {stage.unit}", file=self._stream
        ) as bar:
            self._follow(stage, later, lambda done: bar.update(done - bar.n))

    def _show_lines(self, stage: Stage, later: tuple[Stage, ...]) -> None:
        last = time.monotonic()

        def show(done: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _LINE_SECONDS:
                last = time.monotonic()
                of = f" of {stage.total}" if stage.total else ""
                print(f"{stage.name}: {done}{of} {stage.unit}", file=self._stream, flush=True)

        self._follow(stage, later, show)

    def _follow(self, stage: Stage, later: tuple[Stage, ...], show: Callable[[int], None]) -> None:
        """Shows the count until the stage is full, a later one has begun or all is over."""
        begun = [_count(other) for other in later]
        while True:
            over = self._stop.wait(_POLL_SECONDS)
            done = _count(stage)
            show(done if stage.total is None else min(done, stage.total))
            full = stage.total is not None and done >= stage.total
            if over or full or [_count(other) for other in later] != begun:
                return


def _count(stage: Stage) -> int:
    return sum(name.endswith(stage.suffix) for name in storage.list_names(stage.directory))
