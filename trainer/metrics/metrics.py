"""Metrics of a set of predictions: accuracy, by class and by class size, and calibration.

They need numpy only, so that reports and tools work without TensorFlow. An evaluation of
10,000 × 121 logits takes about 0.05 s, so it runs after every epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfrecords.errors import EvenshardError
from trainer.metrics import probabilities
from trainer.metrics.probabilities import Temperature

# Many-, medium- and few-shot classes as in Liu et al. 2019, "Large-scale long-tailed
# recognition in an open world", section 5: more than 100, 20 to 100, fewer than 20.
HEAD_ABOVE = 100
TAIL_BELOW = 20
GROUPS = ("head", "medium", "tail")

# Guo et al. 2017, "On calibration of modern neural networks", section 5.
ECE_BINS = 15

# Differences of logits, divided by a temperature, stay within float32 up to here. Beyond, losses
# are infinite and probabilities NaN.
LARGEST_LOGIT = float(np.finfo(np.float32).max) * probabilities.MIN_TEMPERATURE / 2


class DivergedError(EvenshardError, ValueError):
    """Logits are not finite, or nearly so: the network that gave them has diverged."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A network's predictions on a split.

    Attributes:
      ids: of the records.
      labels: int64[n], index of the true class.
      logits: float32[n, classes]; logarithms of probabilities serve as well.

    Raises:
      ValueError: lengths that differ, or a label outside the classes.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        object.__setattr__(self, "logits", np.asarray(self.logits, np.float32))
        if self.logits.ndim != 2:
            raise ValueError(f"logits must be [n, classes], not {list(self.logits.shape)}")
        sizes = (len(self.ids), len(self.labels), len(self.logits))
        if len(set(sizes)) != 1:
            raise ValueError("there are {} ids, {} labels and {} rows of logits".format(*sizes))
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < self.classes:
            raise ValueError(
                f"labels must be 0 to {self.classes - 1}, "
                f"they are {self.labels.min()} to {self.labels.max()}"
            )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.logits.shape[1])

    @property
    def predicted(self) -> np.ndarray:
        """int64[n], the class of the largest logit."""
        return self.logits.argmax(axis=1)

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Returns float32[n, classes], the softmax of logits / temperature."""
        return probabilities.softmax(self.logits / np.float32(temperature))

    def at(self, temperature: float) -> Predictions:
        """Returns the same with logits / temperature, whose softmax is calibrated."""
        return dataclasses.replace(self, logits=self.logits / np.float32(temperature))


@dataclass(frozen=True)
class ClassResult:
    """The results of one class.

    Attributes:
      precision: fraction right of the pictures predicted as this class; None without any.
      recall: fraction right of the pictures of this class; None without any.
      f1: 2·right / (predicted + support); None where both are 0.
      support: number of pictures of this class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions whose confidence lies in one of the equal-width bins.

    Attributes:
      count: number of predictions.
      confidence: their mean probability of the predicted class; None without predictions.
      accuracy: the fraction of them that is right; None without predictions.
    """

    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of a set of predictions. Fractions are 0 to 1.

    Attributes:
      loss: mean cross-entropy of the probabilities, those at `temperature`, in nats, without label
        smoothing or weights.
      loss_uncalibrated: that of the logits as they are, without the temperature; `val_loss` of a
        training is this one.
      top1: fraction of pictures whose likeliest class is the true one.
      top5: fraction whose true class is among the five likeliest.
      macro_f1: mean F1 of the classes that have a picture, as in
        `sklearn.metrics.f1_score(average="macro", labels=np.unique(labels))`. So all networks that
        are judged on the same pictures are compared by a mean over the same classes.
      balanced_accuracy: mean recall of the same classes.
      head: mean recall of the classes with more than 100 training pictures, each with the same
        weight; None where the split has no picture of such a class.
      medium: likewise of the classes with 20 to 100.
      tail: likewise of the classes with fewer than 20.
      ece: expected calibration error of 15 equal-width bins.
      temperature: the one that minimises the loss of logits / temperature, or the one given; 1
        where none could be fitted.
      ece_calibrated: `ece` at that temperature.
      per_class: in label order.
      confusion: int64[true, predicted].
      temperature_note: why no temperature was fitted; empty where one was.
    """

    loss: float
    loss_uncalibrated: float
    top1: float
    top5: float
    macro_f1: float
    balanced_accuracy: float
    head: float | None
    medium: float | None
    tail: float | None
    ece: float
    temperature: float
    ece_calibrated: float
    per_class: tuple[ClassResult, ...]
    confusion: np.ndarray
    temperature_note: str = ""

    @property
    def judged_classes(self) -> int:
        """Number of classes that have a picture: those that `macro_f1` is the mean over."""
        return sum(result.support > 0 for result in self.per_class)

    @property
    def coverage(self) -> str:
        """What follows a mean, " over 31 of 42 classes"; empty where every class has a picture."""
        judged, every = self.judged_classes, len(self.per_class)
        return f" over {judged:,} of {every:,} classes" if judged < every else ""

    def summary(self) -> dict[str, float | None]:
        """Returns the scalar metrics by name, for a table, a log or a JSON file."""
        names = (
            "loss loss_uncalibrated top1 top5 macro_f1 balanced_accuracy head medium tail "
            "ece temperature ece_calibrated"
        )
        return {name: getattr(self, name) for name in names.split()}


