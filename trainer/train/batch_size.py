"""`--batch_size=auto`: finds the largest batch whose step fits by trying.

Each trial runs in a process of its own. TensorFlow never gives memory back, and some drivers
leave a process unusable after it ran out of memory, so the run itself must start clean.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrecords.errors import TrainerError
from trainer import tensorflow_import
from trainer.config import TrainConfig

# Powers of two and three times those: steps of about 1.4; all suit tensor cores from 8 on.
LADDER = (
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
    3072, 4096,
)  # fmt: skip

# A CPU gains nothing beyond this, and memory rarely stops it.
CPU_LIMIT = 128

# Fewer steps an epoch are too few for the schedule, however much memory there is.
MIN_STEPS = 16

# Exit code of a trial whose batch does not fit; any other code but 0 is a failure.
DOES_NOT_FIT = 3

_TRIAL_SECONDS = 900


def find(
    config: TrainConfig, size: tuple[int, int], classes: int, records: int, on_gpu: bool
) -> int:
    """Returns the largest batch of the ladder that fits the device's memory.

    Args:
      config: of the run.
      size: (height, width) of its pictures.
      classes: number of them.
      records: of an epoch; the batch leaves `MIN_STEPS` steps to it.
      on_gpu: whether the run computes on a GPU.

    Raises:
      TrainerError: not even one picture fits, or the step fails for another reason.
    """
    most = max(1, records // MIN_STEPS)
    if not on_gpu:
        most = min(most, CPU_LIMIT)
    parts = config.grad_accum
    ladder = [n for n in LADDER if n <= most and n % parts == 0] or [parts]
    fitting = largest(ladder, lambda batch: try_in_child(config, size, classes, batch))
    if fitting is None:
        raise TrainerError(
            f"--batch_size=auto: not even {ladder[0]} fits the memory: use a smaller --model or "
            "--image_size"
        )
    return fitting


def next_smaller(config: TrainConfig) -> int | None:
    """Returns the ladder's next batch below that of `config`, or None below the smallest."""
    below = [n for n in LADDER if n < config.fixed_batch_size and n % config.grad_accum == 0]
    return below[-1] if below else None


def largest(ladder: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """Returns the largest of an ascending ladder that fits, by bisection; None if none does."""
    low, high = -1, len(ladder)  # ladder[low] fits, ladder[high] does not.
    if ladder and fits(ladder[-1]):  # The usual case of small networks: one trial is enough.
        return ladder[-1]
    high -= 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(ladder[middle]) else (low, middle)
    return ladder[low] if low >= 0 else None


def try_in_child(config: TrainConfig, size: tuple[int, int], classes: int, batch: int) -> bool:
    """Returns whether two steps at this batch fit, in a process of their own.

    Raises:
      TrainerError: the steps fail for another reason than memory.
    """
    trial = {
        "flags": config.with_batch_size(batch).to_dict(),
        "size": list(size),
        "classes": classes,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.json"
        path.write_text(json.dumps(trial), encoding="utf-8")
        try:
            child = subprocess.run(
                [sys.executable, "-m", "trainer.train.batch_size", str(path)],
                capture_output=True,
                text=True,
                timeout=_TRIAL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TrainerError(
                f"--batch_size=auto: a trial of {batch} took more than {_TRIAL_SECONDS} s: give a "
                "number"
            ) from error
    if child.returncode == 0:
        return True
    if child.returncode == DOES_NOT_FIT or child.returncode < 0:
        return False  # Killed by a signal: the kernel's out-of-memory killer, or an abort.
    last = (child.stderr.strip().splitlines() or ["no message"])[-1]
    raise TrainerError(f"--batch_size=auto: a trial of {batch} failed: {last}")


def trial(path: str) -> int:
    """Runs two steps on blank pictures, as a trial; returns the exit code."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    config = TrainConfig.from_dict(stored["flags"])
    height, width = stored["size"]

    tensorflow_import.import_tensorflow(verbose=False)
    import tensorflow as tf

    from trainer.train.failures import is_out_of_memory

    try:
        _two_steps(config, (height, width), stored["classes"])
    except (tf.errors.OpError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return DOES_NOT_FIT
    return 0


def _two_steps(config: TrainConfig, size: tuple[int, int], classes: int) -> None:
    import tensorflow as tf

    from trainer.data.on_device import blank_batch
    from trainer.devices import set_up_devices
    from trainer.models.build import build_network
    from trainer.train import losses, optim
    from trainer.train.step import Stepper, to_host

    devices = set_up_devices(config)
    with devices.strategy.scope():
        network = build_network(config, size, classes, synchronized=devices.replicas > 1)
        plan = optim.build(config, steps_per_epoch=2)
        optimizer = optim.build_optimizer(config, plan, optim.rate_factors(network, config))
        loss = losses.build(config, [1] * classes, plan.total_steps)
        stepper = Stepper(network, optimizer, loss, config, devices)
    batch = blank_batch(config, size, devices)
    if config.steps_per_execution > 1:
        batch = tf.nest.map_structure(lambda part: tf.stack([part, part]), batch)
    if devices.replicas > 1:
        whole = tf.data.Dataset.from_tensors(batch)
        batch = next(iter(devices.strategy.experimental_distribute_dataset(whole)))
    for _ in range(2):  # The second step needs the most memory: the first's results are held.
        to_host(stepper.run(batch))


if __name__ == "__main__":
    sys.exit(trial(sys.argv[1]))
