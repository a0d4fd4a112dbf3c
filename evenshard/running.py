"""`Run`: a trained network and its records, opened from Python."""

from __future__ import annotations

import abc
import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from evenshard import notebook
from evenshard.arguments import PathLike, naming_arguments, speaking_python
from evenshard.frameworks.tensorflow_state import trainer_session
from evenshard.places import Place
from evenshard.results import RunEvaluation, RunPrediction
from tfrecords.cli import flags, parsing
from tfrecords.errors import UsageError
from trainer.config import TrainConfig
from trainer.evaluate.config import EvaluateConfig
from trainer.export.config import ExportConfig
from trainer.predict import PredictConfig
from trainer.predicting import together
from trainer.runs import history
from trainer.runs.config_file import CONFIG, RunConfig
from trainer.runs.history import History

if TYPE_CHECKING:
    from evenshard.pictures import Pictures
    from trainer.predicting.ensemble import Ensemble
    from trainer.runs.load import LoadedRun

# Tells the states of files apart.
_Stamp = tuple[tuple[str, int, int], ...]

# Columns of metrics.csv that count.
_WHOLE = ("epoch", "step")


class _Predicts(abc.ABC):
    """What a run, or several of them, says of pictures, and what that is worth."""

    @property
    @abc.abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are told apart, in label order."""

    @abc.abstractmethod
    def _trusts(self, given: bool) -> bool:
        """Returns whether code is run, for one call or for all of them."""

    @abc.abstractmethod
    def _run_dirs(self) -> tuple[str, ...]:
        """Returns where the runs are."""

    @abc.abstractmethod
    def _ensemble(self, weights: str, device: str, trust_run_code: bool) -> Ensemble:
        """Returns the networks, built and loaded once."""

    @naming_arguments()
    @speaking_python()
    def predict(
        self,
        input: Pictures,
        *,
        weights: str = "best",
        tta: str = "none",
        batch_size: int = 128,
        workers: int = 0,
        device: str = "auto",
        path_column: str = "",
        csv_separator: str = "",
        csv_encoding: str = "",
        zip_encoding: str = "",
        max_file_mb: int = 200,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        trust_run_code: bool = False,
        verbose: bool = False,
    ) -> RunPrediction:
        """Names the class of pictures that are not in the data set.

        They are decoded and resized as the bake did it.

        >>> import evenshard
        >>> answers = evenshard.load_run("runs/a").predict(["unlabelled/1.jpg", "unlabelled/2.jpg"])
        >>> answers.ids, answers.probabilities.shape
        (('unlabelled/1.jpg', 'unlabelled/2.jpg'), (2, 3))

        Args:
          input: a folder, a pattern, a .zip or .tar, a CSV with a column path, or a picture's
            path; or an array, uint8[n, height, width, 3]; or a list of paths, of arrays
            uint8[height, width, 3] and of `PIL.Image` images. Tensors are arrays, too.
          weights: "best", "last", or "ema", their moving average.
          tta: "flip" averages the probabilities of each picture and its mirror image.
          batch_size: pictures at a time; no effect on results.
          workers: processes that decode files; 0: one per core.
          device: "auto", "cpu" or "gpu".
          path_column: of a table, by name or number; by default found from its header.
          csv_separator: of a table; by default found from its first lines.
          csv_encoding: of a table; by default UTF-8.
          zip_encoding: of names in an archive that are not UTF-8; guessed by default.
          max_file_mb: larger files are rejected unread.
          include: only files that one of these globs matches.
          exclude: no files that one of these globs matches.
          trust_run_code: run code that the run directory names or holds, where it is needed.
          verbose: show TensorFlow's log.

        Returns:
          The classes and their probabilities, in the order of the input. A picture that cannot be
          read has the class None, and `rejects` says why.

        Raises:
          UsageError: nothing to predict, or an argument is wrong.
          TrainerError: no usable checkpoint, or not one picture could be read.
        """
        given = {
            "run_dir": self._run_dirs(), "input": "-", "output": "-", "weights": weights,
            "tta": tta, "batch_size": batch_size, "workers": workers, "device": device,
            "path_column": path_column, "csv_separator": csv_separator,
            "csv_encoding": csv_encoding, "zip_encoding": zip_encoding,
            "max_file_mb": max_file_mb, "include": include, "exclude": exclude,
            "trust_run_code": trust_run_code, "verbose": verbose,
        }  # fmt: skip
        config = parsing.build(PredictConfig, given)
        with trainer_session(config.verbose):
            from evenshard import pictures

            opened = self._ensemble(config.weights, config.device, config.trust_run_code)
            return pictures.predict(opened, input, config)

    @naming_arguments()
    @speaking_python()
    def evaluate(
        self,
        split: str = "test",
        *,
        data_dir: PathLike = "",
        classes: str | Sequence[str] = (),
        allow_leaks: bool = False,
        weights: str = "best",
        logit_adjustment: float = 0.0,
        tta: str = "none",
        batch_size: int = 128,
        output_dir: PathLike = "",
        trust_run_code: bool = False,
        verbose: bool = False,
    ) -> RunEvaluation:
        """Evaluates on a split, and writes numbers, tables and a page; of one run, into the run.

        Of several runs the mean of their probabilities is evaluated, as `predict` gives it. Runs
        of several bakes each read their own, whose split must hold the same pictures, or all read
        `data_dir`. None of them may be trained on pictures of the split.

        >>> import evenshard
        >>> result = evenshard.load_run("runs/a").evaluate("validation")
        >>> 0 <= result.metrics["macro_f1"] <= 1
        True

        Args:
          split: name of the split.
          data_dir: another data set than the one the run was trained on.
          classes: only pictures of these; the network still chooses among all it knows.
          allow_leaks: evaluate also on pictures that the run was trained on.
          weights: "best", "last", or "ema", their moving average.
          logit_adjustment: subtract so many times the log of each class's share.
          tta: "flip" averages the probabilities of each picture and its mirror image.
          batch_size: pictures at a time; no effect on results.
          output_dir: where results go; by default in the run's own directory, needed of several.
          trust_run_code: run code that the run directory names or holds, where it is needed.
          verbose: show TensorFlow's log.

        Raises:
          UsageError, ManifestError: an argument is wrong, or the runs do not go together.
          TrainerError: no usable checkpoint, or a run was trained on some of the pictures.
        """
        given = {
            "run_dir": self._run_dirs(), "split": split, "data_dir": data_dir, "classes": classes,
            "allow_leaks": allow_leaks, "weights": weights, "logit_adjustment": logit_adjustment,
            "tta": tta, "batch_size": batch_size, "output_dir": output_dir, "verbose": verbose,
            "trust_run_code": self._trusts(trust_run_code),
        }  # fmt: skip
        config = parsing.build(EvaluateConfig, given)
        with trainer_session(config.verbose):
            from trainer.evaluate import run

            result = run.run(config)
        return RunEvaluation(
            split=config.split,
            metrics=result.evaluation.summary(),
            per_class=_per_class(self.classes, result.evaluation.per_class),
            pictures=len(result.predictions.ids),
            leaks=len(result.leaks),
            left_out=result.left_out,
            report=result.page,
        )


class Run(_Predicts):
    """A training run: how it went, and the network it ended in.

    Args:
      run_dir: that `evenshard.train` or the command wrote.
      trust_run_code: run code that the run directory names or holds, in every call that needs it.
    """

    def __init__(self, run_dir: PathLike, *, trust_run_code: bool = False) -> None:
        self._place = Place.of("run_dir", run_dir)
        self._trust_run_code = trust_run_code
        self._loaded: dict[tuple[str, str], tuple[_Stamp, LoadedRun]] = {}
        self._read: tuple[_Stamp, RunConfig] | None = None

    @property
    def run_dir(self) -> Path:
        """Where the run is: as given, or absolute once the working directory is another."""
        return Path(self._place.now)

    def __fspath__(self) -> str:
        """Returns `run_dir`, so that a run stands wherever its directory does."""
        return self._place.now

    @property
    def config(self) -> TrainConfig:
        """The arguments that it was trained with."""
        return self._stored.flags

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the network tells apart, in label order."""
        return self._stored.selection.classes

    @property
    def history(self) -> pa.Table:
        """One row an epoch, the columns of metrics.csv; `to_pandas()` gives a data frame."""
        columns = {}
        for name, values in self._epochs.columns.items():
            column = pa.array(values, from_pandas=True)
            columns[name] = column.cast(pa.int64()) if name in _WHOLE else column
        return pa.table(columns)

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch by `monitor`, whose weights are used; {} before there is one.

        Cells without a number are left out.
        """
        row = self._best_row
        if row is None:
            return {}
        values = self.history.slice(row, 1).to_pylist()[0]
        return {name: value for name, value in values.items() if value is not None}

    @property
    def report(self) -> Path:
        """Path of the page about the run; it is written when the run is finished."""
        return self.run_dir / "report" / "index.html"

    @naming_arguments()
    @speaking_python()
    def export(
        self,
        format: str | Sequence[str] = "saved_model",
        *,
        weights: str = "best",
        temperature: float | str = "fitted",
        parity_pictures: int = 200,
        data_dir: PathLike = "",
        parity_input: PathLike = "",
        output: PathLike = "",
        overwrite: bool = False,
        trust_run_code: bool = False,
        verbose: bool = False,
    ) -> dict[str, Path]:
        """Writes the network for use without this package, and checks that its answers agree.

        >>> import evenshard
        >>> paths = evenshard.load_run("runs/a").export("saved_model")
        >>> paths["saved_model"].is_dir()
        True

        Args:
          format: one or several of "saved_model", "onnx" and "litert".
          weights: "best", "last", or "ema", their moving average.
          temperature: divides the logits; "fitted" on validation, or a number.
          parity_pictures: pictures on which it must agree with the network; 0: no check.
          data_dir: where they come from, if not the data set the run was trained on.
          parity_input: source pictures to compare a SavedModel's decoder on.
          output: where to write; by default in the run's own directory.
          overwrite: replace an export of another run or other weights.
          trust_run_code: run code that the run directory names or holds, where it is needed.
          verbose: show TensorFlow's log.

        Returns:
          The path of each format.

        Raises:
          UsageError: an argument is wrong, or `output` holds another export.
          TrainerError: the network cannot be converted, or its answers differ.
        """
        given = {
            "run_dir": self._run_dir, "format": format, "weights": weights,
            "temperature": temperature, "parity_pictures": parity_pictures, "data_dir": data_dir,
            "parity_input": parity_input, "output": output, "overwrite": overwrite,
            "verbose": verbose, "trust_run_code": self._trusts(trust_run_code),
        }  # fmt: skip
        config = parsing.build(ExportConfig, given)
        with trainer_session(config.verbose):
            from trainer.export import run

            result = run.run(config)
        return {item.format.name: item.path for item in result.exported}

    def __repr__(self) -> str:
        return f"<Run {self._run_dir}: {self._summary()}>"

    def _repr_html_(self) -> str:
        from trainer.report import curves  # matplotlib: half a second.

        top = notebook.heading(f"Run {self._run_dir}:", self._summary())
        if not len(self._epochs):
            return top
        drawn = "".join(
            notebook.figure(draw(self._epochs, self._best_row), description)
            for draw, description in (
                (curves.loss, "Loss by epoch"),
                (curves.accuracy, "Accuracy by epoch"),
            )
        )
        return top + notebook.table(("best epoch", "value"), self.best.items()) + drawn

    @property
    def _run_dir(self) -> str:
        return self._place.now

    @property
    def _stored(self) -> RunConfig:
        """The run's config.json as it is now: training on may have changed it."""
        stamp = _stamp((self.run_dir / CONFIG,))
        if self._read is None or self._read[0] != stamp:
            with naming_arguments():
                self._read = stamp, RunConfig.read(self._run_dir)
        return self._read[1]

    @property
    def _epochs(self) -> History:
        try:
            return history.load(self.run_dir / history.METRICS)
        except FileNotFoundError:
            return History({})

    @property
    def _best_row(self) -> int | None:
        return self._epochs.best(self.config.monitor)

    def _trusts(self, given: bool) -> bool:
        return given or self._trust_run_code

    def _open(self, weights: str, device: str, trust_run_code: bool) -> LoadedRun:
        """Returns the network, built and loaded once, and anew where it was trained on since."""
        from trainer.runs import load

        stamp = _stamp((self.run_dir / CONFIG, *self.run_dir.glob("checkpoints/*.ckpt")))
        known = self._loaded.get((weights, device))
        if known is not None and known[0] == stamp:
            return known[1]
        opened = load.open_run(self._run_dir, weights, device, trust_run_code=trust_run_code)
        self._loaded[weights, device] = stamp, opened
        return opened

    def _run_dirs(self) -> tuple[str, ...]:
        return (self._run_dir,)

    def _ensemble(self, weights: str, device: str, trust_run_code: bool) -> Ensemble:
        from trainer.predicting import ensemble

        return ensemble.of(self._open(weights, device, self._trusts(trust_run_code)))

    def _summary(self) -> str:
        config = self.config
        done = f"{len(self._epochs)} of {config.epochs} epochs"
        best = self.best
        found = f"; best is epoch {best['epoch']} with {config.monitor} {best[config.monitor]:.4f}"
        return f"{config.model} on {len(self.classes)} classes, {done}{found if best else ''}"


