"""Evaluates a trained network on a split: `run(config)` from checkpoints to a report."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from trainer.evaluate import given, leaks, members
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.given import Given
from trainer.evaluate.result import Result
from trainer.metrics import inference, metrics, predictions, probabilities
from trainer.metrics.metrics import Predictions
from trainer.metrics.probabilities import Probabilities, Temperature
from trainer.predicting import ensemble, pixel_rules, together
from trainer.predicting.ensemble import Ensemble
from trainer.report import model_card, page
from trainer.report.settings import Settings
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
      given: what each run is evaluated on; the pages show the pictures of the first one's.
    """

    config: EvaluateConfig
    run_dirs: tuple[str, ...]
    runs: Ensemble
    given: tuple[Given, ...]

    @property
    def data_dir(self) -> Folder:
        """Of the data set, or of the first run's."""
        return self.given[0].data_dir

    @property
    def manifest(self) -> Manifest:
        """Of the data set, or of the first run's."""
        return self.given[0].manifest

    @property
    def selection(self) -> Selection:
        """Of the data set, or of the first run's."""
        return self.given[0].selection

    @property
    def is_each_on_its_own(self) -> bool:
        """Whether runs are evaluated on several data sets of the same pictures."""
        return any(each.manifest.digest != self.manifest.digest for each in self.given)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Checks after the block that no data set was replaced; see `DataVersion.reading`."""
        with contextlib.ExitStack() as held:
            for each in dict.fromkeys(self.given):
                held.enter_context(each.version.reading())
            yield

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

    def of_run(self, run_dir: str, refusal: str) -> str:
        """Returns a refusal for the sake of one of several runs, with what helps there."""
        if len(self.run_dirs) == 1:
            return refusal
        return f"{run_dir}: {refusal}; or leave this run out of --run_dir"


def run(config: EvaluateConfig) -> Result:
    """Evaluates a run, or the mean of several, and writes the results.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    if config.output_dir:
        kinds.refuse_other(config.output_dir, "output_dir", kinds.EVALUATION)
    task = prepare(config)
    with task.reading():
        leaked = _leaks(task)
        predicted, temperature = _predict_as_one(task)
    evaluation = metrics.evaluate(predicted, members.train_counts(task.runs), temperature)
    with task.reading():
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
    folders = given.data_dirs(config, run_dirs, known)
    stored = {folder: remote.load(folder) for folder in dict.fromkeys(folders)}
    manifests = {
        folder: members.manifest_of(
            config, [run for run, its in zip(known, folders, strict=True) if its == folder], found
        )
        for folder, found in stored.items()
    }
    runs = ensemble.open_runs(run_dirs, config.weights, trust_run_code=config.trust_run_code)
    opened = {
        folder: _given(
            config,
            {
                run_dir: run
                for run_dir, run, its in zip(run_dirs, runs.runs, folders, strict=True)
                if its == folder
            },
            runs.runs[0].config.read_parallelism,
            folder,
            stored[folder],
            manifest,
        )
        for folder, manifest in manifests.items()
    }
    task = EvaluationTask(config, run_dirs, runs, tuple(opened[folder] for folder in folders))
    if task.is_each_on_its_own:
        given.check_same(run_dirs, task.given, config.split)
    return task


def _given(
    config: EvaluateConfig,
    runs: Mapping[str, LoadedRun],
    read_parallelism: int,
    data_dir: Folder,
    stored: Manifest,
    manifest: Manifest,
) -> Given:
    """Returns the records of a data set to evaluate runs on, which are there to be read.

    Args:
      config: of the evaluation.
      runs: by directory, those that are evaluated on it.
      read_parallelism: shards read at a time.
      data_dir: of the data set.
      stored: its manifest.
      manifest: the same, with the splits that the runs saw.
    """
    first = next(iter(runs.values()))
    pixel_rules.check((run.manifest for run in runs.values()), manifest)
    selection = _selection(first, manifest, config.classes)
    if not sum(selection.originals(manifest.split(config.split))):
        raise TrainerError(
            f"split {config.split!r} has no picture of the classes to evaluate: bake with a "
            "larger share of it in --splits, or give another --split"
        )
    names = {config.split, first.config.validation_split} & {each.name for each in manifest.splits}
    sources = []
    for name, (run_dir, run) in itertools.product(sorted(names), runs.items()):
        try:
            source = _open(run, read_parallelism, data_dir, manifest, name, selection)
        except UsageError as error:
            if len(config.run_dir) == 1 or not config.data_dir:
                raise
            raise UsageError(
                f"{run_dir}: {error}; without --data_dir each run reads the data set that it was "
                "trained on"
            ) from error
        sources.append(source)
    first_records.check(manifest, *sources)
    return Given(data_dir, manifest, selection, DataVersion.of(data_dir, stored, *sources))


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
        "evaluated_on": _each_on_its_own(task),
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


