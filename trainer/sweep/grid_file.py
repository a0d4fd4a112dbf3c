"""Reads a grid of trials from a YAML file.

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

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfrecords.cli import parsing
from tfrecords.errors import UsageError
from trainer.sweep.grid import (
    DEFAULTS,
    FLAGS,
    MAX_NAME,
    OWN_FLAGS,
    Draft,
    Grid,
    Override,
    ScaleRule,
    Trial,
    Values,
    expand,
    text_of,
)

SECTIONS = ("base", "grid", "trials", "overrides", "scale", "folds")
ALL_FOLDS = "all"

_ALLOWED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,-]*")


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
    fixed = {n: text_of(n, v) for n, v in raw.items() if n not in multiplied}
    choices = [[text_of(name, value) for value in raw[name]] for name in multiplied]
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
            name: tuple(text_of(name, v) for v in (value if isinstance(value, list) else [value]))
            for name, value in when.items()
        }
        overrides.append(Override(texts, _single(_checked(item["set"], where), where)))
    return tuple(overrides)


def _scale(sections: Mapping[str, Any]) -> dict[str, ScaleRule]:
    rules = {}
    for name, fields in _flags(sections, "scale").items():
        default = DEFAULTS[name]
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


def _single(raw: Mapping[str, Any], where: str) -> dict[str, str]:
    for name, value in raw.items():
        if isinstance(value, list):
            raise UsageError(
                f"{where}: {name} is a list, which multiplies: move it to `grid`, or write "
                f'"{",".join(map(str, value))}"'
            )
    return {name: text_of(name, value) for name, value in raw.items()}


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
