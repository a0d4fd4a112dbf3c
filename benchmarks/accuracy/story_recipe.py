"""The recipe the project's story began with, as a peer for `benchmarks.accuracy`.

Squashed pictures, small classes filled up with flips, a plain stack of convolutions without
normalisation, Adam at its default rate, no schedule, no augmentation while training, the
weights of the best validation accuracy. Plain Keras, nothing of `trainer`.

    python -m benchmarks.accuracy.story_recipe ARRAYS.npz OUTPUT_DIR --seconds=300 --seed=0
    python -m benchmarks.accuracy.story_recipe ARRAYS.npz OUTPUT_DIR --cpu_seconds=600

CPU seconds are those of all threads, so that a machine with other work gives the same budget.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

FILTERS = ((32, 32), (64, 64), (128, 128), (256,))
BATCH = 64


class Budget(keras.callbacks.Callback):
    """Stops after `seconds` of training steps, validation not counted, or after `steps`.

    Attributes:
      seconds: that steps took, by `clock`.
      steps: that were made.
    """

    def __init__(self, seconds: float, steps: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self.budget, self.limit, self.clock = seconds, steps, clock
        self.seconds = 0.0
        self.steps = 0
        self._since = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._since = self.clock()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = self.clock()
        self.seconds += now - self._since
        self._since = now
        self.steps += 1
        if self.steps == self.limit or (not self.limit and self.seconds > self.budget):
            self.model.stop_training = True


def network(size: tuple[int, int], classes: int) -> keras.Model:
    """Returns the plain stack: 32-32-64-64-128-128-256, pooled between."""
    pixels = layers.Input((*size, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    for number, stage in enumerate(FILTERS):
        for filters in stage:
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        if number < len(FILTERS) - 1:
            x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    return keras.Model(pixels, layers.Dense(classes)(x))


def train(data: Any, output: Path, budget: Budget, seed: int) -> dict[str, Any]:
    """Trains within the budget, writes logits.npy of the test split; returns what it took."""
    keras.utils.set_random_seed(seed + 1)
    images, labels = data["train_images"], data["train_labels"]
    model = network(images.shape[1:3], int(data["classes"]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    best = output / "best.weights.h5"
    keep = keras.callbacks.ModelCheckpoint(
        best, "val_accuracy", save_best_only=True, save_weights_only=True
    )
    model.fit(
        images,
        labels,
        BATCH,
        epochs=10**6,
        validation_data=(data["validation_images"], data["validation_labels"]),
        callbacks=[budget, keep],
        verbose=0,
    )
    model.load_weights(best)
    np.save(output / "logits.npy", model.predict(data["test_images"], 256, verbose=0))
    return {
        "seconds": round(budget.seconds, 1),
        "pictures": budget.steps * BATCH,
        "parameters": model.count_params(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--cpu_seconds", type=float, help="a budget in CPU seconds instead")
    parser.add_argument("--pictures", type=int, default=0, help="a budget in pictures instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(options.arrays) as arrays:
        data = dict(arrays)
    clock = time.monotonic if options.cpu_seconds is None else time.process_time
    budget = Budget(options.cpu_seconds or options.seconds, options.pictures // BATCH, clock)
    result = train(data, options.output, budget, options.seed)
    (options.output / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
