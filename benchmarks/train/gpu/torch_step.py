"""Steps of PyTorch: `python -m benchmarks.train.gpu.torch_step SECONDS CASE …`.

The same networks in channels last, AMP, fused AdamW, label smoothing, uint8 pixels in the GPU's
memory; "on" is torch.compile. TF32 is on, as TensorFlow has it.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.train.gpu.cases import CLASSES, Case, measure_each, result, timed

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
HALVES = {"mixed_float16": torch.float16, "mixed_bfloat16": torch.bfloat16}


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Returns convolution, normalisation and ReLU as in `trainer.models.springfield_cnn`."""
    padding = (kernel - 1) // 2 if kernel % 2 else 1
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.1),
        nn.ReLU(True),
    )


class Residual(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns x and what the convolutions make of it."""
        return x + self.body(x)


def springfield(side: int) -> nn.Module:
    """Returns our own network."""
    pool = nn.MaxPool2d(2, ceil_mode=True)
    if side > 48:
        body = [
            conv(3, 16, 3, 2), conv(16, 32, 4, 2), conv(32, 48), pool, Residual(48), conv(48, 96),
            pool, conv(96, 192), pool, Residual(192),
        ]  # fmt: skip
    else:
        body = [
            conv(3, 32), conv(32, 32), pool, Residual(32), conv(32, 64), pool, Residual(64),
            conv(64, 128), pool, Residual(128), conv(128, 256),
        ]  # fmt: skip
    features = 192 if side > 48 else 256
    return nn.Sequential(
        *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(features, CLASSES)
    )


def network(case: Case) -> nn.Module:
    """Returns the network of a case."""
    if case.model == "springfield_cnn":
        return springfield(case.side)
    import torchvision

    made: nn.Module = getattr(torchvision.models, case.model)(num_classes=CLASSES)
    return made


def measured(case: Case, seconds: float) -> dict[str, object]:
    """Measures a case in a process that may have measured others."""
    gc.collect()
    if ON_GPU:
        torch.compiler.reset()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    net = network(case).to(DEVICE, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05, fused=ON_GPU)
    shape = (case.batch, 3, case.side, case.side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=DEVICE)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (case.batch,), device=DEVICE)
    half = HALVES.get(case.precision)
    scaler = torch.amp.GradScaler(DEVICE, enabled=half is torch.float16)
    run: Any = torch.compile(net) if case.jit == "on" else net

    def step() -> None:
        with torch.autocast(DEVICE, dtype=half or torch.bfloat16, enabled=half is not None):
            logits = run(images.float() / 127.5 - 1)
            loss = functional.cross_entropy(logits, labels, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def wait() -> None:
        if ON_GPU:
            torch.cuda.synchronize()

    began = time.perf_counter()
    step()
    wait()
    first = time.perf_counter() - began
    count, spent = timed(step, wait, seconds)
    peak = torch.cuda.max_memory_reserved() >> 20 if ON_GPU else 0
    return result(case.batch, count, spent, first, peak)


if __name__ == "__main__":
    measure_each(sys.argv[2:], lambda case: measured(case, float(sys.argv[1])))
