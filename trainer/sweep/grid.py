"""The trials of a grid: the product of its lists, overridden and scaled."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from tfrecords.sharding import stable_hash
from trainer.config import TrainConfig

# Flags that the sweep itself sets for each trial.
OWN_FLAGS = ("data_dir", "run_dir", "resume", "progress", "stop_after_epoch", "verbose")
FLAGS = tuple(f.name for f in dataclasses.fields(TrainConfig) if f.name not in OWN_FLAGS)

# Longer names are hard to read in tables, and file systems allow 255 bytes.
MAX_NAME = 100

DEFAULTS = {f.name: f.default for f in dataclasses.fields(TrainConfig)}

Values = Mapping[str, str]  # Flag → text, as on the command line.


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
      name: of its run directory; it does not depend on the other trials.
      config: of the run.
    """

    name: str
    config: TrainConfig


@dataclass(frozen=True)
class ScaleRule:
    """The effect of --scale on a flag.

    Attributes:
      power: the value is multiplied by scale ** power.
      least: the result is never smaller.
      multiple: the result is a multiple of this.
    """

    power: float = 1.0
    least: int = 1
    multiple: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.power <= 4 or self.least < 1 or self.multiple < 1:
            raise ValueError("power is 0 to 4, least and multiple are whole numbers from 1 up")

    def apply(self, value: int, scale: float) -> int:
        """Returns `value` at `scale`; scale 1 changes nothing."""
        if scale == 1:
            return value
        steps = round(value * scale**self.power / self.multiple)
        return max(self.least, steps * self.multiple)


@dataclass(frozen=True)
class Override:
    """Flags that are set for trials whose other flags have given values.

    Attributes:
      when: flag → texts, any of which matches.
      set: flag → text.
    """

    when: Mapping[str, tuple[str, ...]]
    set: Values

    def matches(self, values: Values) -> bool:
        """Returns whether the override applies to a trial with these flags."""
        return all(
            any(_is_same(name, _effective(name, values), text) for text in texts)
            for name, texts in self.when.items()
        )


@dataclass(frozen=True)
class Draft:
    """A trial as written, before overrides and scale.

    Attributes:
      stem: its name under `trials`; empty under `grid`.
      multiplied: the flags that are lists in the file, in order; they are part of the name.
      values: of all its flags.
    """

    stem: str
    multiplied: tuple[str, ...]
    values: Values


@dataclass(frozen=True)
class Grid:
    """The contents of a grid file.

    Attributes:
      drafts: the trials, in order.
      overrides: in order; a later one wins.
      scale: flag → effect of --scale.
    """

    drafts: tuple[Draft, ...]
    overrides: tuple[Override, ...]
    scale: Mapping[str, ScaleRule]


def expand(grid: Grid, data_dir: str, runs_dir: str, scale: float = 1.0) -> tuple[Trial, ...]:
    """Returns the trials of a grid; of several that are equal at this scale, the first.

    Raises:
      UsageError: a flag has an impossible value, or two different trials have one name.
    """
    if scale != 1 and not grid.scale:
        raise UsageError(f"--scale={scale:g}: the grid has no `scale` section that says how")
    _check_overrides(grid)
    trials: dict[str, Trial] = {}
    for draft in grid.drafts:
        values = _settle(draft.values, grid, scale)
        name = trial_name(draft.stem, {flag: values[flag] for flag in draft.multiplied})
        config = _config(name, values, data_dir, str(Path(runs_dir) / name))
        if trials.setdefault(name, Trial(name, config)).config != config:
            raise UsageError(f"two trials are called {name!r}: rename the one under `trials`")
    return tuple(trials.values())


def trial_name(stem: str, values: Values) -> str:
    """Returns the name of a trial: its stem, and its multiplied flags with their values.

    It depends on the arguments only, so that adding trials renames none. It is a valid file name.
    """
    parts = [stem] if stem else []
    parts += [f"{flag}={text.replace(',', '+') or 'none'}" for flag, text in values.items()]
    exact = ",".join(parts)
    name = re.sub(r"[^A-Za-z0-9._+=,-]+", "-", exact)
    if name == exact and len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 9]}-{stable_hash(exact) % 16**8:08x}"


def differing(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Returns the flags in which the trials differ, in the order of --help."""
    return tuple(
        name for name in FLAGS if len({getattr(trial.config, name) for trial in trials}) > 1
    )


def shown(config: TrainConfig, name: str) -> str:
    """Returns the value of a flag as shown to people; "–" where it has none."""
    value = getattr(config, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "–"
    return flags.to_text(config, name) or "none"


def _check_overrides(grid: Grid) -> None:
    """Refuses an override that sets nothing: what it was to set would be missed by nobody.

    Raises:
      UsageError: none of the trials has the values that it is for.
    """
    unused = dict(enumerate(grid.overrides, start=1))
    for draft in grid.drafts:
        values = draft.values
        for number, override in enumerate(grid.overrides, start=1):
            if override.matches(values):
                values = {**values, **override.set}
                unused.pop(number, None)
    for number, override in unused.items():
        wanted = ", ".join(f"{name}: {' or '.join(texts)}" for name, texts in override.when.items())
        raise UsageError(f"override {number} matches no trial: none has {wanted}; leave it out")


def _settle(values: Values, grid: Grid, scale: float) -> dict[str, str]:
    """Returns a draft's flags, overridden and scaled."""
    for override in grid.overrides:
        if override.matches(values):
            values = {**values, **override.set}
    names = dict.fromkeys((*values, *grid.scale))
    return {name: _scaled(grid.scale.get(name), name, values, scale) for name in names}


def _scaled(rule: ScaleRule | None, name: str, values: Values, scale: float) -> str:
    """Returns a flag's text with each whole number in it scaled, as in "128" or "96x128"."""
    text = _effective(name, values)
    if rule is None:
        return text
    return re.sub(r"\d+", lambda number: str(rule.apply(int(number[0]), scale)), text)


def _config(name: str, values: Values, data_dir: str, run_dir: str) -> TrainConfig:
    argv = [f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
    # A flag whose default is None is left out where it has no value.
    argv += [_argument(n, t) for n, t in values.items() if t or DEFAULTS[n] is not None]
    try:
        return parsing.parse(TrainConfig, argv)
    except UsageError as error:
        raise UsageError(f"trial {name}: {error}") from error


def _argument(name: str, text: str) -> str:
    if isinstance(DEFAULTS[name], bool) and text in ("true", "false"):
        return f"--{'' if text == 'true' else 'no'}{name}"
    return f"--{name}={text}"


def text_of(name: str, value: Any) -> str:
    """Returns the value that a file gives to a flag, as the command line writes it.

    Raises:
      UsageError: it is a mapping.
    """
    if isinstance(value, bool):
        if isinstance(DEFAULTS[name], bool):
            return "true" if value else "false"
        return "on" if value else "off"  # YAML 1.1 reads on and off as booleans.
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        raise UsageError(f"{name}: a value or a list of values expected, not a mapping")
    if value is None:  # In YAML, null: the flag's default.
        return "" if DEFAULTS[name] is None else text_of(name, DEFAULTS[name])
    return str(value)


def _effective(name: str, values: Values) -> str:
    return values[name] if name in values else text_of(name, DEFAULTS[name])


def _is_same(name: str, one: str, other: str) -> bool:
    """Returns whether two texts give a flag the same value, such as 1e-3 and 0.001."""
    if one == other or isinstance(DEFAULTS[name], bool):
        return one == other
    try:
        values = [flags.value_of(TrainConfig, name, text) for text in (one, other)]
    except (ValueError, TypeError):
        return False
    return bool(values[0] == values[1])
