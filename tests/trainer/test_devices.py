from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.runs.train_configs import config
from tfrecords.errors import TrainerError, UsageError
from trainer import devices


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 0)], "mixed_float16"),
        ([(7, 5)], "mixed_float16"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(12, 0)], "mixed_bfloat16"),
        ([(8, 6), (7, 5)], "mixed_float16"),
        ([(8, 6), None], "float32"),
    ],
)
def test_precision_follows_the_weakest_device(
    capabilities: list[tuple[int, int] | None], precision: str
) -> None:
    assert devices.choose_precision(capabilities) == precision


@pytest.mark.parametrize(
    ("asked", "on_gpu", "deterministic", "distribute", "used"),
    [
        ("auto", True, False, "none", True),
        ("auto", True, True, "none", False),
        ("auto", False, False, "none", False),
        ("auto", True, False, "mirrored", False),
        ("on", False, True, "none", True),
        ("off", True, False, "none", False),
    ],
)
def test_xla_is_for_a_gpu(
    asked: str, on_gpu: bool, deterministic: bool, distribute: str, used: bool
) -> None:
    flags = config(jit_compile=asked, distribute=distribute)
    assert devices.uses_xla(flags, on_gpu=on_gpu, deterministic=deterministic) == used


def test_growth_or_a_limit_never_both(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    set_growth = "set_memory_growth"
    monkeypatch.setattr(tf.config.experimental, set_growth, lambda gpu, on: calls.append(on))
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda gpu, parts: calls.append(parts[0].memory_limit),
    )
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    devices.limit_memory([gpu, gpu], growth=True, limit_mb=0)
    devices.limit_memory([gpu], growth=True, limit_mb=3500)
    devices.limit_memory([gpu], growth=False, limit_mb=0)
    assert calls == [True, True, 3500, False]


def test_where_tensorflow_was_used_before_a_limit_is_refused_and_defaults_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def late(*args: object) -> None:
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {})
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", late)
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", late)
    monkeypatch.setattr(tf.config, "set_visible_devices", late)
    devices.set_up_devices(config(device="cpu"))
    assert devices.set_up_devices(config(deterministic="off")).kind == "gpu"
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 3
    assert all(note.startswith("note: TensorFlow was used in this process") for note in notes)
    with pytest.raises(TrainerError, match="before TensorFlow touches a device"):
        devices.set_up_devices(config(gpu_memory_limit_mb=3500))


def pretend_driver(
    monkeypatch: pytest.MonkeyPatch, folder: Path, program: str | None, *, device: bool
) -> None:
    """Puts an nvidia-smi of these shell lines into PATH, or none, and /dev/nvidia0 if asked."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(devices, "_FIRST_GPU", folder / "nvidia0")
    if program is not None:
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
        (folder / "nvidia-smi").chmod(0o755)
    if device:
        (folder / "nvidia0").touch()


@pytest.mark.parametrize(
    ("program", "device", "named"),
    [
        ("echo NVIDIA T4; echo NVIDIA T4", True, "(NVIDIA T4)"),
        ("echo no driver; exit 9", True, "nvidia0; nvidia-smi does not answer"),
        (None, True, "nvidia0; nvidia-smi does not answer"),
        ("echo no driver; exit 9", False, None),
        ("exit 0", False, None),
        (None, False, None),
    ],
)
def test_a_gpu_that_tensorflow_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    program: str | None,
    device: bool,
    named: str | None,
) -> None:
    pretend_driver(monkeypatch, tmp_path, program, device=device)
    assert devices.set_up_devices(config(deterministic="off")).kind == "cpu"
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == (named is not None)
    for note in notes:
        assert named is not None and named in note
        assert f"pip install 'tensorflow[and-cuda]=={tf.__version__}'" in note
    expected = "tensorflow.and-cuda." if named else "nor does nvidia-smi"
    with pytest.raises(UsageError, match=f"{expected}.* or use --device=cpu"):
        devices.set_up_devices(config(device="gpu"))


@pytest.mark.parametrize("asked", ["--device=cpu", "CUDA_VISIBLE_DEVICES="])
def test_a_gpu_that_is_left_alone_on_purpose_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    asked: str,
) -> None:
    pretend_driver(monkeypatch, tmp_path, "echo NVIDIA T4", device=True)
    if asked == "CUDA_VISIBLE_DEVICES=":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    device = "cpu" if asked == "--device=cpu" else "auto"
    devices.set_up_devices(config(deterministic="off", device=device))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "gpu"}, "TensorFlow sees no GPU"),
        ({"gpu_memory_limit_mb": 4000}, "sees no GPU"),
        ({"distribute": "mirrored"}, "needs two devices"),
    ],
)
def test_what_is_not_there_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        devices.set_up_devices(config(**changes))


def test_seeds_are_never_tensorflows_unseeded_pair() -> None:
    devices.seed_everything(0)
    first = tf.random.uniform([4])
    devices.seed_everything(0)
    assert (tf.random.uniform([4]) == first).numpy().all()


@pytest.mark.slow
def test_mirrored_gives_the_loss_of_one_device(tmp_path: Path) -> None:
    """On two logical CPUs, with synchronised normalisation, clipping, averages and parts."""
    fakes.write_dataset(tmp_path / "data", {"train": (9, 7, 5), "validation": (3, 2, 2)})
    program = Path(__file__).parents[1] / "support" / "processes" / "mirrored_program.py"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "data"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [float(line.split()[1]) for line in done.stdout.splitlines() if "loss" in line]
    assert len(losses) == 4
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[3] == pytest.approx(losses[2], rel=1e-4)
    assert losses[2] != pytest.approx(losses[0], rel=1e-4)
