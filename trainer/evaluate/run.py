"""Judging a trained network on a split: `run(config)` from checkpoints to a page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords import ledger
from tfrecords.errors import TrainerError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest, ManifestError
from trainer import remote
from trainer.data import selection as selections
from trainer.data import stream
from trainer.data.selection import Selection
from trainer.evaluate import overlap as leaks
from trainer.evaluate.__main__ import EvaluateConfig
from trainer.evaluate.overlap import Leak, Part
from trainer.metrics import inference, metrics, predictions
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.models.build import LoadedRun
from trainer.report import model_card
from trainer.report import page as report
from trainer.runs import directory
from trainer.runs import load as trained_runs

RESULT = "evaluation.json"
DIRECTORY = "evaluation"

# Losses that already shift the logits by the classes' priors.
_ADJUSTED_LOSSES = ("balanced_softmax", "logit_adjusted")


@dataclass(frozen=True, eq=False)
class Result:
    """What an evaluation found.

    Attributes:
      evaluation: the numbers.
      predictions: one row a picture.
      temperature_split: on which the temperature was fitted.
      leaks: pictures that the run had trained on, where that was allowed.
      left_out: pictures of the split whose class the network does not know.
      page: path of the report.
    """

    evaluation: Evaluation
    predictions: Predictions
    temperature_split: str
    leaks: tuple[Leak, ...]
    left_out: int
    page: Path


def run(config: EvaluateConfig) -> Result:
    """Judges a run and writes the results.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    trained = trained_runs.open_run(config.run_dir, config.weights)
    data_dir = remote.folder(config.data_dir or trained.config.data_dir)
    manifest = remote.load(data_dir)
    selection = _selection(trained, manifest, config)
    _check_split(manifest, config.split, selection)
    leaked = _leaks(trained, Part(data_dir, manifest, config.split, selection), config)
    function = trained_runs.function_of(trained.model, config.tta)
    found = _predict(trained, manifest, data_dir, config.split, selection, function, config)
    temperature, fitted_on = _temperature(trained, manifest, data_dir, function, config, found)
    evaluation = metrics.evaluate(found, trained.train_counts, temperature)
    judged = manifest.split(config.split)
    left_out = sum(judged.originals) - len(found.ids) if not config.classes else 0
    page = _write(trained, manifest, data_dir, config, found, temperature)
    result = Result(evaluation, found, fitted_on, tuple(leaked), left_out, page)
    _write_json(result, trained, manifest, data_dir, config)
    if Path(config.run_dir, predictions.FILENAME).exists():
        model_card.write(config.run_dir)
    return result


def describe(result: Result) -> str:
    """Returns the lines that end the command's output."""
    evaluation = result.evaluation
    groups = ", ".join(
        f"{group} {value:.4f}"
        for group in metrics.GROUPS
        if (value := getattr(evaluation, group)) is not None
    )
    lines = [
        f"{len(result.predictions.ids):,} pictures: macro-F1 {evaluation.macro_f1:.4f}, "
        f"top-1 {evaluation.top1:.4f}, balanced accuracy {evaluation.balanced_accuracy:.4f}, "
        f"loss {evaluation.loss:.4f}",
        f"mean recall by class size: {groups}",
        f"calibration error {evaluation.ece:.4f}, {evaluation.ece_calibrated:.4f} at temperature "
        f"{evaluation.temperature:.3f} (fitted on {result.temperature_split})",
    ]
    if result.left_out:
        lines.append(f"left out: {result.left_out:,} pictures of classes the network has not")
    if result.leaks:
        lines.append(f"beware: {len(result.leaks):,} of them resemble what the run trained on")
    return "\n".join([*lines, f"report: {result.page}"])


def log_priors(trained: LoadedRun) -> np.ndarray:
    """Returns float32[classes], log of each class's share of the training records, copies too."""
    split = trained.manifest.split(trained.config.train_split)
    counts = np.maximum(trained.selection.counts(split), 1)
    return np.log(counts / counts.sum()).astype(np.float32)


def _selection(trained: LoadedRun, manifest: Manifest, config: EvaluateConfig) -> Selection:
    """Returns which pictures take part: of the classes that network and data set share."""
    known = [name for name in trained.selection.classes if name in manifest.classes]
    strangers = [name for name in config.classes if name not in known]
    if strangers:
        raise UsageError(
            f"--classes: {strangers[0]!r} is not a class of both the run and the data set; "
            f"those are: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}"
        )
    if not known:
        raise TrainerError("the run and the data set have no class in common")
    wanted = config.classes or known
    labels = tuple(i for i, name in enumerate(manifest.classes) if name in wanted)
    return Selection(tuple(manifest.classes[i] for i in labels), labels)


def _check_split(manifest: Manifest, split: str, selection: Selection) -> None:
    if not sum(selection.originals(manifest.split(split))):
        raise TrainerError(
            f"split {split!r} has no picture of the classes to judge: bake with a larger share "
            "of it in --splits, or give another --split"
        )


