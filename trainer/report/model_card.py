"""`MODEL_CARD.md` of a run: what it learnt from, how, how well, and where not to trust it.

Structure after Mitchell et al. 2019, "Model cards for model reporting". Written with the
report of every run, again after each evaluation, and by `python -m trainer.report.model_card`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import TrainerError
from tfrecords.manifest import Manifest, ManifestError
from tfrecords.reporting.html import count, decimal, percent
from tfrecords.system import atomic
from trainer.metrics import metrics, predictions
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.runs import history
from trainer.runs.history import History

CARD = "MODEL_CARD.md"
CONFIG = "config.json"

# Fewer pictures than this of a class say little of it: one more mistake moves its recall by
# ten points.
_FEW = 10

_HOW_TRAINED = (
    "model weights epochs batch_size grad_accum optimizer learning_rate schedule warmup_epochs "
    "weight_decay label_smoothing ema loss class_weights augment freeze_epochs seed"
).split()


@dataclass(frozen=True, eq=False)
class Card:
    """What a card is written from.

    Attributes:
      name: of the run.
      config: what config.json holds.
      manifest: of the data set that the run was trained on.
      classes: names in label order.
      train_counts: training pictures of each class, without copies.
      split: that `predictions` are of.
      predictions: of the best weights on the validation split.
      history: the epochs.
      tests: what each evaluation.json holds, by the name of its directory.
    """

    name: str
    config: Mapping[str, Any]
    manifest: Manifest
    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    split: str
    predictions: Predictions
    history: History
    tests: Mapping[str, Mapping[str, Any]]


def load(run_dir: str | Path) -> Card:
    """Returns the card's contents from a finished run.

    Raises:
      TrainerError: not a run, or not finished; names the file that is missing or damaged.
    """
    run = Path(run_dir)
    config = _read_json(run / CONFIG)
    try:
        manifest = Manifest.from_json(json.dumps(config["manifest"]))
        chosen, flags = config["selection"], config["flags"]
        originals = manifest.split(flags["train_split"]).originals
        found, classes, about = predictions.read(run / predictions.FILENAME)
        epochs = history.load(run / "metrics.csv")
    except FileNotFoundError as error:
        # pyarrow's error has no file name of its own.
        name = error.filename or run / predictions.FILENAME
        raise TrainerError(f"no {name}: the run has not finished") from error
    except (KeyError, TypeError, ManifestError) as error:
        raise TrainerError(f"{run / 'config.json'} is damaged: {error!r}") from error
    except (predictions.PredictionsError, history.HistoryError) as error:
        raise TrainerError(str(error)) from error
    limit = chosen["max_rank"] or max(originals, default=0)
    return Card(
        name=run.resolve().name,
        config=config,
        manifest=manifest,
        classes=classes,
        train_counts=tuple(min(originals[label], limit) for label in chosen["labels"]),
        split=str(about.get("split", "validation")),
        predictions=found,
        history=epochs,
        tests={
            path.parent.name: _read_json(path)
            for path in sorted(run.glob("evaluation/*/evaluation.json"))
        },
    )


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
    evaluation = metrics.evaluate(card.predictions, card.train_counts)
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
        f"`{card.config['flags']['model']}` that tells {len(card.classes)} classes of the data "
        f"set *{_cell(card.manifest.name)}* apart: macro-F1 {percent(evaluation.macro_f1)}, top-1 "
        f"{percent(evaluation.top1)} on {count(len(card.predictions.ids))} pictures of its "
        f"{card.split} split."
    )


def _use(card: Card) -> str:
    height, width = card.config["size"]
    image = card.manifest.image
    return (
        f"Input: pictures at {width}×{height} pixels, RGB, 0 to 255, brought there as in the "
        f"bake (`{image.resize.value}`); `trainer.predict` and the exported models do that "
        "themselves. Output: a probability for each of the classes below, and no other: a "
        "picture of anything else is still given one of them."
    )


def _data(card: Card) -> str:
    split = card.manifest.split(card.config["flags"]["train_split"])
    labels = card.config["selection"]["labels"]
    limit = card.config["selection"]["max_rank"]
    copies = 0
    if not card.config["selection"]["originals_only"]:
        records = (split.originals[label] + split.copies[label] for label in labels)
        copies = sum(min(n, limit or n) for n in records) - sum(card.train_counts)
    rows = [
        ("Data set", f"{card.manifest.name}, schema version {card.manifest.schema_version}"),
        ("Digest of the shards", f"`{card.manifest.digest}`"),
        ("Digest of the sources", f"`{card.manifest.digests.get('sources', '–')}`"),
        ("Classes", f"{len(card.classes)} of {len(card.manifest.classes)}"),
        ("Training pictures", f"{count(sum(card.train_counts))}, {_spread(card.train_counts)}"),
        ("Augmented copies beside them", count(copies)),
        ("Of each class", f"the records of rank below {limit}" if limit else "every record"),
        ("Judged on", f"{count(len(card.predictions.ids))} originals of the {card.split} split"),
    ]
    return _table(("", ""), rows)


def _training(card: Card) -> str:
    flags = card.config["flags"]
    rows = [
        (f"`--{name}`", "by default" if flags[name] is None else _value(flags[name]))
        for name in _HOW_TRAINED
        if name in flags
    ]
    best = card.history.best(flags.get("monitor", ""))
    if best is not None:
        epoch = f"{card.history.epochs[best]:.0f} of {len(card.history)}"
        rows.append(("Best epoch", f"{epoch}, by `{flags['monitor']}`"))
    return _table(("", ""), rows)


def _results(card: Card, evaluation: Evaluation) -> str:
    names = ("macro_f1", "top1", "balanced_accuracy", *metrics.GROUPS, "ece", "ece_calibrated")
    titles = (
        "Macro-F1", "Top-1", "Balanced accuracy", "Head", "Medium", "Tail",
        "Calibration error", "with temperature",
    )  # fmt: skip
    judged = {card.split: evaluation.summary()}
    judged |= {name: test["metrics"] for name, test in card.tests.items()}
    rows = [
        (_cell(name), *(percent(values[key]) for key in names), decimal(values["temperature"], 2))
        for name, values in judged.items()
    ]
    text = _table(("Judged on", *titles, "Temperature"), rows)
    note = (
        f"Head, medium and tail are mean recalls of the classes with more than "
        f"{metrics.HEAD_ABOVE}, {metrics.TAIL_BELOW} to {metrics.HEAD_ABOVE} and fewer than "
        f"{metrics.TAIL_BELOW} training pictures."
    )
    leaky = [name for name, test in card.tests.items() if test.get("leaks")]
    if leaky:
        note += f" **{', '.join(leaky)}: holds pictures that the run trained on.**"
    if not card.tests:
        note += (
            f" The {card.split} split chose the best epoch, so its numbers flatter a little: "
            "`python -m trainer.evaluate --split=test` adds an untouched one."
        )
    return f"{text}\n\n{note}"


def _limits(card: Card, evaluation: Evaluation) -> str:
    results = list(zip(card.classes, evaluation.per_class, strict=True))
    unseen = [name for name, result in results if not result.support]
    few = [name for name, result in results if 0 < result.support < _FEW]
    never = [name for name, result in results if result.support and not result.recall]
    weak = sorted(((result.f1 or 0.0, name) for name, result in results if result.support >= _FEW))[
        :5
    ]
    tail = sum(metrics.class_group(n) == "tail" for n in card.train_counts)
    points = [
        (unseen, f"Nothing is known of {_classes(len(unseen))} without a {card.split} picture"),
        (few, f"Little is known of {_classes(len(few))} with fewer than {_FEW} of them"),
        (never, f"No picture is recognised of {_classes(len(never))}"),
        ([f"{name} ({percent(f1, 0)})" for f1, name in weak], "The weakest classes by F1"),
    ]
    lines = [f"- {text}: {_names(names)}." for names, text in points if names]
    if tail:
        lines.append(
            f"- {_classes(tail)} learnt from fewer than {metrics.TAIL_BELOW} pictures: expect more "
            "misses, and most under another camera, place or season."
        )
    lines.append(
        f"- A probability is off by {percent(evaluation.ece)} on average, by "
        f"{percent(evaluation.ece_calibrated)} after dividing logits by "
        f"{decimal(evaluation.temperature, 2)}."
    )
    lines.append(
        "- Pictures from another source than the data set's are not covered by any number here."
    )
    return "\n".join(lines)


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
    versions = ", ".join(f"{k} {v}" for k, v in card.config.get("versions", {}).items())
    device = card.config.get("device", {})
    rows = [
        ("Versions", versions or "–"),
        ("Device", f"{_value(device.get('names', []))}, {device.get('precision', '–')}"),
        ("Every flag", "`config.json`"),
        ("Every prediction", f"`{predictions.FILENAME}`, traced by `python -m trainer.lineage`"),
        ("Pictures of mistakes", "`report/index.html`"),
    ]
    return _table(("", ""), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, [":--", *("--:" if len(header) > 2 else ":--" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Returns a name that can break neither a table nor the page."""
    line = "".join(c if c.isprintable() else "�" for c in text)
    # An underscore inside a word is no emphasis, and most class names have some.
    return re.sub(r"[\\`*\[\]<>|]|\b_|_\b", r"\\\g<0>", line)


def _value(value: object) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _cell(f"{value:g}" if isinstance(value, float) else str(value))


def _classes(number: int) -> str:
    return f"{number} class{'' if number == 1 else 'es'}"


def _names(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(map(_cell, names[:limit]))
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _spread(counts: Sequence[int]) -> str:
    return f"{count(min(counts))} to {count(max(counts))} a class"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainerError(f"no {path}: not a run of trainer.train") from error
    except (OSError, ValueError) as error:
        raise TrainerError(f"cannot read {path}: {error}") from error


@dataclass(frozen=True)
class CardConfig:
    """The flags of `python -m trainer.report.model_card`."""

    run_dir: str = flag(MISSING, "Run", "Directory of a trainer.train run.", metavar="DIR")

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
