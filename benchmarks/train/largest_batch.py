"""What fits a small GPU: the memory of a training step, from its traced graph.

    python -m benchmarks.train.largest_batch             the table of docs/memory.md
    python -m benchmarks.train.largest_batch --gigabytes=8 --models resnet50 --sizes 224
    python -m benchmarks.train.largest_batch --check     prediction against a real process

A step's forward and backward pass is traced for a batch of static size, and its operations are
gone through in order: each output takes memory when it is made and gives it back after its
last use. The most that lives at once, at two batch sizes, gives a fixed part and a part for each
picture. Nothing is computed, so a graph in float16 can be traced where there is no GPU.

Weights, Adam's two moments and a reserve for the CUDA context and cuDNN's workspaces come on
top. XLA and cuDNN choose their own order and workspaces: take the result as a start, and
--batch_size=auto for the truth of a machine.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.paths import ROOT
from trainer.train.batch_size import LADDER

CLASSES = 42
MODELS = (
    "springfield_cnn", "mobilenetv2", "efficientnetv2-b0", "resnet50", "convnext_tiny",
)  # fmt: skip
SIZES = (64, 128, 224)

# The context and loaded kernels (about 450 MB) and convolution workspaces, which TensorFlow's
# cuDNN search keeps small when memory is short.
RESERVE_BYTES = 800e6

# Outputs that are their input under another name or shape.
_ALIASES = {
    "Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient",
    "ReadVariableOp", "Placeholder", "Const", "NoOp",
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Memory of a network's training step, bytes.

    Attributes:
      fixed: weights, moments, gradients: whatever the batch.
      per_picture: activations kept for the backward pass and what lives beside them.
    """

    fixed: float
    per_picture: float

    def largest_batch(self, bytes_: float) -> int:
        """Returns the largest batch of the ladder that fits; 0 if none does."""
        fitting = [n for n in LADDER if self.fixed + n * self.per_picture <= bytes_]
        return fitting[-1] if fitting else 0


def cost(name: str, side: int, precision: str) -> Cost:
    """Returns the cost of a network at a size; traces it in this process."""
    import keras

    keras.utils.clear_session()
    keras.mixed_precision.set_global_policy(precision)
    model = network(name, side)
    few, many = 2, 6
    low, high = (peak_bytes(traced_step(model, side, batch)) for batch in (few, many))
    per_picture = (high - low) / (many - few)
    variables = 4 * model.count_params()
    moments = 2 * 4 * sum(math.prod(v.shape) for v in model.trainable_variables)
    return Cost(variables + moments + low - few * per_picture, per_picture)


def network(name: str, side: int) -> Any:
    from trainer.config import TrainConfig
    from trainer.models import build

    config = TrainConfig(data_dir="-", run_dir="-", model=name)
    return build.build(config, (side, side), CLASSES)