def evaluate(
    predictions: Predictions, train_counts: Sequence[int], temperature: Temperature | None = None
) -> Evaluation:
    """Returns the metrics of `predictions`.

    Args:
      predictions: of at least one picture.
      train_counts: training pictures of each class, without copies; decides its group.
      temperature: fitted elsewhere, e.g. on validation for a report on test. If None it is
        fitted on the predictions themselves, which makes `loss` and `ece_calibrated` a little too
        good.

    Raises:
      DivergedError: a logit is NaN, infinite, or beyond `LARGEST_LOGIT`.
      ValueError: no predictions, or `train_counts` for another number of classes.
    """
    _check(predictions, train_counts)
    labels, classes = predictions.labels, predictions.classes
    confusion = confusion_matrix(labels, predictions.predicted, classes)
    per_class = class_results(confusion)
    recalls = [result.recall for result in per_class]
    groups = [class_group(count) for count in train_counts]
    if temperature is None:
        temperature = probabilities.fit(predictions.logits, predictions.labels)
    return Evaluation(
        loss=cross_entropy(predictions, temperature.value),
        loss_uncalibrated=cross_entropy(predictions),
        top1=float(np.trace(confusion) / confusion.sum()),
        top5=_top_k(predictions, 5),
        macro_f1=_mean([result.f1 for result in per_class if result.support]) or 0.0,
        balanced_accuracy=_mean(recalls) or 0.0,
        head=_mean([r for r, group in zip(recalls, groups, strict=True) if group == "head"]),
        medium=_mean([r for r, group in zip(recalls, groups, strict=True) if group == "medium"]),
        tail=_mean([r for r, group in zip(recalls, groups, strict=True) if group == "tail"]),
        ece=calibration_error(calibration_bins(predictions)),
        temperature=temperature.value,
        ece_calibrated=calibration_error(calibration_bins(predictions, temperature.value)),
        per_class=per_class,
        confusion=confusion,
        temperature_note=temperature.note,
    )


def class_group(train_count: int) -> str:
    """Returns "head", "medium" or "tail" for a number of training pictures."""
    if train_count > HEAD_ABOVE:
        return "head"
    return "tail" if train_count < TAIL_BELOW else "medium"


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Returns int64[true, predicted], the number of pictures of each pair."""
    pairs = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def class_results(confusion: np.ndarray) -> tuple[ClassResult, ...]:
    """Returns precision, recall and F1 of each class, in label order.

    Args:
      confusion: int64[classes, classes], pictures by true and by predicted class.
    """
    right = np.diagonal(confusion)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassResult(
            precision=_ratio(right[i], predicted[i]),
            recall=_ratio(right[i], support[i]),
            f1=_ratio(2 * right[i], predicted[i] + support[i]),
            support=int(support[i]),
        )
        for i in range(len(confusion))
    )


def cross_entropy(predictions: Predictions, temperature: float = 1.0) -> float:
    """Returns the mean negative log-likelihood of the true classes, in nats."""
    return float(picture_losses(predictions, temperature).mean())


def picture_losses(predictions: Predictions, temperature: float = 1.0) -> np.ndarray:
    """Returns float64[n], the negative log-likelihood of each picture's true class."""
    scaled = probabilities.shifted(predictions.logits) / np.float32(temperature)
    true = scaled[np.arange(len(scaled)), predictions.labels]
    return np.log(np.exp(scaled).sum(axis=1, dtype=np.float64)) - true


def calibration_bins(
    predictions: Predictions, temperature: float = 1.0, bins: int = ECE_BINS
) -> tuple[CalibrationBin, ...]:
    """Returns confidence against accuracy in equal-width bins of confidence, (low, high]."""
    confidence = predictions.probabilities(temperature).max(axis=1).astype(np.float64)
    right = predictions.predicted == predictions.labels
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    confidences = np.bincount(index, confidence, minlength=bins)
    rights = np.bincount(index, right, minlength=bins)
    return tuple(
        CalibrationBin(int(n), _ratio(sum_of, n), _ratio(hits, n))
        for n, sum_of, hits in zip(counts, confidences, rights, strict=True)
    )


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Returns the expected calibration error: |accuracy - confidence|, weighted by count."""
    total = sum(bin_.count for bin_ in bins)
    gaps = (
        bin_.count * abs(bin_.accuracy - bin_.confidence)
        for bin_ in bins
        if bin_.accuracy is not None and bin_.confidence is not None
    )
    return sum(gaps) / total if total else 0.0


def _check(predictions: Predictions, train_counts: Sequence[int]) -> None:
    if not len(predictions.ids):
        raise ValueError("nothing to evaluate: there are no predictions (an empty split?)")
    if len(train_counts) != predictions.classes:
        raise ValueError(
            f"the predictions have {predictions.classes} classes, "
            f"train_counts has {len(train_counts)}"
        )
    good = (np.abs(predictions.logits) <= LARGEST_LOGIT).all(axis=1)  # NaN is not.
    bad = len(good) - int(good.sum())
    if bad:
        raise DivergedError(
            f"{bad} of {len(good)} pictures have logits that are not finite, or beyond "
            f"{LARGEST_LOGIT:.0e}: the network has diverged; resume from the last good checkpoint "
            "with a lower learning rate"
        )


def _top_k(predictions: Predictions, k: int) -> float:
    """Returns the fraction whose true logit is among the k largest; ties count for it."""
    true = predictions.logits[np.arange(len(predictions.labels)), predictions.labels]
    larger = (predictions.logits > true[:, None]).sum(axis=1)
    return float((larger < k).mean())


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
