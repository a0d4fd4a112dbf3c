"""Prepares a run: everything that can be checked before a network is built."""

from __future__ import annotations

from tfrecords.errors import TrainerError
from trainer import remote
from trainer.choices import AUTO_AUGMENT, AUTO_BATCH, WITHOUT_FLIPS
from trainer.config import TrainConfig
from trainer.data import first_records, mirror, on_device
from trainer.data.folds import of_run
from trainer.data.selection import Selection, Source, open_configured
from trainer.data.stream import steps_per_epoch
from trainer.data.version import DataVersion
from trainer.devices import Devices, set_up_devices
from trainer.runs import opening
from trainer.runs.config_file import RunConfig
from trainer.runs.overlap import Part
from trainer.train import batch_size, fork, recipe
from trainer.train.state import Task


def prepare(config: TrainConfig) -> Task:
    """Returns a run ready to train: data opened, devices set up; nothing is written.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    stored = remote.load(config.data_dir)
    manifest = of_run(config, stored)
    selection = Selection.of(config, manifest)
    train = open_configured(config, manifest, config.train_split, selection)
    natural = selection.natural()
    validation = open_configured(config, manifest, config.validation_split, natural)
    _check_counts(train, validation)
    _ = train.ranks, validation.ranks  # Read here, so that a damaged ledger stops it now.
    first_records.check(manifest, train, validation)
    version = DataVersion.of(train.data_dir, stored, train, validation)
    devices = set_up_devices(config)
    settled = recipe.settle(config, train, validation, gpu=devices.kind == "gpu")
    config, flips = _without_wrong_flips(settled.config, train)
    on_device.chooser(config, devices)  # Refuses what the device cannot do, before all else.
    config = config.with_batch_size(_batch_size(config, train, devices))
    run_dir = opening.of(opening.describe(config, manifest, train, devices))
    steps = steps_per_epoch(train, config.fixed_batch_size)
    parent = kept = None
    if config.fork_from and run_dir.config.fork is None:
        judged = Part(validation.data_dir, manifest, config.validation_split, natural)
        parent = fork.open_parent(run_dir.config, judged)
        kept = parent.inherited
    elif not config.fork_from and not run_dir.resumes:
        kept = fork.of_weights(config)
    return Task(
        config, train, validation, devices, run_dir, steps, version, parent, kept,
        recipe=settled.line, flips=flips,
    )  # fmt: skip


def _without_wrong_flips(config: TrainConfig, train: Source) -> tuple[TrainConfig, str]:
    """Returns a configuration without the flips of --augment=auto where they exchange classes.

    A run that is resumed has what it had; a head on features alone had none.

    Returns:
      The configuration, and why it has no flips; empty where nothing changed.
    """
    if config.augment != (AUTO_AUGMENT,) or not config.augments:
        return config, ""
    stored = _stored(config)
    if stored is not None and stored.flags.augments:
        return config.with_augment(stored.flags.augment), ""
    exchange = mirror.exchanged(train)
    if exchange is None:
        return config, ""
    return config.with_augment(WITHOUT_FLIPS), exchange.describe()


def _batch_size(config: TrainConfig, train: Source, devices: Devices) -> int:
    """Returns --batch_size; for auto the one that was found when the run began."""
    if config.batch_size != AUTO_BATCH:
        return config.fixed_batch_size
    stored = _stored(config)
    if stored is not None:
        return stored.flags.fixed_batch_size
    classes = len(train.selection.classes)
    return batch_size.find(config, train.size, classes, train.records, devices.kind == "gpu")


def _stored(config: TrainConfig) -> RunConfig | None:
    """Returns the configuration of the run that is resumed, if it can be read.

    Of a damaged one its checkpoints know whether what is settled anew is the same:
    `resuming.check` asks them.
    """
    try:
        return RunConfig.read_if_present(config.run_dir) if config.resume else None
    except TrainerError:
        return None


def _check_counts(train: Source, validation: Source) -> None:
    """Refuses classes without a training picture, and a run without validation."""
    counts = train.selection.counts(train.split)
    empty = [name for name, count in zip(train.selection.classes, counts, strict=True) if not count]
    if empty:
        raise TrainerError(
            f"{len(empty)} selected classes have no record in split {train.split.name!r}, e.g. "
            f"{empty[0]!r}: leave them out with --classes or --num_classes"
        )
    if not validation.records:
        raise TrainerError(
            f"split {validation.split.name!r} has no picture of the selected classes: bake with "
            "--splits=train:0.8,validation:0.2, or name another --validation_split"
        )
