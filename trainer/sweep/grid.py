"""Turns a YAML grid into trials.

    base:                       # flags of evenshard train, of every trial
      epochs: 30
    grid:                       # lists multiply: four trials
      per_class: [155, 300]
      wide: [false, true]
    trials:                     # further trials, by name
      rotated: {augment: "flip,crop,rotate"}
      batch: {batch_size: [10, 32]}
    overrides:                  # applied last, to the trials that match
      - when: {per_class: 155}
        set: {epochs: 60}
    scale:                      # effect of --scale=S: value × S ** power
      epochs: {power: 0.5, least: 3}
    folds: all                  # every trial once on each fold of the data set; or [0, 1]

A list always means several values, one trial each. A flag that itself takes a list is written
as on the command line, "flip,crop".
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from tfrecords.sharding import stable_hash
from trainer.config import TrainConfig

SECTIONS = ("base", "grid", "trials", "overrides", "scale", "folds")
ALL_FOLDS = "all"

# Flags that the sweep itself sets for each trial.
OWN_FLAGS = ("data_dir", "run_dir", "resume", "progress", "stop_after_epoch", "verbose")
FLAGS = tuple(f.name for f in dataclasses.fields(TrainConfig) if f.name not in OWN_FLAGS)

# Longer names are hard to read in tables, and file systems allow 255 bytes.
MAX_NAME = 100

_DEFAULTS = {f.name: f.default for f in dataclasses.fields(TrainConfig)}
_ALLOWED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,-]*")

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


def load(
    path: str | Path, data_dir: str, runs_dir: str, scale: float = 1.0, folds: int = 0
) -> tuple[Trial, ...]:
    """Returns the trials of a grid file, in the order written.

    Args:
      path: of the YAML.
      data_dir: data set of every trial.
      runs_dir: parent of the run directories.
      scale: for the rules of the `scale` section.
      folds: of the data set; 0 for one without.

    Raises:
      UsageError: the file cannot be read, has an unknown flag (the text names the nearest), or
        gives a flag an impossible value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--grid={path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return expand(parse(text, folds), data_dir, runs_dir, scale)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def parse(text: str, folds: int = 0) -> Grid:
    """Returns a grid from YAML.

    Args:
      text: of the file.
      folds: of the data set; 0 for one without.

    Raises:
      UsageError: see `load`.
    """
    try:
        document = yaml.load(text, _Loader)  # A SafeLoader: it makes plain values only.
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {' '.join(str(error).split())}") from error
    sections = _mapping(document or {}, "the file")
    for name in sections:
        if name not in SECTIONS:
            raise UsageError(f"no section {name!r}; did you mean {_nearest(name, SECTIONS)!r}?")
    base = _single(_flags(sections, "base"), "base")
    drafts = list(_drafts("", base, _flags(sections, "grid"))) if sections.get("grid") else []
    for name, raw in _mapping(sections.get("trials") or {}, "trials").items():
        if not _ALLOWED_NAME.fullmatch(name) or len(name) > MAX_NAME:
            raise UsageError(f"trial {name!r}: a name is up to 100 of A-Z a-z 0-9 . _ + = , -")
        drafts += _drafts(name, base, _checked(raw or {}, f"trial {name}"))
    if sections.get("folds") is not None:
        drafts = list(_on_each_fold(drafts or [Draft("", (), base)], sections["folds"], folds))
    if not drafts:
        raise UsageError("no trials: give `grid` (lists multiply) or `trials` (by name)")
    return Grid(tuple(drafts), _overrides(sections.get("overrides") or []), _scale(sections))


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


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice: YAML forbids it, PyYAML silently takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"{key!r} is given twice in the mapping at line {line}")
        return super().construct_mapping(node, deep)


def _drafts(stem: str, base: Values, raw: Mapping[str, Any]) -> Iterator[Draft]:
    multiplied = tuple(name for name, value in raw.items() if isinstance(value, list))
    for name in multiplied:
        if not raw[name]:
            raise UsageError(f"{stem or 'grid'}: {name} is an empty list, which makes no trial")
    fixed = {n: _text(n, v) for n, v in raw.items() if n not in multiplied}
    choices = [[_text(name, value) for value in raw[name]] for name in multiplied]
    for combination in itertools.product(*choices):
        values = {**base, **fixed, **dict(zip(multiplied, combination, strict=True))}
        yield Draft(stem, multiplied, values)


def _on_each_fold(drafts: Sequence[Draft], section: Any, folds: int) -> Iterator[Draft]:
    """Yields every draft once for each fold that the `folds` section names."""
    if section == ALL_FOLDS and not folds:
        raise UsageError(
            f"folds: {ALL_FOLDS}: the data set is not divided into folds: bake with --folds=5"
        )
    numbers = list(range(folds)) if section == ALL_FOLDS else section
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise UsageError(f"folds is {ALL_FOLDS}, or a list of numbers such as [0, 1]")
    for draft in drafts:
        if "fold" in draft.values:
            raise UsageError("fold is given, and folds too: leave one out")
        for number in numbers:
            values = {**draft.values, "fold": str(number)}
            yield Draft(draft.stem, (*draft.multiplied, "fold"), values)


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
        raise UsageError(f"override {number} is for no trial: none has {wanted}; leave it out")


