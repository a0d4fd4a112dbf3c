"""`config.json` of a run directory: what was trained, on which data, on which machine.

Reading it needs no TensorFlow, so a sweep or a lineage query answers at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest
from trainer.choices import AUTO_AUGMENT, NOT_PART_OF_THE_RESULT
from trainer.config import TrainConfig
from trainer.data.selection import Selection
from trainer.recipes.flags import FULL_UP_TO
from trainer.runs.ancestry import Extension, Fork

CONFIG = "config.json"


_T = TypeVar("_T")

# Every flag of a configuration and its value, as JSON has them.
Flags = Mapping[str, Any]


@dataclass(frozen=True)
class DatasetIdentity:
    """Which data set a run was trained on.

    Attributes:
      name: given to the bake.
      digest: of its shards; two data sets with the same digest hold the same records.
      absolute: where it was when the run began; empty for a URL. Not part of the identity.
      relative: the same, from the run's directory.
    """

    name: str
    digest: str
    absolute: str = ""
    relative: str = ""


@dataclass(frozen=True)
class DeviceSummary:
    """What a run was computed on.

    Attributes:
      kind: "gpu" or "cpu"; empty where the file does not say.
      names: of the devices.
      precision: Keras dtype policy.
      deterministic: whether its ops were deterministic.
    """

    kind: str = ""
    names: tuple[str, ...] = ()
    precision: str = ""
    deterministic: bool = False


@dataclass(frozen=True)
class RunConfig:
    """The contents of a run's config.json.

    Attributes:
      flags: of `trainer.train`, with --batch_size resolved.
      dataset: that the run was trained on.
      selection: the classes in label order, and which of their records were trained on.
      size: (height, width) of the pixels.
      manifest: of the data set; of a run on a fold, with the splits of that fold.
      device: what the run was computed on.
      versions: package → version.
      unrecorded: flags that the file lacks, because an earlier version wrote it; `flags` has
        their defaults.
      abandoned: flags that the file has, and this version does not know.
      earlier: fingerprints that earlier versions gave to this run, which knew other flags.
      extended_from: what it was asked for before, in order: it came to the end of each, and was
        then given more.
      loaded: which weights of the network --weights gave it, in words; empty for none.
      fork: the other run's state that it began with, if any.
      environment: variables that change numbers and their values, as `environment.recorded` gives
        them; None where an earlier version wrote the file.
      network_version: of springfield_cnn; 1 of other networks, and where the file does not say.
    """

    flags: TrainConfig
    dataset: DatasetIdentity
    selection: Selection
    size: tuple[int, int]
    manifest: Manifest
    device: DeviceSummary = field(default_factory=DeviceSummary)
    versions: Mapping[str, str] = field(default_factory=dict)
    unrecorded: frozenset[str] = frozenset()
    abandoned: frozenset[str] = frozenset()
    earlier: frozenset[str] = frozenset()
    extended_from: tuple[Extension, ...] = ()
    loaded: str = ""
    fork: Fork | None = None
    environment: Mapping[str, str] | None = None
    network_version: int = 1

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Originals of each class that the run was trained on, in label order."""
        return self.selection.originals(self.manifest.split(self.flags.train_split))

    def of_same_fold(self, found: Manifest) -> Manifest:
        """Returns a data set's manifest with the splits that the run saw, if it is its own.

        The folds of another data set have nothing to do with that of the run.
        """
        fold, folds = self.flags.fold, len(found.folds)
        if fold is None or found.digest != self.dataset.digest or fold >= folds:
            return found
        return found.of_fold(fold)

    @property
    def identity(self) -> Flags:
        """What two runs must share to be the same run; see `identity_of`."""
        shared = _identity(_telling(self.flags), self.dataset.digest, self.fork)
        return shared | self._network

    @property
    def _network(self) -> dict[str, Any]:
        """What tells checkpoints of springfield_cnn's versions apart, at the sizes that differ.

        Where config.json is lost, nothing else would.
        """
        if self.network_version > 1 and max(self.size) <= FULL_UP_TO:
            return {"network_version": self.network_version}
        return {}

    @property
    def fingerprint(self) -> str:
        """A digest of `identity`: a checkpoint is resumed only under its own."""
        return _digest(self.identity)

    @property
    def resumable(self) -> frozenset[str]:
        """The fingerprints of checkpoints that this run resumes.

        They are its own, those before it grew, and those of versions with other flags.
        """
        before = (
            dataclasses.replace(self, flags=extension.before(self.flags))
            for extension in self.extended_from
        )
        return self.earlier | {self.fingerprint, *(each.fingerprint for each in before)}

    @property
    def patient_from(self) -> int:
        """The epoch that --early_stopping counts from at the earliest: where it got more epochs."""
        asked = [each.epochs for each in self.extended_from] + [self.flags.epochs]
        grown = [
            each.at
            for each, then in zip(self.extended_from, asked[1:], strict=True)
            if then > each.epochs
        ]
        return grown[-1] if grown else 0

    @property
    def growth(self) -> str:
        """What is said of a run that was given more to do; empty of any other."""
        if not self.extended_from:
            return ""
        last = self.extended_from[-1]
        epochs = [each.epochs for each in self.extended_from] + [self.flags.epochs]
        steps = [n for n, before in zip(epochs, [0, *epochs], strict=False) if n != before]
        if len(steps) > 1:
            text = (
                f"extended from {' to '.join(map(str, steps))} epochs: from epoch "
                f"{self.patient_from + 1} on, the schedule is that of {self.flags.epochs}"
            )
        else:
            text = f"extended after it had stopped early at epoch {last.at}"
        if last.early_stopping != self.flags.early_stopping:
            text += (
                f"; --early_stopping was {last.early_stopping}, is now {self.flags.early_stopping}"
            )
        return text

    def begins_as(self, flags: TrainConfig) -> bool:
        """Returns whether --fork_from and --fork_epoch ask for what this run began with.

        The run is not looked at: it may be gone, or have trained on.
        """
        if self.fork is None:
            return not flags.fork_from
        asked = flags.fork_from, flags.fork_epoch
        return asked == (self.flags.fork_from, self.fork.which) or self.fork.is_of(*asked)

    def to_json(self) -> str:
        """Returns the text of config.json."""
        document: dict[str, Any] = {
            "flags": self.flags.to_dict(),
            "dataset": dataclasses.asdict(self.dataset),
            "selection": dataclasses.asdict(self.selection),
            "size": self.size,
            "device": dataclasses.asdict(self.device),
            "versions": dict(self.versions),
            "manifest": json.loads(self.manifest.to_json()),
        }
        if self.network_version > 1:
            document["network_version"] = self.network_version
        if self.environment is not None:
            document["environment"] = dict(self.environment)
        if self.extended_from:
            document["extended_from"] = [dataclasses.asdict(each) for each in self.extended_from]
        if self.fork is not None:
            document["forked_from"] = self.fork.to_dict()
        if self.loaded:
            document["loaded"] = self.loaded
        if self.earlier:
            document["earlier"] = sorted(self.earlier)
        return json.dumps(document, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Returns the configuration in the text of a config.json.

        Raises:
          ValueError: the text is cut off or has another form; the message names the part.
        """
        document = json.loads(text)
        flags = _section(document, "flags")
        config = _checked("flags", lambda: TrainConfig.from_dict(dict(flags)))
        dataset = _section(document, "dataset")
        text = json.dumps(_section(document, "manifest"))
        manifest = _checked("manifest", lambda: Manifest.from_json(text))
        chosen = _section(document, "selection")
        device = _section(document, "device", optional=True)
        known = {each.name for each in dataclasses.fields(TrainConfig)}
        fork = _checked("forked_from", lambda: _fork(document))
        digest = _text(dataset, "digest")
        stored = cls(
            flags=config,
            dataset=DatasetIdentity(
                name=str(dataset.get("name", "")),
                digest=digest,
                absolute=str(dataset.get("absolute", "")),
                relative=str(dataset.get("relative", "")),
            ),
            selection=_checked("selection", lambda: _selection(chosen, manifest.classes)),
            size=_checked("size", lambda: _size(document.get("size"))),
            manifest=manifest,
            device=_checked("device", lambda: _device(device)),
            versions={
                str(name): str(version)
                for name, version in _section(document, "versions", optional=True).items()
            },
            environment=_environment(document),
            unrecorded=frozenset(known - flags.keys()),
            abandoned=frozenset(flags.keys() - known),
            loaded=str(document.get("loaded", "")),
            network_version=_checked(
                "network_version", lambda: int(document.get("network_version", 1))
            ),
            extended_from=_checked("extended_from", lambda: _extensions(document, config)),
            fork=fork,
        )
        written = _identity(flags, digest, fork) | stored._network
        then = {*_earlier(document), _digest(written)}
        return dataclasses.replace(stored, earlier=frozenset(then - {stored.fingerprint}))

    @classmethod
    def read(cls, run_dir: str | Path) -> RunConfig:
        """Returns the configuration of a run.

        Raises:
          UsageError: there is no such directory.
          TrainerError: the directory has no config.json, or a damaged one.
        """
        found = cls.read_if_present(run_dir)
        if found is None:
            require_directory(run_dir)
            raise TrainerError(
                f"{run_dir} is not a run directory: it has no {CONFIG}; give a --run_dir that "
                "`evenshard train` wrote"
            )
        return found

    @classmethod
    def read_if_present(cls, run_dir: str | Path) -> RunConfig | None:
        """Returns the configuration of a run, or None if nothing was trained there yet.

        Raises:
          TrainerError: config.json cannot be read, is cut off or has another form.
        """
        path = Path(run_dir) / CONFIG
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise TrainerError(
                f"{path} is damaged: {error}; restore the file, or train with --noresume to "
                "start again"
            ) from error


def require_directory(run_dir: str | Path) -> None:
    """Refuses a run that was named and is not there.

    Raises:
      UsageError: there is no such directory.
    """
    if not Path(run_dir).exists():
        raise UsageError(
            f"{run_dir} does not exist; the directory of a run is expected, as `evenshard train` "
            "writes it"
        )


def identity_of(flags: TrainConfig, dataset_digest: str) -> dict[str, Any]:
    """Returns what two runs must share to be the same run.

    These are the flags that change the result, and the digest of the data set as "dataset".
    """
    return _identity(_telling(flags), dataset_digest)


def _telling(flags: TrainConfig) -> Flags:
    """Returns a run's flags; one that augments nothing is the same whatever --augment is."""
    return flags.to_dict() | ({} if flags.augments else {"augment": [AUTO_AUGMENT]})


def _identity(flags: Flags, dataset_digest: str, fork: Fork | None = None) -> dict[str, Any]:
    values = {k: v for k, v in flags.items() if k not in NOT_PART_OF_THE_RESULT}
    values["dataset"] = dataset_digest
    return values if fork is None else values | {"fork": fork.id}


def _digest(identity: Flags) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _section(document: object, name: str, *, optional: bool = False) -> Mapping[str, Any]:
    section = document.get(name) if isinstance(document, dict) else None
    if section is None and optional:
        return {}
    if not isinstance(section, dict):
        raise ValueError(f"it has no object {name!r}")
    return section


def _checked(part: str, parse: Callable[[], _T]) -> _T:
    """Returns what `parse` gives; names the part of the file where it fails."""
    try:
        return parse()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"its {part!r} cannot be used: {reason}") from error