def traced_step(model: Any, side: int, batch: int) -> Any:
    """Returns the graph of forward and backward pass, gradients as its outputs."""
    import tensorflow as tf

    def step(images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        values = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        return tape.gradient(loss, values)

    images = tf.TensorSpec((batch, side, side, 3), tf.uint8)
    labels = tf.TensorSpec((batch,), tf.int32)
    return tf.function(step).get_concrete_function(images, labels).graph


def peak_bytes(graph: Any) -> int:
    """Returns the most bytes that live at once when a graph's operations run in their order."""
    operations = graph.get_operations()
    last_use = _last_uses(operations, graph.outputs)
    live, peak = 0, 0
    ending: dict[int, int] = {}
    for index, operation in enumerate(operations):
        if operation.type not in _ALIASES:
            for output in operation.outputs:
                size = _tensor_bytes(output)
                live += size
                end = last_use.get(output.name, index)
                ending[end] = ending.get(end, 0) + size
        peak = max(peak, live)
        live -= ending.pop(index, 0)
    return peak


def _last_uses(operations: Sequence[Any], outputs: Sequence[Any]) -> dict[str, int]:
    """Returns tensor → index of the last operation that reads it, or another name of it."""
    root = _roots(operations)
    last_use: dict[str, int] = {}
    for index, operation in enumerate(operations):
        for value in operation.inputs:
            last_use[root[value.name]] = index
    return last_use | {root[value.name]: len(operations) for value in outputs}


def _roots(operations: Sequence[Any]) -> dict[str, str]:
    """Returns tensor → the tensor whose memory it shares, which is mostly itself."""
    root: dict[str, str] = {}
    for operation in operations:
        aliased = operation.type in _ALIASES and operation.inputs
        for i, output in enumerate(operation.outputs):
            source = operation.inputs[min(i, len(operation.inputs) - 1)].name if aliased else None
            root[output.name] = root.get(source, source) if source else output.name
    return root


def _tensor_bytes(tensor: Any) -> int:
    count = tensor.shape.num_elements() if tensor.shape.rank is not None else None
    return (count or 0) * (tensor.dtype.size or 0)


def table(
    names: Sequence[str], sizes: Sequence[int], gigabytes: float, precision: str
) -> Iterator[str]:
    """Yields the lines of a table: the largest batch of each network and the cost behind it."""
    head = " | ".join(f"{side} px" for side in sizes)
    yield f"| network | parameters | {head} |"
    yield "|---|---|" + "---|" * len(sizes)
    for name in names:
        cells = []
        for side in sizes:
            found = cost(name, side, precision)
            batch = found.largest_batch(gigabytes * 2**30 - RESERVE_BYTES)
            cells.append(f"{batch or '–'} ({found.per_picture / 1e6:.1f} MB)")
        parameters = network(name, sizes[0]).count_params() / 1e6
        yield f"| {name} | {parameters:.1f} M | {' | '.join(cells)} |"


def check(name: str, side: int, batch: int) -> str:
    """Returns prediction and truth: what a process grows by from the smallest batch to this."""
    predicted = cost(name, side, "float32").per_picture * (batch - 1)
    grown = _resident(name, side, batch) - _resident(name, side, 1)
    return (
        f"{name} at {side} px, from batch 1 to {batch}: predicted {predicted / 1e6:,.0f} MB, a "
        f"process on the CPU grew by {grown / 1e6:,.0f} MB ({predicted / grown:.2f})"
    )


def _resident(name: str, side: int, batch: int) -> int:
    """Returns the peak resident bytes of a process that runs two steps."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.train.largest_batch",
            "--step", name, str(side), str(batch),
        ],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    return int(done.stdout.split()[-1])


def run_steps(name: str, side: int, batch: int) -> None:
    """Runs two steps and prints the process's peak memory, bytes."""
    import tensorflow as tf

    from trainer.config import TrainConfig
    from trainer.data.stream import Batch
    from trainer.devices import Devices
    from trainer.models.build import Network
    from trainer.train import losses, optim
    from trainer.train.step import Stepper, to_host

    config = TrainConfig(data_dir="-", run_dir="-", model=name, batch_size=str(batch))
    model = network(name, side)
    plan = optim.build(config, 100)
    stepper = Stepper(
        Network(model),
        optim.build_optimizer(config, plan),
        losses.build(config, [1] * CLASSES, 100),
        config,
        Devices("cpu", ("cpu",), "float32", tf.distribute.get_strategy(), False),
    )
    labels, ones = tf.zeros(batch, tf.int32), tf.ones(batch)
    pictures = Batch(tf.zeros((batch, side, side, 3), tf.uint8), labels, labels, ones, ones)
    for _ in range(2):
        to_host(stepper.run(pictures))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--gigabytes", type=float, default=4, help="memory of the GPU")
    parser.add_argument("--precision", default="mixed_float16")
    parser.add_argument("--check", action="store_true", help="measure what was predicted")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, side, batch = options.step
        run_steps(name, int(side), int(batch))
    elif options.check:
        print(check("springfield_cnn", 64, 257))
        print(check("mobilenetv2", 64, 33))
    else:
        for line in table(options.models, options.sizes, options.gigabytes, options.precision):
            print(line, flush=True)


if __name__ == "__main__":
    main()
