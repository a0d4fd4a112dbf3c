"""Evaluates a trained network on a split: `run(config)` from checkpoints to a report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords import kinds, locations
from tfrecords.errors import TrainerError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.system import atomic
from trainer import remote
from trainer.config import TrainConfig
from trainer.data import first_records
from trainer.data.selection import Selection, Source, open_split
from trainer.data.stream import explain, stream_source
from trainer.data.version import DataVersion
from trainer.evaluate import leaks, members
from trainer.evaluate.config import EvaluateConfig
from trainer.metrics import inference, metrics, predictions, probabilities
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.metrics.probabilities import Probabilities, Temperature
from trainer.predicting import ensemble, pixel_rules, together
from trainer.predicting.ensemble import Ensemble
from trainer.report import model_card, page
from trainer.report.settings import Settings
from trainer.runs import locate
from trainer.runs.evaluation_file import DIRECTORY, EVALUATION
from trainer.runs.history import METRICS
from trainer.runs.load import LoadedRun, function_of
from trainer.runs.overlap import Leak, Part

# Losses that already shift the logits by the classes' priors in training.
_ADJUSTED_LOSSES = ("balanced_softmax", "logit_adjusted")


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """A run, or several that answer together, and the records that they are evaluated on.

    Attributes:
      config: of the evaluation.
      run_dirs: of the runs.
      runs: the runs; the classes of the results are the first one's.
      data_dir: of the data set.
      manifest: of the data set.
      selection: the classes that runs and data set share, less those that --classes leaves out.
      version: of the data set.
    """

    config: EvaluateConfig
    run_dirs: tuple[str, ...]
    runs: Ensemble
    data_dir: Folder
    manifest: Manifest
    selection: Selection
    version: DataVersion

    @property
    def trained(self) -> LoadedRun:
        """The run, or the first of several."""
        return self.runs.runs[0]

    @property
    def output_dir(self) -> Path:
        """Where the results go: those on another data set beside those on the run's own."""
        label, digest = self.config.label, self.manifest.digest
        if digest != self.trained.stored.dataset.digest:
            label += f"-of-{digest[:8]}"
        return Path(self.config.output_dir or Path(self.run_dirs[0], DIRECTORY, label))

    @property
    def title(self) -> str:
        """What the page is called."""
        several = f"mean of {len(self.run_dirs):,} runs"
        name = Path(self.run_dirs[0]).resolve().name if len(self.run_dirs) == 1 else several
        return f"{name} · {self.config.label}"

    def named(self, run_dir: str) -> str:
        """Returns what begins a line about one of several runs; "" where there is one."""
        return f"{run_dir}: " if len(self.run_dirs) > 1 else ""


@dataclass(frozen=True, eq=False)
class Result:
    """The results of an evaluation.

    Attributes:
      evaluation: the metrics.
      predictions: one row a picture.
      temperature_split: on which the temperature was fitted; empty where none could be.
      validation: what the run found on its own validation split with these weights, as a row of
        metrics.csv; empty where it did not validate them, and of several runs.
      leaks: pictures that a run had been trained on, with --allow_leaks.
      left_out: pictures of the split whose class the network does not know.
      page: path of the report.
      run_dirs: of the runs.
    """

    evaluation: Evaluation
    predictions: Predictions
    temperature_split: str
    leaks: tuple[Leak, ...]
    left_out: int
    page: Path
    validation: Mapping[str, Any] = field(default_factory=dict)
    run_dirs: tuple[str, ...] = ()


