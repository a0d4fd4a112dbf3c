"""Sets up devices, memory, precision and determinism before the first op touches a device.

TensorFlow fixes them when it initialises its devices. `set_up_devices` therefore runs before
anything else of a command. In a process that has used TensorFlow already, such as a notebook's, a
default that comes too late is left out with a line that says so; a memory limit is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from tfrecords.cli import audience
from tfrecords.errors import TrainerError, UsageError
from tfrecords.sharding import stable_hash
from trainer import keras_settings
from trainer.config import TrainConfig

# NVIDIA's tensor cores compute float16 from compute capability 7.0 (Volta) and bfloat16 from 8.0
# (Ampere). Below that, and on CPUs without AMX (ten times slower, measured), float32 is fastest.
FLOAT16_FROM = (7, 0)
BFLOAT16_FROM = (8, 0)

# NVIDIA's driver makes this file for its first GPU, and answers nvidia-smi in less than this time.
_FIRST_GPU = Path("/dev/nvidia0")
_SMI_SECONDS = 20


@dataclass(frozen=True)
class Devices:
    """The devices that a run computes on.

    Attributes:
      kind: "gpu" or "cpu".
      names: product names of the devices.
      precision: Keras dtype policy in force.
      strategy: of distribution; variables are created in its scope.
      deterministic: whether ops are deterministic.
      jit: whether XLA compiles the step.
    """

    kind: str
    names: tuple[str, ...]
    precision: str
    strategy: tf.distribute.Strategy
    deterministic: bool
    jit: bool = False

    @property
    def replicas(self) -> int:
        """Number of devices that share a batch."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def memory_device(self) -> str | None:
        """Device to whose memory batches are copied ahead of time; None on a CPU."""
        return "/GPU:0" if self.kind == "gpu" and self.replicas == 1 else None


def set_up_devices(config: TrainConfig) -> Devices:
    """Applies a configuration's device flags, and returns the devices.

    Raises:
      UsageError: the flags ask for GPUs that this machine lacks, or contradict each other.
      TrainerError: TensorFlow has already initialised its devices in another way, or Keras has
        another backend.
    """
    gpus = _visible_gpus(config)
    if gpus:
        limit_memory(gpus, growth=config.memory_growth, limit_mb=config.gpu_memory_limit_mb)
    elif config.gpu_memory_limit_mb:
        raise UsageError("--gpu_memory_limit_mb is given and TensorFlow sees no GPU")
    # XLA has no deterministic gradient of max pooling: --jit_compile=on overrides "auto".
    by_default = not gpus and config.jit_compile != "on"
    deterministic = config.deterministic == "on" or (config.deterministic == "auto" and by_default)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    precision = config.precision
    if precision == "auto":
        precision = choose_precision([_compute_capability(gpu) for gpu in gpus])
    keras_settings.pin()
    keras.mixed_precision.set_global_policy(precision)
    seed_everything(config.seed)
    return Devices(
        kind="gpu" if gpus else "cpu",
        names=tuple(_name(gpu) for gpu in gpus) or ("cpu",),
        precision=precision,
        strategy=_strategy(config.distribute, len(gpus)),
        deterministic=deterministic,
        jit=uses_xla(config, on_gpu=bool(gpus), deterministic=deterministic),
    )


def uses_xla(config: TrainConfig, *, on_gpu: bool, deterministic: bool) -> bool:
    """Returns whether XLA compiles the step.

    By default on a GPU, as Keras' own fit does. On a CPU it is slower than TensorFlow's kernels.
    """
    if config.jit_compile == "auto":
        return on_gpu and not deterministic and config.distribute == "none"
    return config.jit_compile == "on"


def choose_precision(capabilities: Sequence[tuple[int, int] | None]) -> str:
    """Returns the fastest safe Keras policy for GPUs of these compute capabilities.

    Args:
      capabilities: (major, minor) of each GPU, None where unknown; empty on a CPU.
    """
    lowest = min((capability or (0, 0) for capability in capabilities), default=(0, 0))
    if lowest >= BFLOAT16_FROM:
        return "mixed_bfloat16"
    return "mixed_float16" if lowest >= FLOAT16_FROM else "float32"


def limit_memory(gpus: Sequence[tf.config.PhysicalDevice], *, growth: bool, limit_mb: int) -> None:
    """Sets memory growth, or a hard limit, on every GPU. TensorFlow allows only one of them.

    Raises:
      TrainerError: a limit is asked for and the devices are already initialised.
    """
    for gpu in gpus:
        if limit_mb:
            _limit(gpu, limit_mb)
            continue
        try:
            tf.config.experimental.set_memory_growth(gpu, growth)
        except (RuntimeError, ValueError):
            _say_too_late(f"the memory of {gpu.name} is used as it was set up then")


