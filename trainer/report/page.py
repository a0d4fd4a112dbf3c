"""The report of a run: `report/index.html`, one self-contained page, and the files beside it.

`write` puts per_class.csv, label_issues.csv, confusion.png, curves.png, f1_by_class_size.png,
calibration.png, predictions.parquet, MODEL_CARD.md and the page into the run directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords import reader
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.reporting import html, links
from tfrecords.reporting.figures import to_png, to_svg
from tfrecords.system import atomic
from trainer import remote
from trainer.config import TrainConfig
from trainer.metrics import label_issues, metrics, mistakes, predictions
from trainer.metrics.label_issues import LabelIssue
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.metrics.probabilities import Temperature
from trainer.report import curves, figures, model_card, settings
from trainer.report.class_table import class_rows, write_per_class
from trainer.report.settings import Settings
from trainer.runs import history, inherited
from trainer.runs.ancestry import Fork
from trainer.runs.config_file import CONFIG
from trainer.runs.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = Path("report", "index.html")
ISSUES = "label_issues.csv"

# Labels in doubt that a page carries for its link, about 100 bytes each; the file has all.
MOST_ISSUES = 1000

# Confused pairs and mistakes on a page: at about 5 kB a thumbnail it stays under 1 MB.
PAIRS = 12
WORST = 24
DOUBTFUL = 24
THUMBNAIL_SIDE = 144

_INPUT_ADVICE = (
    "A step that waits for pictures leaves the device idle: above about 10%, try --cache, a "
    "smaller --image_size or fewer augmentations."
)


@dataclass(frozen=True, eq=False)
class RunFiles:
    """A finished run, or an evaluation of one, ready to be reported.

    Attributes:
      run_dir: where results go.
      data_dir: the data set it was trained on.
      classes: names in label order.
      train_counts: training pictures of each class, without copies, as selected.
      history: path of metrics.csv.
      predictions: of the validation split, with the best weights.
      flags: that the run was trained with.
      settings: shown on the page, in this order.
      split: of the predictions.
      temperature: fitted elsewhere; fitted on the predictions where None.
      weights: that gave the predictions.
      best_epoch: whose weights are kept as the best, 1 for the first; by the history where None.
      title: of the page; the run directory's name where empty.
      fork: the other run's state that the run began with, if any.
      others: flags of further runs, where the predictions are the mean of several.
    """

    run_dir: Path
    data_dir: Folder
    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    history: Path
    predictions: Predictions
    flags: TrainConfig
    settings: Settings
    split: str = "validation"
    temperature: Temperature | None = None
    weights: str = "best"
    best_epoch: int | None = None
    title: str = ""
    fork: Fork | None = None
    others: tuple[TrainConfig, ...] = ()

    @property
    def model(self) -> str:
        """What gave the predictions."""
        names = dict.fromkeys(flags.model for flags in (self.flags, *self.others))
        several = f"The mean of {1 + len(self.others):,} runs of " if self.others else ""
        return several + ", ".join(names)

    def __post_init__(self) -> None:
        for name in ("run_dir", "history"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        object.__setattr__(self, "data_dir", remote.folder(self.data_dir))
        object.__setattr__(self, "title", self.title or self.run_dir.resolve().name)
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "train_counts", tuple(map(int, self.train_counts)))
        sizes = (len(self.classes), len(self.train_counts), self.predictions.classes)
        if len(set(sizes)) != 1:
            raise ValueError(
                "{} class names, {} counts and predictions of {} classes".format(*sizes)
            )


def write(run: RunFiles) -> Path:
    """Writes the results of a run and returns the path of its page.

    Raises:
      metrics.DivergedError: a logit is not finite.
      ValueError: no predictions.
      ManifestError: the data set is gone or of another schema.
      framing.DamagedRecordError: a shard with a picture to show is damaged.
      OSError: a file cannot be written.
    """
    manifest = remote.load(run.data_dir)
    if run.flags.fold is not None and run.flags.fold < len(manifest.folds):
        manifest = manifest.of_fold(run.flags.fold)
    evaluation = metrics.evaluate(run.predictions, run.train_counts, run.temperature)
    epochs = history.load(run.history) if run.history.exists() else History({})
    best = _best_row(run, epochs)
    issues = label_issues.find(run.predictions.at(evaluation.temperature))
    _write_predictions(run, manifest, evaluation, best)
    atomic.write_file(run.run_dir / ISSUES, label_issues.to_csv(issues, run.classes).encode())
    write_per_class(run.run_dir / "per_class.csv", evaluation, run.classes, run.train_counts)
    drawn = draw_predictions(run.predictions, evaluation, run.classes, run.train_counts)
    whole, best_row = _with_ancestors(run, epochs, best)
    _write_figures(run, drawn | ({"curves": curves.curves(whole, best_row)} if len(epochs) else {}))
    context = {
        "run": run,
        "manifest": manifest,
        "evaluation": evaluation,
        "history": epochs,
        "best": best,
        "monitor": run.flags.monitor,
        "model": run.model,
        "curves": _curve_figures(whole, best_row),
        "figures": {name: _svg(name, figure) for name, figure in drawn.items()},
        **page_of_predictions(run, manifest, evaluation, issues),
        "data_report": _link_to_data(run),
        "config_groups": settings.shown(run.settings),
        "data_facts": settings.data_facts((run.flags, *run.others), manifest),
    }
    page = html.render("trainer.report", "report.html.j2", context)
    is_run = (run.run_dir / CONFIG).exists()  # The directory of an evaluation has none.
    if is_run:
        model_card.write(run.run_dir)
    path = atomic.write_file(run.run_dir / PAGE, page.encode())
    if is_run and isinstance(run.data_dir, Path):
        score = f"macro-F1 {evaluation.macro_f1:.4f}{evaluation.coverage}"
        note = f"{run.flags.model}, {score} on {run.split}"
        links.add(run.data_dir / links.PAGE, manifest.digest, path, run.title, note)
    return path


def _write_predictions(
    run: RunFiles, manifest: Manifest, evaluation: Evaluation, best: int | None
) -> None:
    about: dict[str, object] = {
        "split": run.split, "dataset": manifest.digest, "weights": run.weights,
    }  # fmt: skip
    if best is not None:
        about["best_epoch"] = best + 1
    predictions.write(
        run.run_dir / predictions.FILENAME,
        run.predictions,
        run.classes,
        about,
        Temperature(evaluation.temperature, evaluation.temperature_note),
    )


def _write_figures(run: RunFiles, drawn: Mapping[str, Figure]) -> None:
    for name, figure in drawn.items():
        png = to_png(figure, tight=name == "confusion")
        atomic.write_file(run.run_dir / f"{name}.png", png)


def draw_predictions(
    predicted: Predictions,
    evaluation: Evaluation,
    classes: Sequence[str],
    train_counts: Sequence[int],
) -> dict[str, Figure]:
    """Returns the figures of a set of predictions by file name without ".png"."""
    return {
        "confusion": figures.confusion(evaluation.confusion, classes, train_counts),
        "f1_by_class_size": figures.f1_against_size(evaluation.per_class, classes, train_counts),
        "calibration": figures.calibration(
            predicted, None if evaluation.temperature_note else evaluation.temperature
        ),
    }


def page_of_predictions(
    run: RunFiles, manifest: Manifest, evaluation: Evaluation, issues: Sequence[LabelIssue] = ()
) -> dict[str, object]:
    """Returns the classes, mistakes and labels in doubt that the page shows, with thumbnails."""
    calibrated = run.predictions.at(evaluation.temperature)
    pairs = mistakes.most_confused(calibrated, PAIRS)
    worst = mistakes.worst(calibrated, WORST)
    ids = {mistake.id for mistake in worst} | {issue.id for issue in issues[:DOUBTFUL]}
    carried = label_issues.to_csv(issues[:MOST_ISSUES], run.classes).encode()
    for pair in pairs:
        ids.update(pair.examples, pair.true_examples, pair.predicted_examples)
    images = reader.find_images(remote.folder(run.data_dir), manifest, run.split, ids)
    order = figures.by_size(run.train_counts)
    matrix = evaluation.confusion
    return {
        "pairs": pairs,
        "worst": worst,
        "issues": issues,
        "issues_shown": issues[:DOUBTFUL],
        "issues_cut": MOST_ISSUES if len(issues) > MOST_ISSUES else 0,
        "issues_uri": html.data_uri(carried, "text/csv;charset=utf-8"),
        "mistakes": int((run.predictions.predicted != run.predictions.labels).sum()),
        "thumbnails": {
            id_: html.thumbnail_uri(image, THUMBNAIL_SIDE) for id_, image in images.items()
        },
        "rows": [class_rows(evaluation, run.classes, run.train_counts)[label] for label in order],
        "groups": _group_sizes(run.train_counts),
        "unseen": [
            name
            for name, result in zip(run.classes, evaluation.per_class, strict=True)
            if not result.support
        ],
        "matrix": {
            "names": [run.classes[label] for label in order],
            "support": [int(matrix[label].sum()) for label in order],
            "cells": matrix[order][:, order].tolist(),
        },
        "names_all": figures.names_all(evaluation.per_class),
        "numbered": len(run.classes) <= figures.NUMBERED_CLASSES,
        "matrix_width": figures.matrix_pixels(run.classes),
    }


def _best_row(run: RunFiles, epochs: History) -> int | None:
    """Returns the row of the epoch whose weights are kept, if any."""
    if run.best_epoch is None or run.best_epoch > len(epochs):
        return epochs.best(run.flags.monitor)
    return run.best_epoch - 1


def _with_ancestors(run: RunFiles, epochs: History, best: int | None) -> tuple[History, int | None]:
    """Returns the history to draw and the row of the best epoch: a fork's begins with others'."""
    before = History({})
    if run.fork is not None:
        before = inherited.epochs_before(run.run_dir, run.fork.before)
    if run.fork is None or not len(before):
        return epochs, best
    return epochs.after(before, run.fork.marks), None if best is None else best + len(before)


def _curve_figures(epochs: History, best: int | None) -> list[tuple[str, object, str]]:
    """Returns (title, SVG, caption) of each curve; none of one epoch, which makes no curve."""
    if len(epochs) < 2:
        return []
    drawn = [
        (
            "Loss",
            curves.loss(epochs, best),
            "Training loss is the loss being minimised, augmentation, weights and smoothing "
            "included; validation loss is plain cross-entropy. Compare shapes, not levels.",
        ),
        (
            "Accuracy",
            curves.accuracy(epochs, best),
            "Macro-F1 and balanced accuracy weigh every class that has pictures equally; top-1 "
            "weighs every picture.",
        ),
        ("Learning rate", curves.learning_rate(epochs, best), ""),
    ]
    if curves.has_groups(epochs):
        text = "Mean recall of the classes of each group."
        drawn.insert(2, ("Accuracy by class size", curves.groups(epochs, best), text))
        drawn.append(("Throughput", curves.speed(epochs), ""))
        drawn.append(("Input wait", curves.input_wait(epochs), _INPUT_ADVICE))
    else:
        drawn.append(("Throughput and input wait", curves.throughput(epochs), _INPUT_ADVICE))
    return [
        (title, _svg(f"curve{i}", figure), caption)
        for i, (title, figure, caption) in enumerate(drawn)
    ]


def _link_to_data(run: RunFiles) -> str:
    """Returns the way from the page to the report of its data set; "" where there is none."""
    if not isinstance(run.data_dir, Path):
        return ""
    return links.relative(run.run_dir / PAGE, run.data_dir / links.PAGE)


def _svg(name: str, figure: Figure) -> object:
    return to_svg(figure, name.replace("_", "-"), name.replace("_", " "), tight=name == "confusion")


def _group_sizes(train_counts: Sequence[int]) -> dict[str, tuple[int, str]]:
    """Returns group → (number of classes, the range of class sizes as text)."""
    groups = [metrics.class_group(count) for count in train_counts]
    return {group: (groups.count(group), text) for group, text in figures.GROUP_SIZES.items()}
