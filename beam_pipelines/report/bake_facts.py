"""What a bake's report needs beside the data set itself; kept for writing it again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from beam_pipelines.cache import storage
from beam_pipelines.similarity.leak_meter import LeakMeter
from beam_pipelines.similarity.optimism import Optimism

REPORT_DIRECTORY = "report"
REPORT_PAGE = "index.html"
FACTS = "bake.json"


@dataclass(frozen=True)
class BakeFacts:
    """What a bake knew at its end.

    Attributes:
      files: number of sources.
      seconds: stage → how long it took, in order; never part of a digest.
      notes: one line each.
      leaks: the leak meter of each held-out split.
      keep_cache: whether the cache stays after the bake.
      optimism: what the first held-out split claims, or None if nothing was compared.
    """

    files: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    leaks: tuple[LeakMeter, ...] = ()
    keep_cache: bool = True
    optimism: Optimism | None = None

    def save(self, output_dir: str) -> None:
        """Writes them beside the report.

        Raises:
          BakeError: they cannot be written.
        """
        directory = storage.join(output_dir, REPORT_DIRECTORY)
        storage.make_directory(directory)
        text = json.dumps(dataclasses.asdict(self))
        storage.write_bytes(storage.join(directory, FACTS), text.encode())

    @classmethod
    def load(cls, output_dir: str) -> BakeFacts | None:
        """Returns what a bake left, or None where it left nothing that can be read."""
        path = storage.join(output_dir, REPORT_DIRECTORY, FACTS)
        if not storage.exists(path):
            return None
        try:
            fields = json.loads(storage.read_bytes(path))
            return cls(
                int(fields["files"]),
                {str(stage): float(value) for stage, value in fields["seconds"].items()},
                tuple(map(str, fields["notes"])),
                tuple(map(LeakMeter.from_fields, fields["leaks"])),
                bool(fields["keep_cache"]),
                Optimism.from_fields(fields.get("optimism")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
