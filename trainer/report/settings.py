"""What a run was asked for and what its data set is, as text for its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tfrecords.manifest import Manifest, SplitInfo
from trainer.config import TrainConfig
from trainer.runs.config_file import RunConfig

# Title of a group → name of a setting → its value.
Settings = Mapping[str, Mapping[str, object]]

# Items of a long list that the page names.
_LISTED = 8

# Flags that are shown beside the data they select from.
_DATA_FLAGS = (
    "data_dir", "train_split", "validation_split", "fold", "per_class", "classes", "num_classes",
    "originals_only", "image_size",
)  # fmt: skip


def settings_of(described: RunConfig) -> Settings:
    """Returns what the page of a training run shows of its config.json."""
    settings: Settings = {
        "flags": described.flags.to_dict(),
        "selection": dataclasses.asdict(described.selection),
        "device": dataclasses.asdict(described.device),
        "versions": described.versions,
        "run": {
            "size": described.size,
            "epochs": described.growth or described.flags.epochs,
            "weights": described.loaded or "all new",
            "began with": described.fork.describe() if described.fork else "",
        },
    }
    if described.environment:
        settings = {**settings, "environment": described.environment}
    return settings


def shown(settings: Settings) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns the settings as text, by group."""
    return [
        (title, [(name, _text(value)) for name, value in group.items()])
        for title, group in settings.items()
    ]


def data_facts(flags: Sequence[TrainConfig], manifest: Manifest) -> list[tuple[str, str]]:
    """Returns the data set's identity and the flags of the runs that select from it, as text."""
    image = manifest.image
    facts = [
        ("data set", manifest.name),
        ("digest", manifest.digest),
        ("sources digest", manifest.digests.get("sources", "–")),
        ("images", f"{image.width}×{image.height}, {image.resize.value}, {image.encoding.value}"),
        ("schema version", str(manifest.schema_version)),
    ]
    facts += [(f"{split.name} split", _split_text(split)) for split in manifest.splits]
    given = [each.to_dict() for each in flags]
    facts += [
        (f"--{name}", "; ".join(dict.fromkeys(_text(values[name]) for values in given)))
        for name in _DATA_FLAGS
        if any(values[name] not in (None, "", []) for values in given)
    ]
    return facts


def _split_text(split: SplitInfo) -> str:
    copies = f" + {sum(split.copies):,} copies" if any(split.copies) else ""
    plural = "" if len(split.shards) == 1 else "s"
    return f"{sum(split.originals):,} pictures{copies} in {len(split.shards)} shard{plural}"


def _text(value: object) -> str:
    if value is None or value == "" or value == [] or value == ():
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        more = f", … ({len(value)} in all)" if len(value) > _LISTED else ""
        return ", ".join(map(_text, value[:_LISTED])) + more
    return str(value)
