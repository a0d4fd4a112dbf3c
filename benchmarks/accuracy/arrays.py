"""A bake as plain numpy arrays, for recipes that know nothing of TFRecords.

python -m benchmarks.accuracy.arrays DATA_DIR ARRAYS.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tfrecords import manifest as manifests
from tfrecords.manifest import Manifest
from trainer.data import selection as selections
from trainer.data import stream


def write(data_dir: Path, path: Path) -> None:
    """Writes train (copies too), validation and test as pixels, labels and ids into an .npz."""
    manifest = manifests.load(data_dir)
    arrays: dict[str, np.ndarray] = {"classes": np.array(len(manifest.classes))}
    train = manifest.split("train")
    arrays["train_originals"] = np.array(train.originals)
    arrays["train_images"], arrays["train_labels"] = _train(manifest, data_dir)
    for split in ("validation", "test"):
        parts = list(
            stream.evaluation_stream(
                manifest, data_dir, split, selections.select(manifest, split), None, 256
            ).as_numpy_iterator()
        )
        for name, column in zip(("images", "labels", "ids"), zip(*parts, strict=True), strict=True):
            arrays[f"{split}_{name}"] = np.concatenate(column)
    arrays["test_ids"] = arrays["test_ids"].astype(str)
    arrays["validation_ids"] = arrays["validation_ids"].astype(str)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def _train(manifest: Manifest, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns every record of the train split once, in an order that means nothing."""
    source = selections.open_split(manifest, data_dir, "train", selections.select(manifest))
    images, labels = [], []
    for batch in stream.training_stream(source, 256, epochs=1, seed=0).as_numpy_iterator():
        once = batch.weight > 0
        images.append(batch.images[once])
        labels.append(batch.labels[once])
    return np.concatenate(images), np.concatenate(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path, help="a bake")
    parser.add_argument("arrays", type=Path, help="the .npz file to write")
    flags = parser.parse_args()
    write(flags.data_dir, flags.arrays)


if __name__ == "__main__":
    main()