class Runs(_Predicts):
    """Several runs of the same classes, such as folds or seeds, that answer together.

    Their probabilities are averaged; classes are aligned by name, in the order of the first run.
    Each run sees the pictures at its own size.

    Args:
      runs: one or more, or their directories.

    Raises:
      UsageError: runs that differ in their classes, or one that is given twice; no run.
      TrainerError: not the directory of a run.
    """

    @naming_arguments()
    def __init__(self, runs: Iterable[Run | PathLike]) -> None:
        if isinstance(runs, (str, os.PathLike, Run)) or not isinstance(runs, Iterable):
            raise UsageError(f"runs={flags.shown(runs)}: a list of runs is expected")
        self.runs = tuple(run if isinstance(run, Run) else Run(run) for run in runs)
        together.check([run._run_dir for run in self.runs])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the first run."""
        return self.runs[0].classes

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"<Runs: {', '.join(self._run_dirs())}>"

    def _trusts(self, given: bool) -> bool:
        return given or all(run._trusts(given) for run in self.runs)

    def _run_dirs(self) -> tuple[str, ...]:
        return tuple(str(run._run_dir) for run in self.runs)

    def _ensemble(self, weights: str, device: str, trust_run_code: bool) -> Ensemble:
        from trainer.predicting.ensemble import Ensemble

        return Ensemble(
            tuple(run._open(weights, device, run._trusts(trust_run_code)) for run in self.runs)
        )


@overload
def load_run(run_dir: PathLike, *, trust_run_code: bool = False) -> Run: ...  # type: ignore[overload-overlap]  # Text is one path.
@overload
def load_run(run_dir: Sequence[PathLike], *, trust_run_code: bool = False) -> Runs: ...
@naming_arguments()
def load_run(run_dir: PathLike | Sequence[PathLike], *, trust_run_code: bool = False) -> Run | Runs:
    """Opens a run that `train` or the command wrote, or several that predict together.

    A network of your own (`model="module:function"`) is read from the run directory where that is
    data alone. With `trust_run_code` code is run where it needs that: the module that the run
    names, or a Lambda layer in its model.keras. Leave it out for a run whose author you do not
    know.

    >>> import evenshard
    >>> run = evenshard.load_run("runs/a")
    >>> run.classes
    ('apu', 'bart', 'lisa')

    Args:
      run_dir: its directory; or a list of directories, for the mean of their probabilities.
      trust_run_code: run code that the runs name or hold, in every call that needs it.

    Raises:
      UsageError: runs that differ in their classes, or one that is given twice.
      TrainerError: not the directory of a run.
    """
    if isinstance(run_dir, Iterable) and not isinstance(run_dir, (str, bytes, os.PathLike)):
        return Runs([Run(each, trust_run_code=trust_run_code) for each in run_dir])
    run = Run(run_dir, trust_run_code=trust_run_code)
    _ = run.config
    return run


def _stamp(paths: Iterable[Path]) -> _Stamp:
    """Returns name, bytes and time of the last change in ns of the files that there are."""
    found = []
    for path in sorted(paths):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _per_class(classes: Sequence[str], results: Sequence[Any]) -> pa.Table:
    names = ("precision", "recall", "f1", "support")
    columns = {name: [getattr(result, name) for result in results] for name in names}
    return pa.table({"class": list(classes), **columns})
