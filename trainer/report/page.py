"""The results of a run: `report/index.html`, one self-contained page, and the files beside it.

`write` leaves per_class.csv, confusion.png, curves.png, f1_by_class_size.png, calibration.png,
predictions.parquet, MODEL_CARD.md and the page in the run directory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrecords import manifest as manifests
from tfrecords import reader
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.reporting import figures as plots
from tfrecords.reporting import html
from tfrecords.system import atomic
from trainer import remote
from trainer.metrics import metrics, mistakes, predictions
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.report import curves, figures, model_card
from trainer.runs import history
from trainer.runs.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = Path("report", "index.html")

# What a page shows; with a thumbnail of about 5 kB each it stays under 1 MB.
PAIRS = 12
WORST = 24
THUMBNAIL_SIDE = 144

DEFAULT_MONITOR = "val_macro_f1"

_INPUT_ADVICE = (
    "A step that waits for pictures leaves the device idle: above about 10%, try --cache, a "
    "smaller --image_size or fewer augmentations."
)

# Groups of config.json that the page shows as data, not as settings.
_SHOWN_AS_DATA = ("manifest", "dataset")
_LISTED = 8

# Flags that belong to the data, shown with it.
_DATA_FLAGS = (
    "data_dir train_split validation_split per_class classes num_classes originals_only image_size"
).split()


@dataclass(frozen=True, eq=False)
class RunFiles:
    """A finished run, ready to be reported.

    Attributes:
      run_dir: where results go.
      data_dir: the data set it was trained on.
      classes: names in label order.
      train_counts: training pictures of each class, without copies, as selected.
      history: path of metrics.csv.
      predictions: of the validation split, with the best weights.
      config: every flag by name, and what else config.json holds; groups may be nested.
      split: that the predictions are of.
      temperature: fitted elsewhere; fitted on the predictions where None.
      weights: that gave the predictions.
      title: of the page; the run directory's name where empty.
    """

    run_dir: Path
    data_dir: Folder
    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    history: Path
    predictions: Predictions
    config: Mapping[str, Any]
    split: str = "validation"
    temperature: float | None = None
    weights: str = "best"
    title: str = ""

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
      manifests.ManifestError: the data set is gone or of another schema.
      framing.DamagedRecordError: a shard with a picture to show is damaged.
      OSError: a file cannot be written.
    """
    manifest = remote.load(run.data_dir)
    evaluation = metrics.evaluate(run.predictions, run.train_counts, run.temperature)
    epochs = history.load(run.history) if run.history.exists() else History({})
    predictions.write(
        run.run_dir / predictions.FILENAME,
        run.predictions,
        run.classes,
        {"split": run.split, "dataset": manifest.digest, "weights": run.weights},
    )
    write_per_class(run.run_dir / "per_class.csv", evaluation, run.classes, run.train_counts)
    monitor = setting(run.config, "monitor", DEFAULT_MONITOR)
    best = epochs.best(monitor)
    drawn = draw_predictions(run.predictions, evaluation, run.classes, run.train_counts)
    if len(epochs):
        drawn["curves"] = curves.curves(epochs, best)
    for name, figure in drawn.items():
        png = plots.to_png(figure, tight=name == "confusion")
        write_file(run.run_dir / f"{name}.png", png)
    context = {
        "run": run,
        "manifest": manifest,
        "evaluation": evaluation,
        "history": epochs,
        "best": best,
        "monitor": monitor,
        "model": setting(run.config, "model", "network"),
        "curves": _curve_figures(epochs, best),
        "figures": {name: _svg(name, figure) for name, figure in drawn.items() if name != "curves"},
        **page_of_predictions(run, manifest, evaluation),
        **_settings(run, manifest),
    }
    page = html.render("trainer.report", "report.html.j2", context)
    if (run.run_dir / model_card.CONFIG).exists():  # An evaluation's directory has none.
        model_card.write(run.run_dir)
    return write_file(run.run_dir / PAGE, page.encode())


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
        "calibration": figures.calibration(predicted, evaluation.temperature),
    }


