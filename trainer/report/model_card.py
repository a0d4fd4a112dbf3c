"""`MODEL_CARD.md` of a run: its data, its training, its results and their limits.

The structure follows Mitchell et al. 2019, "Model cards for model reporting". The card is
written with the report of every run, again after each evaluation, and by
`python -m trainer.report.model_card`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import TrainerError
from tfrecords.reporting.html import count, decimal, percent
from tfrecords.system import atomic
from trainer.metrics import metrics, predictions
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.metrics.probabilities import Temperature
from trainer.runs import evaluation_file, history
from trainer.runs.config_file import RunConfig
from trainer.runs.evaluation_file import StoredEvaluation
from trainer.runs.history import METRICS, History

CARD = "MODEL_CARD.md"

# The results of a class with fewer pictures say little: one more mistake moves its recall by
# ten points.
_FEW = 10

# Classes named in the list of the weakest.
_WEAKEST = 5

_HOW_TRAINED = (
    "model weights epochs batch_size grad_accum optimizer learning_rate schedule warmup_epochs "
    "weight_decay label_smoothing ema loss class_weights augment "
    "freeze head_features feature_views freeze_epochs unfreeze_epochs backbone_rate layer_decay "
    "seed"
).split()


@dataclass(frozen=True, eq=False)
class Card:
    """The contents of a card.

    Attributes:
      name: of the run.
      config: its config.json.
      classes: names in label order.
      split: of `predictions`.
      predictions: of the best weights on the validation split.
      history: the epochs.
      tests: directory name → evaluation of the run.
      temperature: of the stored probabilities; None in a run of an earlier version.
      weights: that gave the predictions: "best", or "last" where the best are gone.
      best_epoch: 1 for the first; None before the first.
    """

    name: str
    config: RunConfig
    classes: tuple[str, ...]
    split: str
    predictions: Predictions
    history: History
    tests: Mapping[str, StoredEvaluation]
    temperature: Temperature | None = None
    weights: str = "best"
    best_epoch: int | None = None

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training pictures of each class, without copies."""
        return self.config.train_counts


def load(run_dir: str | Path) -> Card:
    """Returns the card's contents from a finished run.

    Raises:
      TrainerError: not a run, or not finished; names the file that is missing or damaged.
    """
    run = Path(run_dir)
    config = RunConfig.read(run)
    try:
        predicted, classes, about = predictions.read(run / predictions.FILENAME)
        epochs = history.load(run / METRICS)
    except FileNotFoundError as error:
        # pyarrow's error has no file name of its own.
        name = error.filename or run / predictions.FILENAME
        raise TrainerError(f"no {name}: the run has not finished") from error
    except (predictions.PredictionsError, history.HistoryError) as error:
        raise TrainerError(str(error)) from error
    temperature = predictions.stored_temperature(about)
    if temperature is not None:
        predicted = predicted.at(1 / temperature.value)
    evaluations = sorted(run.glob(f"{evaluation_file.DIRECTORY}/*/{evaluation_file.EVALUATION}"))
    return Card(
        name=run.resolve().name,
        config=config,
        classes=classes,
        split=str(about.get("split", "validation")),
        predictions=predicted,
        history=epochs,
        tests={path.parent.name: StoredEvaluation.read(path) for path in evaluations},
        temperature=temperature,
        weights=str(about.get("weights", "best")),
        best_epoch=_best_epoch(about.get("best_epoch"), epochs, config.flags.monitor),
    )


def _best_epoch(stored: object, epochs: History, monitor: str) -> int | None:
    """Returns the epoch whose weights were kept: earlier versions kept the first of equals."""
    if isinstance(stored, int) and 0 < stored <= len(epochs):
        return stored
    row = epochs.first_best(monitor)
    return None if row is None else row + 1


def write(run_dir: str | Path) -> Path:
    """Writes MODEL_CARD.md of a finished run and returns its path.

    Raises:
      TrainerError: as `load`.
      OSError: the file cannot be written.
    """
    path = Path(run_dir) / CARD
    atomic.write_text(path, render(load(run_dir)))
    return path


def render(card: Card) -> str:
    """Returns the card as Markdown."""
    evaluation = metrics.evaluate(card.predictions, card.train_counts, card.temperature)
    sections = [
        _head(card, evaluation),
        "## Use\n\n" + _use(card),
        "## Data\n\n" + _data(card),
        "## Training\n\n" + _training(card),
        "## Results\n\n" + _results(card, evaluation),
        "## Limits\n\n" + _limits(card, evaluation),
        "## Results by class\n\n" + _per_class(card, evaluation),
        "## Provenance\n\n" + _provenance(card),
    ]
    return "\n\n".join(sections) + "\n"


