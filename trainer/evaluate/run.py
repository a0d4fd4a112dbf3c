"""Evaluates a trained network on a split: `run(config)` from checkpoints to a report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords import kinds, ledger, locations
from tfrecords.errors import TrainerError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from trainer import remote
from trainer.data.selection import Selection, Source, open_split
from trainer.data.stream import explain, stream_source
from trainer.data.version import DataVersion
from trainer.evaluate.config import EvaluateConfig
from trainer.metrics import inference, metrics, predictions, probabilities
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.metrics.probabilities import Probabilities, Temperature
from trainer.predicting import pixel_rules
from trainer.report import model_card, page
from trainer.runs import inherited, locate, overlap, trained_on
from trainer.runs.evaluation_file import DIRECTORY, EVALUATION
from trainer.runs.history import METRICS
from trainer.runs.load import LoadedRun, function_of, open_run
from trainer.runs.overlap import Leak, Part
from trainer.runs.trained_on import TrainedOn

# Losses that already shift the logits by the classes' priors in training.
_ADJUSTED_LOSSES = ("balanced_softmax", "logit_adjusted")


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """A run, and the records that it is evaluated on.

    Attributes:
      config: of the evaluation.
      trained: the run.
      data_dir: of the data set.
      manifest: of the data set.
      selection: the classes that run and data set share, less those that --classes leaves out.
      predictor: uint8[n, height, width, 3] → logits float32[n, classes of the run].
      version: of the data set.
    """

    config: EvaluateConfig
    trained: LoadedRun
    data_dir: Folder
    manifest: Manifest
    selection: Selection
    predictor: tf.types.experimental.PolymorphicFunction
    version: DataVersion

    @property
    def output_dir(self) -> Path:
        """Where the results go: those on another data set beside those on the run's own."""
        label, digest = self.config.label, self.manifest.digest
        if digest != self.trained.stored.dataset.digest:
            label += f"-of-{digest[:8]}"
        return Path(self.config.output_dir or Path(self.config.run_dir, DIRECTORY, label))


@dataclass(frozen=True, eq=False)
class Result:
    """The results of an evaluation.

    Attributes:
      evaluation: the metrics.
      predictions: one row a picture.
      temperature_split: on which the temperature was fitted; empty where none could be.
      validation: what the run found on its own validation split with these weights, as a row of
        metrics.csv; empty where it did not validate them.
      leaks: pictures that the run had been trained on, with --allow_leaks.
      left_out: pictures of the split whose class the network does not know.
      page: path of the report.
    """

    evaluation: Evaluation
    predictions: Predictions
    temperature_split: str
    leaks: tuple[Leak, ...]
    left_out: int
    page: Path
    validation: Mapping[str, Any] = field(default_factory=dict)


def run(config: EvaluateConfig) -> Result:
    """Evaluates a run and writes the results.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    if config.output_dir:
        kinds.refuse_other(config.output_dir, "output_dir", kinds.EVALUATION)
    task = prepare(config)
    with task.version.reading():
        leaks = _leaks(task)
        rule = _probabilities(task)
        predicted = _predict(task, config.split, task.selection, rule)
    evaluation = metrics.evaluate(predicted, task.trained.train_counts, rule.temperature)
    with task.version.reading():
        page_path = _write_report(task, predicted, rule.temperature)
    result = Result(
        evaluation=evaluation,
        predictions=predicted,
        temperature_split="" if rule.temperature.note else task.trained.config.validation_split,
        leaks=tuple(leaks),
        left_out=_left_out(task, predicted),
        page=page_path,
        validation=task.trained.validation.row,
    )
    text = json.dumps(to_json(task, result), indent=2, ensure_ascii=False)
    page.write_file(task.output_dir / EVALUATION, f"{text}\n".encode())
    if Path(config.run_dir, predictions.FILENAME).exists():
        model_card.write(config.run_dir)
    return result


def prepare(config: EvaluateConfig) -> EvaluationTask:
    """Returns the run, opened, with the records to evaluate it on.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    trained = open_run(config.run_dir, config.weights, trust_run_code=config.trust_run_code)
    data_dir = (
        remote.folder(config.data_dir)
        if config.data_dir
        else locate.data_dir(config.run_dir, trained.stored)
    )
    stored = remote.load(data_dir)
    manifest = trained.stored.of_same_fold(stored)
    pixel_rules.check((trained.manifest,), manifest)
    selection = _selection(trained, manifest, config.classes)
    if not sum(selection.originals(manifest.split(config.split))):
        raise TrainerError(
            f"split {config.split!r} has no picture of the classes to evaluate: bake with a "
            "larger share of it in --splits, or give another --split"
        )
    predictor = function_of(trained.model, config.tta)
    names = {config.split, trained.config.validation_split} & {
        each.name for each in manifest.splits
    }
    sources = (_open(trained, data_dir, manifest, name, selection) for name in sorted(names))
    version = DataVersion.of(data_dir, stored, *sources)
    return EvaluationTask(config, trained, data_dir, manifest, selection, predictor, version)


