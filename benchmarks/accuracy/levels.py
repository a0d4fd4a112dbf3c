"""What a head on frozen features gains from earlier blocks of EfficientNet-Lite0.

    python -m benchmarks.accuracy.levels BAKE [BAKE …]
    python -m benchmarks.accuracy.levels BAKE --blocks="" "9 11 13" "10 11 12 13 14 15"

Each bake has a train, a validation and a test split. The expanded maps of every block are averaged
over each picture, once; each choice of blocks, and the last maps with it, then gives a linear head
as `evenshard train --recipe=head` fits it, its regularisation chosen on validation. CPU seconds
are those of fitting alone. Numbers of docs/learning.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrecords import manifest as manifests
from trainer.config import TrainConfig
from trainer.data import selection as selections
from trainer.features import head as heads
from trainer.features.extract import Features, index_of, pictures
from trainer.metrics import metrics
from trainer.metrics.metrics import Predictions
from trainer.models import efficientnet_lite
from trainer.train import losses

MODEL = "efficientnetlite0"
SPLITS = ("train", "validation", "test")

# No block, those of `efficientnet_lite.LEVELS`, all from the first of these on, and others between.
BLOCKS = ("", "11 15", "8 11", "3 5 8 11", "9 11 13", "10 11 12 13 14 15")

# Block, or "top" → float16[n, channels].
Levels = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures of one split, as features of every level.

    Attributes:
      levels: of each block, and of the last maps.
      labels: int32[n].
      ids: of the records.
    """

    levels: Levels
    labels: np.ndarray
    ids: tuple[str, ...]

    def of(self, blocks: Sequence[str]) -> Features:
        """Returns the features of some blocks and of the last maps."""
        chosen = [self.levels[block] for block in (*blocks, "top")]
        return Features(np.concatenate(chosen, axis=1), self.labels, self.ids)


@dataclass(frozen=True)
class Row:
    """A head, judged.

    Attributes:
      blocks: that it sees beside the last maps.
      channels: numbers that it sees of a picture.
      cpu_seconds: of fitting.
      claimed: top-1 on validation.
      top1, macro_f1: on test.
    """

    blocks: str
    channels: int
    cpu_seconds: float
    claimed: float
    top1: float
    macro_f1: float


def network(size: tuple[int, int]) -> keras.Model:
    """Returns a model from pixels to the mean of every block's expanded maps, by name."""
    model = efficientnet_lite.build(MODEL, size, 2, 0.0)
    efficientnet_lite.load_imagenet(model, MODEL)
    mean = keras.layers.GlobalAveragePooling2D()
    blocks = {
        str(int(layer.name[len("block") : len("block00")])): mean(layer.output)
        for layer in model.layers
        if layer.name.endswith("_expand_bn_relu")
    }
    return keras.Model(model.input, blocks | {"top": model.get_layer("pool").output})


def read(data_dir: Path) -> tuple[dict[str, Split], TrainConfig]:
    """Returns the splits of a bake, and the flags of a head on it."""
    manifest = manifests.load(data_dir)
    found: dict[str, Split] = {}
    function = None
    for name in SPLITS:
        chosen = selections.select(manifest, name)
        source = selections.open_split(manifest, data_dir, name, chosen)
        if function is None:
            function = tf.function(network(source.size), reduce_retracing=True)
        index = index_of(source)
        parts = [function(images) for _, images in pictures(source, index.positions, None, ())]
        levels = {
            level: np.concatenate([part[level].numpy().astype(np.float16) for part in parts])
            for level in parts[0]
        }
        found[name] = Split(levels, index.labels, index.ids)
    return found, TrainConfig(data_dir=str(data_dir), run_dir="-", recipe="head")


def judge(splits: dict[str, Split], blocks: str, config: TrainConfig) -> Row:
    """Fits heads on some blocks, and judges the one that is best on validation."""
    train, validation, test = (splits[name].of(blocks.split()) for name in SPLITS)
    classes = int(max(split.labels.max() for split in splits.values())) + 1
    counts = np.bincount(train.labels, minlength=classes).tolist()
    loss = losses.build(config, counts, total_steps=1)
    started = time.process_time()
    objective = heads.Objective(
        train, classes, lambda logits, targets: loss(logits, targets, tf.constant(0, tf.int64))
    )
    fitted = list(heads.fits(objective))
    seconds = time.process_time() - started

    def score(head: heads.Head, features: Features) -> metrics.Evaluation:
        logits = head.logits(features.values)
        predictions = Predictions(features.ids, features.labels.astype(np.int64), logits)
        return metrics.evaluate(predictions, counts)

    judged = [score(head, validation) for head in fitted]
    best = max(range(len(fitted)), key=lambda i: (judged[i].macro_f1, -judged[i].loss_uncalibrated))
    result = score(fitted[best], test)
    return Row(
        blocks, train.values.shape[1], seconds, judged[best].top1, result.top1,
        result.macro_f1,
    )  # fmt: skip


def markdown(name: str, rows: Sequence[Row]) -> str:
    """Returns the table of a bake."""
    lines = [
        f"| {name}: blocks | channels | CPU seconds | claimed top-1 | top-1 | macro-F1 |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.blocks or 'none'} | {row.channels:,} | {row.cpu_seconds:.0f} | "
        f"{row.claimed:.3f} | {row.top1:.3f} | {row.macro_f1:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bakes", type=Path, nargs="+", help="directories that a bake wrote")
    parser.add_argument(
        "--blocks", nargs="+", default=BLOCKS, help="choices of blocks, numbers from 1 to 15"
    )
    flags = parser.parse_args()
    for data_dir in flags.bakes:
        splits, config = read(data_dir)
        rows = [judge(splits, blocks, config) for blocks in flags.blocks]
        print(markdown(data_dir.name, rows), flush=True)


if __name__ == "__main__":
    main()