def run(config: EvaluateConfig) -> Result:
    """Evaluates a run, or the mean of several, and writes the results.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    if config.output_dir:
        kinds.refuse_other(config.output_dir, "output_dir", kinds.EVALUATION)
    task = prepare(config)
    with task.version.reading():
        leaked = _leaks(task)
        predicted, temperature = _predict_as_one(task)
    evaluation = metrics.evaluate(predicted, members.train_counts(task.runs), temperature)
    with task.version.reading():
        page_path = _write_report(task, predicted, temperature)
    alone = len(task.run_dirs) == 1
    result = Result(
        evaluation=evaluation,
        predictions=predicted,
        temperature_split="" if temperature.note else task.trained.config.validation_split,
        leaks=tuple(leaked),
        left_out=_left_out(task, predicted),
        page=page_path,
        validation=task.trained.validation.row if alone else {},
        run_dirs=task.run_dirs,
    )
    text = json.dumps(to_json(task, result), indent=2, ensure_ascii=False)
    atomic.write_file(task.output_dir / EVALUATION, f"{text}\n".encode())
    if alone and Path(task.run_dirs[0], predictions.FILENAME).exists():
        model_card.write(task.run_dirs[0])
    return result


def prepare(config: EvaluateConfig) -> EvaluationTask:
    """Returns the run, or several, opened, with the records to evaluate on.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    run_dirs = tuple(together.named(config.run_dir))
    known = members.check(config, run_dirs)
    data_dir = (
        remote.folder(config.data_dir)
        if config.data_dir
        else locate.data_dir(run_dirs[0], known[0])
    )
    stored = remote.load(data_dir)
    manifest = members.manifest_of(config, known, stored)
    runs = ensemble.open_runs(run_dirs, config.weights, trust_run_code=config.trust_run_code)
    trained = runs.runs[0]
    pixel_rules.check((run.manifest for run in runs.runs), manifest)
    selection = _selection(trained, manifest, config.classes)
    if not sum(selection.originals(manifest.split(config.split))):
        raise TrainerError(
            f"split {config.split!r} has no picture of the classes to evaluate: bake with a "
            "larger share of it in --splits, or give another --split"
        )
    names = {config.split, trained.config.validation_split} & {
        each.name for each in manifest.splits
    }
    sources = [
        _open(runs, run, data_dir, manifest, name, selection)
        for name in sorted(names)
        for run in runs.runs
    ]
    first_records.check(manifest, *sources)
    version = DataVersion.of(data_dir, stored, *sources)
    return EvaluationTask(config, run_dirs, runs, data_dir, manifest, selection, version)


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
    if len(result.run_dirs) > 1:
        runs = ", ".join(result.run_dirs)
        lines.insert(0, f"mean probabilities of {len(result.run_dirs):,} runs: {runs}")
    if result.validation:
        lines.insert(1, _own_validation(result))
    if result.left_out:
        lines.append(
            f"left out: {result.left_out:,} pictures of classes that the network does not know"
        )
    if result.leaks:
        lines.append(
            f"warning: {len(result.leaks):,} of them are, or resemble, pictures that "
            f"{'a' if len(result.run_dirs) > 1 else 'the'} run was trained on"
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
    described = ensemble.record(task.runs, task.run_dirs, config.weights, config.tta)
    per_class = zip(trained.selection.classes, result.evaluation.per_class, strict=True)
    return {
        "run_dir": task.run_dirs[0] if len(task.run_dirs) == 1 else None,
        "runs": described["runs"],
        "data_dir": locations.absolute(str(task.data_dir)),
        "dataset": {"name": manifest.name, "digest": manifest.digest},
        "trained_on": {
            "name": trained.stored.dataset.name,
            "digest": trained.stored.dataset.digest,
        },
        "split": config.split,
        "weights": config.weights,
        "logit_adjustment": config.logit_adjustment,
        "adjusted_in_training": all(run.config.loss in _ADJUSTED_LOSSES for run in task.runs.runs),
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
    """Returns the pictures that a run was trained on; refuses them unless --allow_leaks."""
    part = Part(task.data_dir, task.manifest, task.config.split, task.selection)
    found: dict[str, Leak] = {}
    for run_dir, trained in zip(task.run_dirs, task.runs.runs, strict=True):
        try:
            of_run = leaks.allowed(run_dir, trained, part, all_of_them=task.config.allow_leaks)
        except TrainerError as error:
            raise TrainerError(f"{task.named(run_dir)}{error}") from error
        found = {leak.key: leak for leak in of_run} | found
    return sorted(found.values(), key=lambda leak: leak.key)


def _predict_as_one(task: EvaluationTask) -> tuple[Predictions, Temperature]:
    """Returns the predictions on the split, and the temperature that divides their logits."""
    config, runs = task.config, task.runs.runs
    if len(runs) == 1:
        rule = _probabilities(task)
        return _predict(task, runs[0], config.split, task.selection, rule), rule.temperature
    each = [_predict(task, run, config.split, task.selection, run.probabilities) for run in runs]
    return members.mean(task.runs, each), members.OF_THE_MEAN


def _predict(
    task: EvaluationTask, trained: LoadedRun, split: str, selection: Selection, rule: Probabilities
) -> Predictions:
    """Returns a run's predictions on a split, with --logit_adjustment.

    Their labels count in the run's classes.
    """
    source = _open(task.runs, trained, task.data_dir, task.manifest, split, selection)
    predictor = function_of(trained.model, task.config.tta)
    try:
        raw = inference.predict(predictor, stream_source(source, task.config.batch_size))
    except tf.errors.OpError as error:
        raise explain(error, source) from error
    of_run = np.array([trained.selection.classes.index(name) for name in selection.classes])
    return dataclasses.replace(raw, labels=of_run[raw.labels], logits=rule.adjusted(raw.logits))


def _open(
    runs: Ensemble,
    trained: LoadedRun,
    data_dir: Folder,
    manifest: Manifest,
    split: str,
    selection: Selection,
) -> Source:
    """Returns a split at the size of a run, in one order for all runs."""
    return open_split(
        manifest, data_dir, split, selection.natural(), trained.size,
        runs.runs[0].config.read_parallelism,
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
    validation = _predict(task, trained, split, selection, rule)
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
    flags = tuple(run.config for run in task.runs.runs)
    return page.write(
        page.RunFiles(
            run_dir=task.output_dir,
            data_dir=task.data_dir,
            classes=trained.selection.classes,
            train_counts=members.train_counts(task.runs),
            history=task.output_dir / METRICS,
            predictions=predicted,
            flags=flags[0],
            others=flags[1:],
            settings={"evaluation": shown, **_flags(flags)},
            split=config.split,
            temperature=temperature,
            weights=config.weights,
            title=task.title,
        )
    )


def _flags(of_runs: Sequence[TrainConfig]) -> Settings:
    """Returns the flags of runs as a page shows them: those that all have alike, and the others."""
    given = [flags.to_dict() for flags in of_runs]
    alike = {
        name: value
        for name, value in given[0].items()
        if all(each[name] == value for each in given)
    }
    differ = {name: [each[name] for each in given] for name in given[0] if name not in alike}
    return {"flags": alike, **({"flags that differ, run by run": differ} if differ else {})}
