"""The config.json of runs that were never trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrecords.manifest import Manifest
from trainer.config import TrainConfig
from trainer.data.selection import Selection
from trainer.runs.config_file import CONFIG, DatasetIdentity, RunConfig


def describe(flags: TrainConfig, manifest: Manifest, **changes: object) -> RunConfig:
    """Returns the configuration that a run of `flags` on a data set would be given."""
    described = RunConfig(
        flags=flags,
        dataset=DatasetIdentity(manifest.name, manifest.digest),
        selection=Selection.of(flags, manifest),
        size=flags.size or (manifest.image.height, manifest.image.width),
        manifest=manifest,
    )
    return dataclasses.replace(described, **changes)  # type: ignore[arg-type]  # Values of a table.


def write(run_dir: Path, described: RunConfig) -> Path:
    """Writes config.json into a run directory, and returns its path."""
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / CONFIG
    path.write_text(described.to_json(), encoding="utf-8")
    return path