def _limit(gpu: tf.config.PhysicalDevice, limit_mb: int) -> None:
    limited = tf.config.LogicalDeviceConfiguration(memory_limit=limit_mb)
    try:
        tf.config.set_logical_device_configuration(gpu, [limited])
    except (RuntimeError, ValueError) as error:
        raise TrainerError(
            f"cannot set GPU memory: {error}. It must be set before TensorFlow touches a device, "
            "and TensorFlow allows a limit or growth, not both: unset TF_FORCE_GPU_ALLOW_GROWTH "
            "with --gpu_memory_limit_mb"
        ) from error


def seed_everything(seed: int) -> None:
    """Seeds the global generators, from which Keras' initialisers and dropout draw."""
    keras.utils.set_random_seed(global_seed(seed))


def global_seed(seed: int) -> int:
    """Returns TensorFlow's global seed in a run of --seed.

    It is never 0, since TensorFlow takes the pair (0, 0) as "unseeded".
    """
    return stable_hash("weights", seed) % (2**31 - 2) + 1


def _visible_gpus(config: TrainConfig) -> list[tf.config.PhysicalDevice]:
    gpus = tf.config.list_physical_devices("GPU")
    if config.device != "cpu" and not gpus:
        unused = unused_gpu()
        if config.device == "gpu":
            raise UsageError(
                f"--device=gpu: {unused or 'TensorFlow sees no GPU, nor does nvidia-smi'}, or use "
                "--device=cpu"
            )
        if unused:
            note = audience.said(f"note: computing on the CPU: {unused}")
            print(note, file=sys.stderr)
    if config.device == "cpu":
        if gpus:
            _show_only([])
        return []
    if config.distribute == "none":
        # A process uses one GPU: the others stay free for other runs.
        _show_only(gpus[:1])
        return gpus[:1]
    return gpus


def unused_gpu() -> str | None:
    """Returns what to do where this machine has a GPU that TensorFlow cannot use; None elsewhere.

    TensorFlow itself says so in a log line that is not shown without -v, and goes on with the CPU.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return None  # Hidden on purpose.
    name = _name_from_driver()
    if name is None:
        return None
    cuda = tf.sysconfig.get_build_info().get("cuda_version")
    built = f"is built for CUDA {cuda} and cannot load it" if cuda else "is built without CUDA"
    return (
        f"this machine has a GPU ({name}), and TensorFlow {tf.__version__} {built}: "
        f"run pip install 'tensorflow[and-cuda]=={tf.__version__}' (-v shows TensorFlow's reason)"
    )


def _name_from_driver() -> str | None:
    """Returns what NVIDIA's driver calls the first GPU; None where there is no driver or no GPU."""
    smi = shutil.which("nvidia-smi")
    if smi is not None:
        query = [smi, "--query-gpu=name", "--format=csv,noheader"]
        try:
            done = subprocess.run(
                query, capture_output=True, text=True, timeout=_SMI_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is not None and done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip().splitlines()[0]
    return f"{_FIRST_GPU}; nvidia-smi does not answer" if _FIRST_GPU.exists() else None


def _show_only(gpus: Sequence[tf.config.PhysicalDevice]) -> None:
    """Hides the other GPUs from this process, unless it uses them already."""
    try:
        tf.config.set_visible_devices(list(gpus), "GPU")
    except RuntimeError:
        _say_too_late("all its GPUs stay in use")


def _say_too_late(what: str) -> None:
    print(f"note: TensorFlow was used in this process before, so {what}", file=sys.stderr)


def _strategy(distribute: str, gpus: int) -> tf.distribute.Strategy:
    if distribute == "none":
        return tf.distribute.get_strategy()
    if gpus:
        return tf.distribute.MirroredStrategy()
    logical = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(logical) < 2:
        raise UsageError(
            "--distribute=mirrored needs two devices or more; TensorFlow sees one CPU and no GPU"
        )
    # Collectives on logical CPUs mix up the sums of normalisation and of gradients.
    reduce = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(logical, cross_device_ops=reduce)


def _compute_capability(gpu: tf.config.PhysicalDevice) -> tuple[int, int] | None:
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
    return tuple(capability) if capability else None


def _name(gpu: tf.config.PhysicalDevice) -> str:
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
