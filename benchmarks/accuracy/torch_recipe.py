"""A from-scratch recipe in torch with timm's habits, as a peer for `benchmarks.accuracy`.

timm's own transforms, optimizer grouping, schedule, label smoothing and weight average around
the network of `trainer.models.build.springfield_cnn`, for a given number of pictures. It runs in an
environment of its own (torch, timm) and imports nothing of this project.

    python -m benchmarks.accuracy.torch_recipe ARRAYS.npz OUTPUT_DIR --epochs=20 --seed=0
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
from PIL import Image
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch import nn

BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARMUP_SHARE = 0.1
# timm's train.py draws crops from 8% of the picture on; at budgets of minutes milder ones do
# better for every recipe here, so this peer has them too.
CROP_SCALE = (0.35, 1.0)
EMA_DECAY = 0.998


class Conv(nn.Sequential):
    """Convolution, normalisation, ReLU; `stride` divides the size."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1) -> None:
        padding = (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(inside, outside, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )


class Stage(nn.Module):
    """Convolution and pooling, then perhaps two convolutions around a shortcut."""

    def __init__(self, inside: int, outside: int, *, residual: bool) -> None:
        super().__init__()
        self.down = nn.Sequential(Conv(inside, outside), nn.MaxPool2d(2, ceil_mode=True))
        inner = [Conv(outside, outside), Conv(outside, outside)] if residual else []
        self.inner = nn.Sequential(*inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(x)
        return x + self.inner(x) if len(self.inner) else x


def network(side: int, classes: int) -> nn.Module:
    """Returns `springfield_cnn` as torch modules."""
    if side > 48:
        filters = 192
        body = [
            Conv(3, 16, 3, 2),
            Conv(16, 32, 4, 2),
            Stage(32, 48, residual=True),
            Stage(48, 96, residual=False),
            Stage(96, 192, residual=True),
        ]
    else:
        filters = 256
        body = [
            Conv(3, 32),
            Stage(32, 32, residual=True),
            Stage(32, 64, residual=True),
            Stage(64, 128, residual=True),
            Conv(128, 256),
        ]
    return nn.Sequential(
        *body,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(filters, classes),
    )


class Pictures(torch.utils.data.Dataset):
    """uint8 pictures behind a transform."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def train(data: Any, output: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Trains, writes logits.npy of the test split; returns what it took."""
    torch.manual_seed(seed)
    images, labels = data["train_images"], data["train_labels"]
    side = images.shape[1]
    model = network(side, int(data["classes"])).to(memory_format=torch.channels_last)
    average = ModelEmaV3(model, decay=EMA_DECAY, use_warmup=True)
    optimizer = create_optimizer_v2(model, "adamw", LEARNING_RATE, WEIGHT_DECAY)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    transform = create_transform(
        side, is_training=True, scale=CROP_SCALE, color_jitter=0.4, interpolation="bilinear"
    )
    loader = torch.utils.data.DataLoader(
        Pictures(images, labels, transform),
        BATCH,
        shuffle=True,
        num_workers=1,
        drop_last=True,
        persistent_workers=True,
    )
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
        score = macro_f1(data["validation_labels"], logits.argmax(1))
        if score > best:
            best, kept = score, copy.deepcopy(average.module)
    np.save(output / "logits.npy", predict(kept, data["test_images"]))
    return {
        "seconds": round(seconds, 1),
        "pictures": step * BATCH,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


@torch.no_grad()
def predict(model: Any, images: np.ndarray) -> np.ndarray:
    """Returns float32[n, classes] logits; pixels are normalised as timm's transforms do."""
    model.eval()
    transform = create_transform(images.shape[1], is_training=False, crop_pct=1.0)
    parts = []
    for start in range(0, len(images), 256):
        chunk = [transform(Image.fromarray(image)) for image in images[start : start + 256]]
        parts.append(model(torch.stack(chunk).to(memory_format=torch.channels_last)).numpy())
    return np.concatenate(parts)


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the mean F1 of the classes that have pictures."""
    scores = []
    for label in np.unique(labels):
        said, there = predicted == label, labels == label
        scores.append(2 * (said & there).sum() / (said.sum() + there.sum()))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(options.arrays) as arrays:
        data = dict(arrays)
    result = train(data, options.output, options.epochs, options.seed)
    (options.output / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