def write_per_class(
    path: Path, evaluation: Evaluation, classes: Sequence[str], train_counts: Sequence[int]
) -> None:
    """Writes one row a class, in label order; unknown numbers are empty cells."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        "label class group train_count support precision recall f1 mistaken_for mistaken".split()
    )
    for row in class_rows(evaluation, classes, train_counts):
        result = row.result
        scores = ("" if v is None else f"{v:.6f}" for v in _scores(result))
        writer.writerow(
            [row.label, row.name, row.group, row.train_count, result.support, *scores]
            + [row.mistaken_for or "", row.mistaken]
        )
    write_file(path, buffer.getvalue().encode())


@dataclass(frozen=True)
class ClassRow:
    """A class as the table shows it.

    Attributes:
      label: its index.
      name: of the class.
      group: head, medium or tail.
      train_count: training pictures without copies.
      result: precision, recall, F1 and support.
      mistaken_for: the class its pictures are most often taken for, if for any.
      mistaken: how many of them.
    """

    label: int
    name: str
    group: str
    train_count: int
    result: metrics.ClassResult
    mistaken_for: str | None
    mistaken: int


def class_rows(
    evaluation: Evaluation, classes: Sequence[str], train_counts: Sequence[int]
) -> list[ClassRow]:
    """Returns a row for each class, in label order."""
    rows = []
    for label, name in enumerate(classes):
        others = evaluation.confusion[label].copy()
        others[label] = 0
        most = int(others.argmax())
        rows.append(
            ClassRow(
                label=label,
                name=name,
                group=metrics.class_group(train_counts[label]),
                train_count=int(train_counts[label]),
                result=evaluation.per_class[label],
                mistaken_for=classes[most] if others[most] else None,
                mistaken=int(others[most]),
            )
        )
    return rows


def page_of_predictions(
    run: RunFiles, manifest: Manifest, evaluation: Evaluation
) -> dict[str, object]:
    """Returns what the page says of classes and mistakes, with thumbnails."""
    pairs = mistakes.most_confused(run.predictions, PAIRS)
    worst = mistakes.worst(run.predictions, WORST)
    wanted = {mistake.id for mistake in worst}
    for pair in pairs:
        wanted.update(pair.examples, pair.true_examples, pair.predicted_examples)
    found = reader.find_images(remote.folder(run.data_dir), manifest, run.split, wanted)
    order = figures.by_size(run.train_counts)
    matrix = evaluation.confusion
    return {
        "pairs": pairs,
        "worst": worst,
        "mistakes": int((run.predictions.predicted != run.predictions.labels).sum()),
        "thumbnails": {
            id_: html.thumbnail_uri(image, THUMBNAIL_SIDE) for id_, image in found.items()
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
        "numbered": len(run.classes) <= figures.NUMBERED_CLASSES,
        "matrix_width": figures.matrix_pixels(run.classes),
    }


def setting(config: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """Returns a value of a configuration, at its top or inside one of its groups."""
    if name in config:
        return config[name]
    for value in config.values():
        if isinstance(value, Mapping) and name in value:
            return value[name]
    return default


def write_file(path: Path, data: bytes) -> Path:
    """Writes a file, with its directory, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, data)
    return path


def _curve_figures(epochs: History, best: int | None) -> list[tuple[str, object, str]]:
    """Returns (title, SVG, caption) of each curve there is."""
    if not len(epochs):
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
            "Macro-F1 and balanced accuracy weigh every class equally; top-1 weighs every picture.",
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


def _svg(name: str, figure: Figure) -> object:
    return plots.to_svg(
        figure, name.replace("_", "-"), name.replace("_", " "), tight=name == "confusion"
    )


def _scores(result: metrics.ClassResult) -> tuple[float | None, ...]:
    return result.precision, result.recall, result.f1


def _group_sizes(train_counts: Sequence[int]) -> dict[str, tuple[int, str]]:
    """Returns group → (number of classes, what makes a class belong to it)."""
    members = [metrics.class_group(count) for count in train_counts]
    return {group: (members.count(group), text) for group, text in figures.GROUP_SIZES.items()}


def _settings(run: RunFiles, manifest: Manifest) -> dict[str, object]:
    """Returns the configuration and the data's identity as lists of (key, text)."""
    nested = {
        key: value
        for key, value in run.config.items()
        if isinstance(value, Mapping) and key not in _SHOWN_AS_DATA
    }
    plain = {key: value for key, value in run.config.items() if not isinstance(value, Mapping)}
    groups = {**nested, "run": plain} if plain else nested
    image = manifest.image
    data = [
        ("data set", manifest.name),
        ("digest", manifest.digest),
        ("sources digest", manifest.digests.get("sources", "–")),
        ("images", f"{image.width}×{image.height}, {image.resize.value}, {image.encoding.value}"),
        ("schema version", str(manifest.schema_version)),
    ]
    data += [(f"{split.name} split", _split_text(split)) for split in manifest.splits]
    chosen = [(name, setting(run.config, name)) for name in _DATA_FLAGS]
    data += [(f"--{name}", _text(value)) for name, value in chosen if value not in (None, "", [])]
    return {
        "config_groups": [
            (key, [(str(name), _text(value)) for name, value in group.items()])
            for key, group in groups.items()
        ],
        "data_facts": data,
    }


def _split_text(split: manifests.SplitInfo) -> str:
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
