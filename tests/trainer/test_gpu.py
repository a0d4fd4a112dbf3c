"""What only a GPU can show: `make test-gpu`. Each command runs in a process of its own.

A test that a CPU can take too is there under another name; these are skipped without a GPU.
"""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords.schema import Encoding, ImageSpec
from trainer.runs.checkpoints import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no GPU: there is no nvidia-smi"),
]

# Seconds that a command may take, the import of TensorFlow and compilation included.
LIMIT = 400
PREPARATION = """
import json, numpy as np, tensorflow as tf, keras
from trainer.config import TrainConfig
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import build_network
from trainer.train import losses, optim
from trainer.train.step import Stepper, to_host
tf.config.experimental.enable_tensor_float_32_execution(False)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (16, 64, 64, 3), np.uint8)
labels = rng.integers(0, 5, 16).astype(np.int32)
batch = Batch(*map(tf.constant, (images, labels, labels, np.ones(16, np.float32), np.ones(16, np.float32))))
config = TrainConfig(data_dir='d', run_dir='r', recipe='scratch', batch_size=16, dropout=0.0)
plan = optim.build(config, 100)
def stepper(kind, strategy, jit=False):
    keras.utils.set_random_seed(1)
    network = build_network(config, (64, 64), 5, synchronized=strategy.num_replicas_in_sync > 1)
    devices = Devices(kind, ('one',), 'float32', strategy, False, jit)
    return Stepper(network, optim.build_optimizer(config, plan), losses.build(config, [1] * 5, 100),
                   config, devices)
def three(one, batch): return [float(to_host(one.run(batch))[0].loss) / 16 for _ in range(3)]
"""  # noqa: E501

# Prints the largest difference of a pixel between the CPU's pictures and a device's.
AUGMENTING = """
import numpy as np, tensorflow as tf
from trainer.data.augment import Augmenter
from trainer.data.on_device import ON_DEVICE, Chooser, augmented
rng = np.random.default_rng(0)
images = tf.constant(rng.integers(0, 256, (8, 32, 32, 3), np.uint8))
with tf.device('/CPU:0'):
    *_, choices = Chooser(Augmenter(ON_DEVICE))(images, tf.range(8), tf.constant([3, 4]))
    expected = augmented(images, choices).numpy().astype(int)
worst = 0
for jit in (False, True):
    with tf.device('/GPU:0'):
        made = tf.function(augmented, jit_compile=jit)(images, choices).numpy()
        worst = max(worst, np.abs(made - expected).max())
print(worst)
"""