def describe(result: Result) -> str:
    """Returns the lines that end the command's output."""
    evaluation = result.evaluation
    groups = ", ".join(
        f"{group} {value:.4f}"
        for group in metrics.GROUPS
        if (value := getattr(evaluation, group)) is not None
    )
    lines = [
        f"{len(result.predictions.ids):,} pictures: macro-F1 "
        f"{evaluation.macro_f1:.4f}{evaluation.coverage}, "
        f"top-1 {evaluation.top1:.4f}, balanced accuracy {evaluation.balanced_accuracy:.4f}, "
        f"loss {evaluation.loss:.4f}{_without_temperature(evaluation)}",
        f"mean recall by class size: {groups}",
        _calibration(result),
    ]
    if result.validation:
        lines.insert(1, _own_validation(result))
    if result.left_out:
        lines.append(
            f"left out: {result.left_out:,} pictures of classes that the network does not know"
        )
    if result.leaks:
        lines.append(
            f"warning: {len(result.leaks):,} of them are, or resemble, pictures that the run was "
            "trained on"
        )
    return "\n".join([*lines, f"report: {result.page}"])


def _without_temperature(evaluation: Evaluation) -> str:
    """Returns what follows the loss; empty where no temperature divides the logits."""
    if evaluation.temperature_note:
        return ""
    return f" (without the temperature {evaluation.loss_uncalibrated:.4f})"


def _own_validation(result: Result) -> str:
    """Returns the run's own numbers on validation, to hold those of the evaluation against."""
    row = result.validation
    of_logits = "" if result.evaluation.temperature_note else " without the temperature"
    return (
        f"its own validation, at epoch {row['epoch']}: macro-F1 {row['val_macro_f1']:.4f}, "
        f"top-1 {row['val_top1']:.4f}, balanced accuracy {row['val_balanced_accuracy']:.4f}, "
        f"loss {row['val_loss']:.4f}{of_logits}"
    )


def _calibration(result: Result) -> str:
    evaluation = result.evaluation
    if evaluation.temperature_note:
        return (
            f"calibration error {evaluation.ece:.4f}, without a fitted temperature: "
            f"{evaluation.temperature_note}"
        )
    return (
        f"calibration error {evaluation.ece:.4f}, {evaluation.ece_calibrated:.4f} at temperature "
        f"{evaluation.temperature:.3f} (fitted on {result.temperature_split})"
    )


def log_priors(trained: LoadedRun) -> np.ndarray:
    """Returns float32[classes], log of each class's share of the training records with copies."""
    split = trained.manifest.split(trained.config.train_split)
    counts = np.maximum(trained.selection.counts(split), 1)
    return np.log(counts / counts.sum()).astype(np.float32)


def to_json(task: EvaluationTask, result: Result) -> dict[str, Any]:
    """Returns the contents of evaluation.json."""
    config, trained, manifest = task.config, task.trained, task.manifest
    per_class = zip(trained.selection.classes, result.evaluation.per_class, strict=True)
    return {
        "run_dir": str(config.run_dir),
        "data_dir": locations.absolute(str(task.data_dir)),
        "dataset": {"name": manifest.name, "digest": manifest.digest},
        "trained_on": {
            "name": trained.stored.dataset.name,
            "digest": trained.stored.dataset.digest,
        },
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
        "temperature_note": result.evaluation.temperature_note,
        "metrics": result.evaluation.summary(),
        "validation": dict(result.validation),
        "per_class": {name: dataclasses.asdict(scores) for name, scores in per_class},
    }


def _selection(trained: LoadedRun, manifest: Manifest, classes: tuple[str, ...]) -> Selection:
    """Returns the records of the classes that run and data set share, or of some of those."""
    shared = [name for name in trained.selection.classes if name in manifest.classes]
    unknown = [name for name in classes if name not in shared]
    if unknown:
        raise UsageError(
            f"--classes: {unknown[0]!r} is not a class of both the run and the data set; "
            f"those are: {', '.join(shared[:10])}{', …' if len(shared) > 10 else ''}"
        )
    if not shared:
        raise TrainerError("the run and the data set have no class in common")
    return Selection.of_classes(manifest, classes or shared)


def _leaks(task: EvaluationTask) -> list[Leak]:
    """Returns the pictures that the run was trained on; refuses them unless --allow_leaks."""
    split = task.config.split
    try:
        leaks = overlap.find(
            (_trained_on(task), *_trained_before(task)),
            Part(task.data_dir, task.manifest, split, task.selection),
        )
    except (ledger.LedgerError, TrainerError) as error:
        if task.config.allow_leaks:
            return []
        raise TrainerError(
            f"cannot check whether the run was trained on pictures of split {split!r}: {error}; "
            "--allow_leaks evaluates without this check"
        ) from error
    if leaks and not task.config.allow_leaks:
        raise TrainerError(
            f"{overlap.explain(leaks, split)}; give another --split, or --allow_leaks"
        )
    return leaks