def _settle(values: Values, grid: Grid, scale: float) -> dict[str, str]:
    """Returns a draft's flags, overridden and scaled."""
    for override in grid.overrides:
        if override.matches(values):
            values = {**values, **override.set}
    names = dict.fromkeys((*values, *grid.scale))
    return {name: _scaled(grid.scale.get(name), name, values, scale) for name in names}


def _overrides(section: Any) -> tuple[Override, ...]:
    if not isinstance(section, list):
        raise UsageError("overrides is a list of {when: …, set: …}")
    overrides = []
    for number, item in enumerate(section, start=1):
        where = f"override {number}"
        if set(_mapping(item, where)) != {"when", "set"}:
            raise UsageError(f"{where}: {{when: …, set: …}} expected, not {sorted(item)}")
        when = _checked(item["when"], where)
        texts = {
            name: tuple(_text(name, v) for v in (value if isinstance(value, list) else [value]))
            for name, value in when.items()
        }
        overrides.append(Override(texts, _single(_checked(item["set"], where), where)))
    return tuple(overrides)


def _scale(sections: Mapping[str, Any]) -> dict[str, ScaleRule]:
    rules = {}
    for name, fields in _flags(sections, "scale").items():
        default = _DEFAULTS[name]
        if name not in ("per_class", "num_classes", "image_size", "batch_size") and (
            isinstance(default, bool) or not isinstance(default, int)
        ):
            raise UsageError(f"scale: {name} is not a whole number")
        try:
            rules[name] = ScaleRule(**_mapping(fields or {}, f"scale of {name}"))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"scale: {name} takes {{power: …, least: …, multiple: …}}: {error}"
            ) from error
    return rules


def _scaled(rule: ScaleRule | None, name: str, values: Values, scale: float) -> str:
    """Returns a flag's text with each whole number in it scaled, as in "128" or "96x128"."""
    text = _effective(name, values)
    if rule is None:
        return text
    return re.sub(r"\d+", lambda number: str(rule.apply(int(number[0]), scale)), text)


def _config(name: str, values: Values, data_dir: str, run_dir: str) -> TrainConfig:
    argv = [f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
    # A flag whose default is None is left out where it has no value.
    argv += [_argument(n, t) for n, t in values.items() if t or _DEFAULTS[n] is not None]
    try:
        return parsing.parse(TrainConfig, argv)
    except UsageError as error:
        raise UsageError(f"trial {name}: {error}") from error


def _argument(name: str, text: str) -> str:
    if isinstance(_DEFAULTS[name], bool) and text in ("true", "false"):
        return f"--{'' if text == 'true' else 'no'}{name}"
    return f"--{name}={text}"


def _text(name: str, value: Any) -> str:
    """Returns a value as the command line writes it."""
    if isinstance(value, bool):
        if isinstance(_DEFAULTS[name], bool):
            return "true" if value else "false"
        return "on" if value else "off"  # YAML 1.1 reads on and off as booleans.
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        raise UsageError(f"{name}: a value or a list of values expected, not a mapping")
    if value is None:  # In YAML, null: the flag's default.
        return "" if _DEFAULTS[name] is None else _text(name, _DEFAULTS[name])
    return str(value)


def _effective(name: str, values: Values) -> str:
    return values[name] if name in values else _text(name, _DEFAULTS[name])


def _is_same(name: str, one: str, other: str) -> bool:
    """Returns whether two texts give a flag the same value, such as 1e-3 and 0.001."""
    if one == other or isinstance(_DEFAULTS[name], bool):
        return one == other
    try:
        values = [flags.value_of(TrainConfig, name, text) for text in (one, other)]
    except (ValueError, TypeError):
        return False
    return bool(values[0] == values[1])


def _single(raw: Mapping[str, Any], where: str) -> dict[str, str]:
    for name, value in raw.items():
        if isinstance(value, list):
            raise UsageError(
                f"{where}: {name} is a list, which multiplies: move it to `grid`, or write "
                f'"{",".join(map(str, value))}"'
            )
    return {name: _text(name, value) for name, value in raw.items()}


def _flags(sections: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    return _checked(sections.get(section) or {}, section)


def _checked(raw: Any, where: str) -> Mapping[str, Any]:
    """Returns a mapping after checking that a grid may set all of its keys."""
    for name in _mapping(raw, where):
        if name in OWN_FLAGS:
            raise UsageError(f"{where}: the sweep itself sets --{name}: leave it out")
        if name not in FLAGS:
            meant = parsing.nearest(name, FLAGS)
            hint = f"did you mean --{meant}?" if meant else "evenshard train --help lists them"
            raise UsageError(f"{where}: evenshard train has no flag --{name}; {hint}")
    return raw


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: a mapping expected (name: value), not {value!r}")
    return {str(name): item for name, item in value.items()}


def _nearest(name: str, known: Sequence[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
