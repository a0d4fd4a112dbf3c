"""How two runs differ: in what must be the same to resume one, and in what is around them."""

from __future__ import annotations

from trainer import environment
from trainer.choices import AUTO_AUGMENT, AUTO_BATCH, NOT_PART_OF_THE_RESULT
from trainer.config import TrainConfig
from trainer.runs.config_file import RunConfig, identity_of

# Of `RunConfig.versions`: those that decide what a step computes.
_COMPUTING = ("tensorflow", "keras")

# What a flag is resolved to is stored in its place.
_LEFT_TO_THE_RUN = (("batch_size", AUTO_BATCH), ("augment", [AUTO_AUGMENT]))


def differences(stored: RunConfig, flags: TrainConfig, dataset_digest: str) -> list[str]:
    """Returns how a run would differ from the stored one, one text for each difference.

    --batch_size=auto and --augment=auto stand for whatever the stored run found. A flag that the
    version of the stored run did not have was at its default.
    """
    before = stored.identity
    return _other_fork(stored, flags) + [
        _difference(name, before[name], value)
        for name, value in identity_of(flags, dataset_digest).items()
        if before[name] != value
        and (name, value) not in _LEFT_TO_THE_RUN
        and (name != "augment" or stored.flags.augments)
    ]


def surroundings(stored: RunConfig, now: RunConfig) -> list[str]:
    """Returns what around two parts of a run differs and may change numbers, a text for each.

    These are environment variables, the versions of the libraries that compute, and flags that the
    version of the stored run did not have, or had alone. Of the rest, what an earlier version did
    not record is left out.
    """
    flags = _other_flags(stored)
    versions = flags + [
        f"{name} was {stored.versions[name]}, is now {now.versions[name]}"
        for name in _COMPUTING
        if {stored.versions.get(name), now.versions.get(name)}.isdisjoint({None})
        and stored.versions[name] != now.versions[name]
    ]
    if stored.environment is None or now.environment is None:
        return versions
    return [*versions, *environment.differences(stored.environment, now.environment)]


def _other_fork(stored: RunConfig, flags: TrainConfig) -> list[str]:
    """Returns how the run that --fork_from names differs from that which a run began with."""
    if stored.begins_as(flags):
        return []
    fork = stored.fork
    before = f"{fork.path} ({fork.which})" if fork else "empty"
    now = f"{flags.fork_from} ({flags.fork_epoch})" if flags.fork_from else "empty"
    return [f"--fork_from was {before}, is now {now}"]


def _other_flags(stored: RunConfig) -> list[str]:
    """Returns what is said of flags that the version of a stored run did not have, or had alone."""
    new = stored.unrecorded - NOT_PART_OF_THE_RESULT
    gone = stored.abandoned - NOT_PART_OF_THE_RESULT
    texts = []
    if new:
        names = ", ".join(f"--{name}" for name in sorted(new))
        texts.append(f"it was begun by a version without {names}, whose defaults it takes")
    if gone:
        names = ", ".join(f"--{name}" for name in sorted(gone))
        texts.append(f"this version has no {names}")
    return texts


def _difference(name: str, before: object, now: object) -> str:
    if name == "dataset":
        return f"the data set was {str(before)[:12]}, is now {str(now)[:12]}"
    return f"--{name} was {_shown(before)}, is now {_shown(now)}"


def _shown(value: object) -> str:
    if value is None:
        return "the default"
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text or "empty"