def _trained_on(task: EvaluationTask) -> TrainedOn:
    """Returns the pictures that the run was trained on.

    A run of an earlier version does not hold them: they are those of its data set, if that is
    found.

    Raises:
      TrainerError: they are not known.
      ledger.LedgerError: the data set has no readable sources.parquet.
    """
    trained, run_dir = task.trained, task.config.run_dir
    digest = trained.stored.dataset.digest
    known = trained_on.read(Path(run_dir))
    if known is None:
        same = task.manifest.digest == digest
        data_dir = task.data_dir if same else locate.data_dir(run_dir, trained.stored)
        split = trained.config.train_split
        fold = trained.manifest.split_of_fold(split)
        return trained_on.of(data_dir, digest, split, trained.selection, fold)
    if known.digest != digest:
        raise TrainerError(
            f"{trained_on.FILENAME} in {run_dir} is of another data set ({known.digest[:12]}…) "
            f"than its config.json ({digest[:12]}…)"
        )
    return known


def _trained_before(task: EvaluationTask) -> tuple[TrainedOn, ...]:
    """Returns the pictures that the runs which a run began with were trained on.

    Raises:
      TrainerError: they are not known.
    """
    fork, run_dir = task.trained.stored.fork, Path(task.config.run_dir)
    known = inherited.trained_before(run_dir)
    if known is not None:
        return known
    if fork is None:
        return ()  # Nothing says that there are any.
    raise TrainerError(
        f"{run_dir} has no {inherited.TRAINED_BEFORE}, so that nothing says what {fork.run}, "
        "which it began with, was trained on"
    )


def _predict(
    task: EvaluationTask, split: str, selection: Selection, rule: Probabilities
) -> Predictions:
    """Returns predictions on a split, with --logit_adjustment.

    Their labels count in the run's classes.
    """
    trained = task.trained
    source = _open(trained, task.data_dir, task.manifest, split, selection)
    try:
        raw = inference.predict(task.predictor, stream_source(source, task.config.batch_size))
    except tf.errors.OpError as error:
        raise explain(error, source) from error
    of_run = np.array([trained.selection.classes.index(name) for name in selection.classes])
    return dataclasses.replace(raw, labels=of_run[raw.labels], logits=rule.adjusted(raw.logits))


def _open(
    trained: LoadedRun, data_dir: Folder, manifest: Manifest, split: str, selection: Selection
) -> Source:
    return open_split(
        manifest, data_dir, split, selection.natural(), trained.size,
        trained.config.read_parallelism,
    )  # fmt: skip


def _probabilities(task: EvaluationTask) -> Probabilities:
    """Returns the rule that makes probabilities of the network's logits.

    It is the run's own, as in `trainer.predict` and `trainer.export`. With --logit_adjustment,
    which those do not have, the logits are others, and their temperature is fitted here, on the
    validation split: fitted on the evaluated pictures it would look better than it is.
    """
    tau, trained = task.config.logit_adjustment, task.trained
    if not tau:
        return trained.probabilities
    rule = Probabilities(shift=np.float32(tau) * log_priors(trained))
    split = trained.config.validation_split
    selection = _selection(trained, task.manifest, classes=())
    present = any(info.name == split for info in task.manifest.splits)
    if not present or not sum(selection.originals(task.manifest.split(split))):
        note = f"the data set has no picture in split {split!r} to fit one on"
        return dataclasses.replace(rule, temperature=Temperature(note=note))
    validation = _predict(task, split, selection, rule)
    fitted = probabilities.fit(validation.logits, validation.labels)
    return dataclasses.replace(rule, temperature=fitted)


def _left_out(task: EvaluationTask, predicted: Predictions) -> int:
    """Returns the number of pictures of the split whose class the network does not know."""
    if task.config.classes:
        return 0
    return sum(task.manifest.split(task.config.split).originals) - len(predicted.ids)


def _write_report(task: EvaluationTask, predicted: Predictions, temperature: Temperature) -> Path:
    config, trained = task.config, task.trained
    shown = dataclasses.asdict(config) | {"data_dir": str(task.data_dir)}
    return page.write(
        page.RunFiles(
            run_dir=task.output_dir,
            data_dir=task.data_dir,
            classes=trained.selection.classes,
            train_counts=trained.train_counts,
            history=task.output_dir / METRICS,
            predictions=predicted,
            flags=trained.config,
            settings={"evaluation": shown, "flags": trained.config.to_dict()},
            split=config.split,
            temperature=temperature,
            weights=config.weights,
            title=f"{Path(config.run_dir).resolve().name} · {config.label}",
        )
    )