def _leaks(trained: LoadedRun, judged: Part, config: EvaluateConfig) -> list[Leak]:
    """Returns what the run has trained on; refuses where that was not allowed."""
    try:
        found = leaks.find(_trained_part(trained), judged)
    except (ledger.LedgerError, ManifestError) as error:
        if config.allow_leaks:
            return []
        raise TrainerError(
            f"cannot tell what of split {judged.split!r} the run has trained on: {error}; "
            "--allow_leaks judges all the same"
        ) from error
    if found and not config.allow_leaks:
        raise TrainerError(
            f"{leaks.explain(found, judged.split)}; give another --split, or --allow_leaks"
        )
    return found


def _trained_part(trained: LoadedRun) -> Part:
    return Part(
        remote.folder(trained.config.data_dir),
        trained.manifest,
        trained.config.train_split,
        trained.selection,
    )


def _predict(
    trained: LoadedRun,
    manifest: Manifest,
    data_dir: Folder,
    split: str,
    selection: Selection,
    function: tf.types.experimental.PolymorphicFunction,
    config: EvaluateConfig,
) -> Predictions:
    """Returns predictions, adjusted as asked for, whose labels count in the run's classes."""
    source = selections.open_split(
        manifest, data_dir, split, selection.natural(), trained.size,
        trained.config.read_parallelism,
    )  # fmt: skip
    try:
        found = inference.predict(function, stream.stream_source(source, config.batch_size))
    except tf.errors.OpError as error:
        raise stream.explain(error, source) from error
    of_run = np.array([trained.selection.classes.index(name) for name in selection.classes])
    adjusted = found.logits - np.float32(config.logit_adjustment) * log_priors(trained)
    return dataclasses.replace(found, labels=of_run[found.labels], logits=adjusted)


def _temperature(
    trained: LoadedRun,
    manifest: Manifest,
    data_dir: Folder,
    function: tf.types.experimental.PolymorphicFunction,
    config: EvaluateConfig,
    found: Predictions,
) -> tuple[float, str]:
    """Returns a temperature and the split it was fitted on: validation, where there is one.

    A temperature fitted on the very pictures it is judged on makes calibration look better
    than it will be.
    """
    split = trained.config.validation_split
    selection = _selection(trained, manifest, dataclasses.replace(config, classes=()))
    present = any(info.name == split for info in manifest.splits)
    if split == config.split or not present:
        return metrics.fit_temperature(found), config.split
    if not sum(selection.originals(manifest.split(split))):
        return metrics.fit_temperature(found), config.split
    validation = _predict(trained, manifest, data_dir, split, selection, function, config)
    return metrics.fit_temperature(validation), split


def _output_dir(config: EvaluateConfig) -> Path:
    return Path(config.output_dir or Path(config.run_dir, DIRECTORY, config.label))


def _write(
    trained: LoadedRun,
    manifest: Manifest,
    data_dir: Folder,
    config: EvaluateConfig,
    found: Predictions,
    temperature: float,
) -> Path:
    output = _output_dir(config)
    shown = dataclasses.asdict(config) | {"data_dir": str(data_dir)}
    return report.write(
        report.RunFiles(
            run_dir=output,
            data_dir=data_dir,
            classes=trained.selection.classes,
            train_counts=trained.train_counts,
            history=output / directory.METRICS,
            predictions=found,
            config={"evaluation": shown, "flags": trained.config.to_dict()},
            split=config.split,
            temperature=temperature,
            weights=config.weights,
            title=f"{Path(config.run_dir).resolve().name} · {config.label}",
        )
    )


def _write_json(
    result: Result,
    trained: LoadedRun,
    manifest: Manifest,
    data_dir: Folder,
    config: EvaluateConfig,
) -> None:
    text = json.dumps(
        to_json(result, trained, manifest, data_dir, config), indent=2, ensure_ascii=False
    )
    report.write_file(_output_dir(config) / RESULT, f"{text}\n".encode())


def to_json(
    result: Result,
    trained: LoadedRun,
    manifest: Manifest,
    data_dir: Folder,
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Returns what evaluation.json holds."""
    return {
        "run_dir": str(config.run_dir),
        "data_dir": str(data_dir),
        "dataset": {"name": manifest.name, "digest": manifest.digest},
        "trained_on": {"name": trained.manifest.name, "digest": trained.manifest.digest},
        "split": config.split,
        "weights": config.weights,
        "logit_adjustment": config.logit_adjustment,
        "adjusted_in_training": trained.config.loss in _ADJUSTED_LOSSES,
        "tta": config.tta,
        "classes": list(config.classes) or None,
        "pictures": len(result.predictions.ids),
        "left_out": result.left_out,
        "leaks": len(result.leaks),
        "temperature_split": result.temperature_split,
        "metrics": result.evaluation.summary(),
        "per_class": {
            name: dataclasses.asdict(scores)
            for name, scores in zip(
                trained.selection.classes, result.evaluation.per_class, strict=True
            )
        },
    }