def _each_on_its_own(task: EvaluationTask) -> list[dict[str, str]] | None:
    """Returns the data set of each run, ready for JSON; None where all have the same."""
    if not task.is_each_on_its_own:
        return None
    return [
        {
            "run_dir": run_dir,
            "data_dir": locations.absolute(str(each.data_dir)),
            "name": each.manifest.name,
            "digest": each.manifest.digest,
        }
        for run_dir, each in zip(task.run_dirs, task.given, strict=True)
    ]


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
    found: dict[str, Leak] = {}
    for run_dir, trained, each in zip(task.run_dirs, task.runs.runs, task.given, strict=True):
        part = Part(each.data_dir, each.manifest, task.config.split, each.selection)
        try:
            of_run = leaks.allowed(run_dir, trained, part, all_of_them=task.config.allow_leaks)
        except TrainerError as error:
            raise TrainerError(task.of_run(run_dir, str(error))) from error
        found = {leak.key: leak for leak in of_run} | found
    return sorted(found.values(), key=lambda leak: leak.key)


def _predict_as_one(task: EvaluationTask) -> tuple[Predictions, Temperature]:
    """Returns the predictions on the split, and the temperature that divides their logits."""
    split, runs = task.config.split, task.runs.runs
    if len(runs) == 1:
        rule = _probabilities(task)
        return _predict(task, runs[0], task.given[0], split, rule), rule.temperature
    each = [
        _predict(task, run, its, split, run.probabilities)
        for run, its in zip(runs, task.given, strict=True)
    ]
    return members.mean(task.runs, each), members.OF_THE_MEAN


def _predict(
    task: EvaluationTask, trained: LoadedRun, its: Given, split: str, rule: Probabilities
) -> Predictions:
    """Returns a run's predictions on a split, with --logit_adjustment.

    Their labels count in the run's classes.
    """
    selection = its.selection
    source = _open(
        trained, task.trained.config.read_parallelism, its.data_dir, its.manifest, split, selection
    )
    predictor = function_of(trained.model, task.config.tta)
    try:
        raw = inference.predict(predictor, stream_source(source, task.config.batch_size))
    except tf.errors.OpError as error:
        raise explain(error, source) from error
    of_run = np.array([trained.selection.classes.index(name) for name in selection.classes])
    return dataclasses.replace(raw, labels=of_run[raw.labels], logits=rule.adjusted(raw.logits))


def _open(
    trained: LoadedRun,
    read_parallelism: int,
    data_dir: Folder,
    manifest: Manifest,
    split: str,
    selection: Selection,
) -> Source:
    """Returns a split at the size of a run."""
    return open_split(
        manifest, data_dir, split, selection.natural(), trained.size, read_parallelism
    )


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
    every_class = dataclasses.replace(task.given[0], selection=selection)
    validation = _predict(task, trained, every_class, split, rule)
    fitted = probabilities.fit(validation.logits, validation.labels)
    return dataclasses.replace(rule, temperature=fitted)


def _left_out(task: EvaluationTask, predicted: Predictions) -> int:
    """Returns the number of pictures of the split whose class the network does not know."""
    if task.config.classes:
        return 0
    return sum(task.manifest.split(task.config.split).originals) - len(predicted.ids)


def _write_report(task: EvaluationTask, predicted: Predictions, temperature: Temperature) -> Path:
    config, trained = task.config, task.trained
    folders = [each.data_dir for each in task.given]
    shown = dataclasses.asdict(config) | {"data_dir": ", ".join(dict.fromkeys(map(str, folders)))}
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