FLAGS: list[tuple[str, ...]] = [
    ("--precision=float32",),
    ("--precision=mixed_float16",),
    ("--precision=mixed_float16", "--jit_compile=off"),
    ("--jit_compile=off",),
    ("--steps_per_execution=4",),
    ("--grad_accum=4", "--clip_norm=1", "--ema=0.99"),
    ("--cache=decoded", "--augment=mixup,cutmix"),
    ("--augment=flip,crop,color,cutout,mixup,cutmix", "--jit_compile=off"),
    ("--augment_on=host",),
    ("--augment=rotate,randaugment",),
    ("--distribute=mirrored",),
    ("--gpu_memory_limit_mb=2048",),
    ("--nomemory_growth",),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu") / "data"
    counts = {"train": (120, 100, 100), "validation": (20, 20, 20)}
    fakes.write_dataset(folder, counts, spec=ImageSpec(64, 64, encoding=Encoding.JPEG))
    return folder


def command(data_dir: Path, run_dir: Path, *flags: str) -> list[str]:
    return [
        sys.executable, "-m", "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
        "--progress=lines", "--device=gpu", "--recipe=scratch", "--epochs=2", "--batch_size=32",
        *flags,
    ]  # fmt: skip


def train(
    data_dir: Path, run_dir: Path, *flags: str, good: bool = True
) -> subprocess.CompletedProcess[str]:
    argv = command(data_dir, run_dir, *flags)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (done.returncode == 0) == good, (done.stdout[-1500:], done.stderr[-3000:])
    return done


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def python(code: str) -> str:
    """Returns the last line that a program prints."""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_the_default_run_uses_the_gpu_and_ends_with_a_model(data_dir: Path, tmp_path: Path) -> None:
    train(data_dir, tmp_path / "r")
    assert all(np.isfinite(float(row["loss"])) for row in rows(tmp_path / "r"))
    stored = json.loads((tmp_path / "r" / "config.json").read_text())["device"]
    assert stored["kind"] == "gpu" and stored["deterministic"] is False
    assert (tmp_path / "r" / "model.keras").exists()


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_flags_work(data_dir: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    train(data_dir, tmp_path / "r", *flags, "--stop_after_epoch=1")
    assert np.isfinite(float(rows(tmp_path / "r")[0]["loss"]))


def test_killed_and_resumed_is_bit_identical(data_dir: Path, tmp_path: Path) -> None:
    flags = ("--deterministic=on", "--checkpoint_steps=5", "--stop_after_epoch=2")
    train(data_dir, tmp_path / "whole", *flags)
    folder = tmp_path / "cut" / "checkpoints"
    child = subprocess.Popen(
        command(data_dir, tmp_path / "cut", *flags),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and child.poll() is None and not list(folder.glob("step-*")):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    train(data_dir, tmp_path / "cut", *flags)
    whole, cut = (Store(tmp_path / name / "checkpoints").latest() for name in ("whole", "cut"))
    assert whole is not None and cut is not None
    for name, values in whole.arrays.items():
        np.testing.assert_array_equal(cut.arrays[name], values, err_msg=name)


@pytest.mark.parametrize("jit", [False, True], ids=["fused kernels", "XLA"])
def test_a_step_is_what_the_cpu_computes(jit: bool) -> None:
    """Float32 without TF32: the losses of three steps, on the GPU and on the CPU."""
    found = python(
        PREPARATION
        + f"""
tf.config.experimental.set_memory_growth(tf.config.list_physical_devices('GPU')[0], True)
found = []
for kind, jit in (('cpu', False), ('gpu', {jit})):
    with tf.device('/' + kind.upper() + ':0'):
        one = stepper(kind, tf.distribute.get_strategy(), jit)
        found.append(three(one, tf.nest.map_structure(tf.identity, batch)))
print(json.dumps(found))
"""
    )
    cpu, gpu = json.loads(found)
    np.testing.assert_allclose(gpu, cpu, rtol=2e-3)


def test_two_logical_gpus_are_one() -> None:
    """Two replicas on halves of one card against one replica on the whole batch."""
    found = python(
        PREPARATION
        + """
gpu = tf.config.list_physical_devices('GPU')[0]
half = tf.config.LogicalDeviceConfiguration(memory_limit=3000)
tf.config.set_logical_device_configuration(gpu, [half] * 2)
reduce = tf.distribute.ReductionToOneDevice()
both = tf.distribute.MirroredStrategy(['GPU:0', 'GPU:1'], cross_device_ops=reduce)
found = []
for strategy in (tf.distribute.get_strategy(), both):
    with strategy.scope(): one = stepper('gpu', strategy)
    given = batch
    if strategy is both:
        whole = tf.data.Dataset.from_tensors(batch)
        given = next(iter(both.experimental_distribute_dataset(whole)))
    found.append(three(one, given))
print(json.dumps(found))
"""
    )
    one, two = json.loads(found)
    np.testing.assert_allclose(two, one, rtol=5e-3)


def test_augmenting_on_the_gpu_gives_the_cpus_pictures() -> None:
    found = python(AUGMENTING)
    assert int(found) <= 2


def test_memory_stays_below_the_limit() -> None:
    found = python(
        """
import tensorflow as tf
from trainer.config import TrainConfig
from trainer.devices import set_up_devices
set_up_devices(TrainConfig(data_dir='d', run_dir='r', gpu_memory_limit_mb=1024))
try:
    held = [tf.random.normal([64, 1024, 1024]) for _ in range(8)]
    print('not limited')
except tf.errors.ResourceExhaustedError:
    print('limited')
"""
    )
    assert found == "limited"


def test_auto_batch_finds_what_fits(data_dir: Path, tmp_path: Path) -> None:
    flags = ("--batch_size=auto", "--gpu_memory_limit_mb=600", "--model=resnet50")
    train(data_dir, tmp_path / "r", *flags, "--stop_after_epoch=1")
    stored = json.loads((tmp_path / "r" / "config.json").read_text())["flags"]
    assert 1 <= int(stored["batch_size"]) <= 4096


def test_out_of_memory_is_said(data_dir: Path, tmp_path: Path) -> None:
    flags = ("--gpu_memory_limit_mb=300", "--model=resnet50", "--batch_size=256")
    done = train(data_dir, tmp_path / "r", *flags, "--precision=float32", good=False)
    assert "out of memory at --batch_size=256" in done.stderr


def test_a_diverging_run_stops(data_dir: Path, tmp_path: Path) -> None:
    flags = ("--learning_rate=1000", "--optimizer=sgd", "--warmup_epochs=0", "--precision=float32")
    done = train(data_dir, tmp_path / "r", *flags, good=False)
    assert "Start again with a lower" in done.stderr
