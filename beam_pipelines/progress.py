"""Shows the progress of a bake by counting the files that its workers have finished.

It works the same for threads, processes and workers on other machines, since all of them
publish finished bundles, packs and shards below one output directory.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import COPIES, FACTS, SHARD_DONE, Layout
from tfrecords.cli.progress import Progress

_POLL_SECONDS = 0.5
_PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage whose workers leave one file per task.

    Attributes:
      name: shown in front of the bar.
      directory: where the files appear.
      suffix: how the name of a finished file ends.
      tasks: number of tasks.
      units: pictures, copies or records in all tasks together.
      unit: what `units` counts.
    """

    name: str
    directory: str
    suffix: str
    tasks: int
    units: int
    unit: str

    def done(self) -> int:
        """Returns the units in finished tasks, as if all tasks had the same size."""
        names = storage.list_names(self.directory)
        finished = min(self.tasks, sum(name.endswith(self.suffix) for name in names))
        return self.units * finished // max(self.tasks, 1)


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """How much work a plan gives the workers.

    Attributes:
      packs: number of packs of copies.
      copies: number of copies in them.
      shards: number of shards.
      records: number of records in them.
    """

    packs: int
    copies: int
    shards: int
    records: int


def write_planned_work(layout: Layout, work: PlannedWork) -> None:
    """Tells the process that shows the progress how much work is planned."""
    data = json.dumps(dataclasses.asdict(work)).encode()
    storage.write_bytes(storage.join(layout.cache_dir, _PLAN), data)


class BakeProgress:
    """Shows the stages of a bake one after another while the block runs.

    Args:
      layout: of the bake.
      bundles: number of bundles to decode.
      files: number of sources in them that are read.

    Attributes:
      seconds: name of each finished stage → how long it took.
    """

    def __init__(self, layout: Layout, bundles: int, files: int) -> None:
        self._layout = layout
        self._decode = Stage("decode", layout.canonical_dir, FACTS, bundles, files, " pictures")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seconds: dict[str, float] = {}
        storage.remove(self._plan)

    def __enter__(self) -> BakeProgress:
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

    @property
    def _plan(self) -> str:
        return storage.join(self._layout.cache_dir, _PLAN)

    def _watch(self) -> None:
        for stage in self._stages():
            started = time.monotonic()
            self._follow(stage)
            self.seconds[stage.name] = time.monotonic() - started

    def _stages(self) -> Iterator[Stage]:
        yield self._decode
        started = time.monotonic()
        while not storage.exists(self._plan):
            if self._stop.wait(_POLL_SECONDS):
                return
        self.seconds["plan"] = time.monotonic() - started
        work = PlannedWork(**json.loads(storage.read_bytes(self._plan)))
        layout = self._layout
        if work.packs:
            yield Stage("copy", layout.copies_dir, COPIES, work.packs, work.copies, " copies")
        yield Stage("write", layout.staging_dir, SHARD_DONE, work.shards, work.records, " records")

    def _follow(self, stage: Stage) -> None:
        shown = 0
        with Progress(stage.name, stage.units, stage.unit) as progress:
            while True:
                over = self._stop.wait(_POLL_SECONDS)
                done = stage.done()
                progress.advance(done - shown)
                shown = done
                if over or done >= stage.units:
                    return