def _head(card: Card, evaluation: Evaluation) -> str:
    return (
        f"# {_cell(card.name)}\n\n"
        f"`{card.config.flags.model}`, trained to classify pictures into {len(card.classes)} "
        f"classes of the data set *{_cell(card.config.manifest.name)}*: macro-F1 "
        f"{percent(evaluation.macro_f1)}{evaluation.coverage}, top-1 {percent(evaluation.top1)} on "
        f"{count(len(card.predictions.ids))} pictures of its {card.split} split."
    )


def _use(card: Card) -> str:
    height, width = card.config.size
    image = card.config.manifest.image
    return (
        f"Input: pictures of {width}×{height} pixels, RGB, 0 to 255, resized as in the bake "
        f"(`{image.resize.value}`); `evenshard predict` and the exported models resize by "
        "themselves. Output: a probability for each of the classes below. The network knows no "
        "other class: a picture of anything else is still given one of them."
    )


def _data(card: Card) -> str:
    manifest, selection = card.config.manifest, card.config.selection
    records = selection.counts(manifest.split(card.config.flags.train_split))
    limit, fold = selection.max_rank, card.config.flags.fold
    held_out = [("Fold", f"{fold} is the validation split, the others are train")]
    rows = [
        *(held_out if fold is not None else []),
        ("Data set", f"{manifest.name}, schema version {manifest.schema_version}"),
        ("Digest of the shards", f"`{manifest.digest}`"),
        ("Digest of the sources", f"`{manifest.digests.get('sources', '–')}`"),
        ("Classes", f"{len(card.classes)} of {len(manifest.classes)}"),
        ("Training pictures", f"{count(sum(card.train_counts))}, {_spread(card.train_counts)}"),
        ("Augmented copies beside them", count(sum(records) - sum(card.train_counts))),
        ("Of each class", f"the records of rank below {limit}" if limit else "every record"),
        (
            "Evaluated on",
            f"{count(len(card.predictions.ids))} originals of the {card.split} split",
        ),
    ]
    return _table(("", ""), rows)


def _training(card: Card) -> str:
    flags, monitor = card.config.flags.to_dict(), card.config.flags.monitor
    rows = [
        (f"`--{name}`", "by default" if flags[name] is None else _value(flags[name]))
        for name in _HOW_TRAINED
    ]
    rows.append(("Weights", _cell(card.config.loaded) or "all new"))
    if card.config.fork:
        rows.append(("Began with", _cell(card.config.fork.describe())))
    if card.config.growth:
        rows.append(("More epochs", card.config.growth))
    if card.best_epoch is not None:
        epoch = f"{card.history.epochs[card.best_epoch - 1]:.0f} of {len(card.history)}"
        rows.append(("Best epoch", f"{epoch}, by `{monitor}`"))
    if card.weights == "last":
        rows.append(("Weights", "of the last epoch: the checkpoint of the best one is gone"))
    return _table(("", ""), rows)


def _results(card: Card, evaluation: Evaluation) -> str:
    names = ("macro_f1", "top1", "balanced_accuracy", *metrics.GROUPS, "ece", "ece_calibrated")
    titles = (
        "Macro-F1", "Top-1", "Balanced accuracy", "Head", "Medium", "Tail",
        "Calibration error", "with temperature",
    )  # fmt: skip
    results: dict[str, Mapping[str, float | None]] = {card.split: evaluation.summary()}
    results |= {name: test.metrics for name, test in card.tests.items()}
    rows = [
        (
            _cell(name),
            *(percent(values.get(key)) for key in names),
            decimal(values.get("temperature"), 2),
        )
        for name, values in results.items()
    ]
    text = _table(("Evaluated on", *titles, "Temperature"), rows)
    return f"{text}\n\n{' '.join(_remarks(card, evaluation))}"


def _remarks(card: Card, evaluation: Evaluation) -> Iterator[str]:
    """Yields the sentences below the table of results."""
    yield (
        f"Head, medium and tail are mean recalls of the classes with more than "
        f"{metrics.HEAD_ABOVE}, {metrics.TAIL_BELOW} to {metrics.HEAD_ABOVE} and fewer than "
        f"{metrics.TAIL_BELOW} training pictures."
    )
    judged = {card.split: evaluation.judged_classes}
    judged |= {name: test.judged_classes for name, test in card.tests.items()}
    partly = [
        f"{_cell(name)} {number:,}"
        for name, number in judged.items()
        if 0 < number < len(card.classes)
    ]
    if partly:
        yield (
            "Macro-F1 and balanced accuracy are means over the classes that have pictures, of "
            f"{len(card.classes):,}: {', '.join(partly)}."
        )
    own = card.config.dataset.digest
    elsewhere = [name for name, test in card.tests.items() if test.digest not in ("", own)]
    if elsewhere:
        yield f"On another data set than the run's: {', '.join(map(_cell, elsewhere))}."
    leaky = [name for name, test in card.tests.items() if test.leaks]
    if card.split == card.config.flags.train_split:
        leaky.insert(0, card.split)
    if leaky:
        yield f"**{', '.join(leaky)}: holds pictures that the run trained on.**"
    if not card.tests:
        yield (
            f"The best epoch was chosen on the {card.split} split, so its numbers are a little "
            "optimistic: `evenshard evaluate --split=test` adds those of an unused split."
        )


