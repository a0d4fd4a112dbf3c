"""The page of a sweep: `report/index.html`, one self-contained file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tfrecords import reader
from tfrecords.cli.progress import duration
from tfrecords.manifest import Manifest
from tfrecords.reporting import html
from tfrecords.reporting.figures import to_svg
from tfrecords.schema import TRAIN
from tfrecords.system import atomic
from trainer import remote
from trainer.report.page import THUMBNAIL_SIDE
from trainer.runs.history import less_is_better
from trainer.sweep import grid, leaderboard, leaderboard_figures, out_of_fold, trials
from trainer.sweep.config import SweepConfig
from trainer.sweep.fold_groups import FoldGroup
from trainer.sweep.leaderboard import Row
from trainer.sweep.out_of_fold import OutOfFold
from trainer.sweep.trials import Entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = Path("report", "index.html")

# Doubtful labels with a thumbnail: at about 5 kB each.
SHOWN_ISSUES = 24

_TROUBLE = (trials.FAILED, trials.REFUSED, trials.INTERRUPTED)

Drawn = list[tuple[str, object, str]]  # (title, SVG, caption)

_CURVES = {
    "val_macro_f1": "Macro-F1 by epoch",
    "val_top1": "Top-1 by epoch",
    "val_balanced_accuracy": "Balanced accuracy by epoch",
    "val_loss": "Validation loss by epoch",
    "val_head": "Recall of large classes by epoch",
    "val_medium": "Recall of medium classes by epoch",
    "val_tail": "Recall of small classes by epoch",
    "val_ece": "Calibration error by epoch",
}

_METRIC_NAMES = {
    "val_macro_f1": "macro-F1",
    "val_top1": "top-1",
    "val_balanced_accuracy": "balanced accuracy",
    "val_loss": "loss",
    "val_head": "recall of large classes",
    "val_medium": "recall of medium classes",
    "val_tail": "recall of small classes",
    "val_ece": "calibration error",
}


@dataclass(frozen=True)
class Cell:
    """A flag's value in the table.

    Attributes:
      text: the value.
      usual: whether most trials have it.
    """

    text: str
    usual: bool


def write_page(
    config: SweepConfig,
    entries: Sequence[Entry],
    manifest: Manifest,
    groups: Sequence[FoldGroup] = (),
    found: Sequence[OutOfFold] = (),
) -> Path:
    """Writes report/index.html and returns its path.

    Args:
      config: of the sweep.
      entries: its trials.
      manifest: of the data set.
      groups: of trials that differ by fold alone, best first.
      found: the out-of-fold predictions of those that are complete.
    """
    rows = leaderboard.rows(entries, config.metric)
    scored = [row for row in rows if row.scored]
    flags = grid.differing([row.entry.trial for row in rows])
    context = {
        "config": config,
        "manifest": manifest,
        "title": Path(config.runs_dir).resolve().name,
        "rows": rows,
        "best": best_of_each(scored),
        "highest": max((row.score for row in scored), default=1.0) or 1.0,
        "metric": _METRIC_NAMES[config.metric],
        "is_share": not less_is_better(config.metric) or config.metric == "val_ece",
        "flags": flags,
        "cells": {row.index: _cells(rows, row, flags) for row in rows},
        "links": {row.index: _link(row) for row in rows},
        "colours": {
            row.index: leaderboard_figures.colour_name(row.position) for row in rows if row.scored
        },
        "counts": Counter(entry.status for entry in entries),
        "troubled": [row for row in rows if row.entry.status in _TROUBLE],
        "dropped": [row for row in rows if row.entry.status == trials.DROPPED],
        "class_counts": sorted(
            {r.training_set.classes for r in rows if r.entry.training_set is not None}
        ),
        "partly": _partly(rows),
        "seconds": sum(entry.seconds for entry in entries),
        "duration": duration,
        "curves": _curves(scored, config.metric),
        "comparisons": _comparisons(scored, config.metric),
        "times": _times(scored, config.metric),
        "common": _common(rows, flags),
        **_folds(config, manifest, groups, found),
    }
    page = html.render("trainer.sweep", "leaderboard.html.j2", context)
    return atomic.write_file(Path(config.runs_dir) / PAGE, page.encode())


def best_of_each(rows: Sequence[Row]) -> list[Row]:
    """Returns the best trial of each number of classes, most classes first: one task each."""
    best: dict[int, Row] = {}
    for row in rows:
        best.setdefault(row.training_set.classes, row)
    return [best[classes] for classes in sorted(best, reverse=True)]


def _partly(rows: Sequence[Row]) -> list[str]:
    """Returns "31 of 42 classes" for each such number, where some have no validation picture."""
    sets = [row.entry.training_set for row in rows if row.entry.training_set is not None]
    numbers = {
        (each.judged_classes, each.classes)
        for each in sets
        if each.judged_classes is not None and each.judged_classes < each.classes
    }
    return [f"{judged:,} of {classes:,} classes" for judged, classes in sorted(numbers)]


def _folds(
    config: SweepConfig,
    manifest: Manifest,
    groups: Sequence[FoldGroup],
    found: Sequence[OutOfFold],
) -> dict[str, object]:
    """Returns what the page shows of folds: the doubtful labels are those of the best group."""
    by_group = {each.group.name: each for each in found}
    best = next((by_group[group.name] for group in groups if group.name in by_group), None)
    issues = best.issues[:SHOWN_ISSUES] if best else ()
    images = reader.find_images(
        remote.folder(config.data_dir), manifest, TRAIN, {issue.id for issue in issues}
    )
    return {
        "groups": groups,
        "out_of_fold": by_group,
        "best_group": best,
        "issues": issues,
        "issue_thumbnails": {
            id_: html.thumbnail_uri(image, THUMBNAIL_SIDE) for id_, image in images.items()
        },
        "predict_command": out_of_fold.predict_command(best.group) if best else "",
        "evaluate_command": (
            out_of_fold.evaluate_command(best.group, config.runs_dir)
            if best and any(split.name == "test" for split in manifest.splits)
            else ""
        ),
    }


def _curves(rows: Sequence[Row], metric: str) -> Drawn:
    if not rows:
        return []
    columns = dict.fromkeys((metric, "val_loss" if metric != "val_loss" else "val_macro_f1"))
    drawn = ((name, leaderboard_figures.curves(rows, name)) for name in columns)
    return [(_CURVES[name], _svg(name, figure), "") for name, figure in drawn]


def _comparisons(rows: Sequence[Row], metric: str) -> Drawn:
    """Returns a chart for each property in which finished trials differ."""
    rows = [row for row in rows if row.entry.status == trials.DONE]
    drawn = []
    for chart in leaderboard_figures.COMPARISONS:
        if len({chart.value(row) for row in rows}) < 2:
            continue
        figure = leaderboard_figures.against(rows, metric, chart.flag, chart.value, chart.label)
        text = f"A line joins trials that differ in --{chart.flag} only."
        drawn.append((chart.title, _svg(chart.flag, figure), text))
    return drawn


def _times(rows: Sequence[Row], metric: str) -> Drawn:
    timed = [row for row in rows if row.entry.seconds]
    if not timed:
        return []
    short = (
        ""
        if len(timed) <= leaderboard_figures.MAX_BARS
        else f" The best {leaderboard_figures.MAX_BARS}."
    )
    return [
        (
            "Time per trial",
            _svg("times", leaderboard_figures.times(timed)),
            "Training without validation, over all attempts." + short,
        ),
        (
            "Score against time",
            _svg("cost", leaderboard_figures.score_against_time(timed, metric)),
            "The grey line joins the trials that no quicker trial beats.",
        ),
    ]


def _svg(name: str, figure: Figure) -> object:
    return to_svg(figure, name.replace("_", "-"), name.replace("_", " "))


def _cells(rows: Sequence[Row], row: Row, flags: Sequence[str]) -> list[Cell]:
    cells = []
    for name in flags:
        counted = Counter(grid.shown(other.entry.trial.config, name) for other in rows)
        text = grid.shown(row.entry.trial.config, name)
        cells.append(Cell(text, text == counted.most_common(1)[0][0]))
    return cells


def _link(row: Row) -> str | None:
    """Returns the link from the leaderboard's page to the trial's own, if that is written."""
    page = Path(row.entry.trial.config.run_dir, PAGE)
    return f"../{quote(row.name)}/{PAGE.as_posix()}" if page.exists() else None


def _common(rows: Sequence[Row], flags: Sequence[str]) -> Mapping[str, str]:
    """Returns the flags that all trials share, except those at their default."""
    config = rows[0].entry.trial.config
    defaults = type(config)(data_dir="-", run_dir="-")
    return {
        f"--{name}": grid.shown(config, name)
        for name in grid.FLAGS
        if name not in flags and getattr(config, name) != getattr(defaults, name)
    }