def _selection(section: Mapping[str, Any], known: Sequence[str]) -> Selection:
    classes, labels = section["classes"], section["labels"]
    if len(classes) != len(labels):
        raise ValueError(f"{len(classes)} classes with {len(labels)} labels")
    if list(classes) != [dict(enumerate(known)).get(label) for label in labels]:
        raise ValueError("its classes are not those that the manifest in it has at these labels")
    limit = section["max_rank"]
    return Selection(
        classes=tuple(map(str, classes)),
        labels=tuple(map(int, labels)),
        max_rank=None if limit is None else int(limit),
        originals_only=bool(section["originals_only"]),
    )


def _extensions(document: Mapping[str, Any], flags: TrainConfig) -> tuple[Extension, ...]:
    found = document.get("extended_from", ())
    return tuple(Extension.of(each, flags.early_stopping) for each in found)


def _fork(document: Mapping[str, Any]) -> Fork | None:
    found = document.get("forked_from")
    return None if found is None else Fork.of(found)


def _size(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"[height, width] expected, not {value!r}")
    return int(value[0]), int(value[1])


def _earlier(document: Mapping[str, Any]) -> frozenset[str]:
    return _checked("earlier", lambda: frozenset(map(str, document.get("earlier", ()))))


def _environment(document: Mapping[str, Any]) -> Mapping[str, str] | None:
    if document.get("environment") is None:
        return None
    section = _section(document, "environment")
    return {str(name): str(value) for name, value in section.items()}


def _device(section: Mapping[str, Any]) -> DeviceSummary:
    return DeviceSummary(
        kind=str(section.get("kind", "")),
        names=tuple(map(str, section.get("names", ()))),
        precision=str(section.get("precision", "")),
        deterministic=bool(section.get("deterministic", False)),
    )


def _text(section: Mapping[str, Any], name: str) -> str:
    value = section.get(name)
    if not isinstance(value, str):
        raise ValueError(f"it has no text {name!r} in 'dataset'")
    return value