def _limits(card: Card, evaluation: Evaluation) -> str:
    results = list(zip(card.classes, evaluation.per_class, strict=True))
    unseen = [name for name, result in results if not result.support]
    few = [name for name, result in results if 0 < result.support < _FEW]
    never = [name for name, result in results if result.support and not result.recall]
    weak = weakest(evaluation)
    tail = sum(metrics.class_group(n) == "tail" for n in card.train_counts)
    points = [
        (unseen, f"{_have(len(unseen))} no {card.split} picture, so the results are unknown"),
        (few, f"{_have(len(few))} fewer than {_FEW} {card.split} pictures, too few to judge"),
        (never, f"{_have(len(never))} zero recall"),
        (
            [f"{card.classes[i]} ({percent(evaluation.per_class[i].f1)})" for i in weak],
            "The weakest classes by F1",
        ),
    ]
    lines = [f"- {text}: {_names(names)}." for names, text in points if names]
    if tail:
        lines.append(
            f"- {_have(tail)} fewer than {metrics.TAIL_BELOW} training pictures: expect more "
            "mistakes there, most of all with another camera, place or season."
        )
    lines.append(f"- {_calibration(evaluation)}")
    lines.append("- No number here covers pictures from another source than the data set's.")
    return "\n".join(lines)


def weakest(evaluation: Evaluation, number: int = _WEAKEST) -> list[int]:
    """Returns the classes of least F1 that have a picture, the weakest first.

    A class that a table shows with 100.0% is not weak, whatever the others have. Of equal ones,
    those with more pictures come first, of which more is known, and then those that come first in
    the table.
    """
    seen = [
        label
        for label, result in enumerate(evaluation.per_class)
        if result.support and percent(result.f1) != percent(1.0)
    ]
    return sorted(
        seen,
        key=lambda label: (
            evaluation.per_class[label].f1 or 0.0,
            -evaluation.per_class[label].support,
        ),
    )[:number]


def _calibration(evaluation: Evaluation) -> str:
    text = f"Probabilities are off by {percent(evaluation.ece)} on average"
    if evaluation.temperature_note:
        return f"{text}; no temperature calibrates them: {evaluation.temperature_note}."
    return (
        f"{text}, and by {percent(evaluation.ece_calibrated)} after dividing the logits by "
        f"{decimal(evaluation.temperature, 2)}, as `evenshard predict` and the exported models do."
    )


def _per_class(card: Card, evaluation: Evaluation) -> str:
    rows = [
        (
            _cell(name),
            count(trained),
            count(result.support),
            percent(result.precision),
            percent(result.recall),
            percent(result.f1),
        )
        for name, trained, result in zip(
            card.classes, card.train_counts, evaluation.per_class, strict=True
        )
    ]
    return _table(("Class", "Train", card.split.capitalize(), "Precision", "Recall", "F1"), rows)


def _provenance(card: Card) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in card.config.versions.items())
    device = card.config.device
    rows = [
        ("Versions", versions or "–"),
        ("Device", f"{_value(list(device.names))}, {device.precision or '–'}"),
        ("Every flag", "`config.json`"),
        (
            "Every prediction",
            f"`{predictions.FILENAME}`; `evenshard lineage` leads back to the source files",
        ),
        ("Pictures of mistakes", "`report/index.html`"),
    ]
    return _table(("", ""), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, [":--", *("--:" if len(header) > 2 else ":--" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Returns a name escaped so that it breaks neither a table nor the page."""
    line = "".join(c if c.isprintable() else "�" for c in text)
    # Underscores inside a word mean no emphasis in Markdown, and most class names have some.
    return re.sub(r"[\\`*\[\]<>|]|\b_|_\b", r"\\\g<0>", line)


def _value(value: object) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _cell(f"{value:g}" if isinstance(value, float) else str(value))


def _have(number: int) -> str:
    return "1 class has" if number == 1 else f"{number} classes have"


def _names(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(map(_cell, names[:limit]))
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _spread(counts: Sequence[int]) -> str:
    return f"{count(min(counts))} to {count(max(counts))} a class"


@dataclass(frozen=True)
class CardConfig:
    """The flags of `python -m trainer.report.model_card`."""

    run_dir: str = flag(MISSING, "Run", "Directory of a training run.", metavar="DIR")

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def main(config: CardConfig) -> int:
    """Writes the card and says where."""
    print(write(config.run_dir))
    return DONE


COMMAND = Command(
    module="trainer.report.model_card",
    summary="Writes MODEL_CARD.md of a run again.",
    arguments="--run_dir=R",
    config=CardConfig,
    main=main,
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
