"""Whole runs of the command: `python -m benchmarks.train.gpu.runs NAME DIR [FLAG …]`.

NAME: the case. Flags are those of `trainer.train`, but for three of this program: `--cores=N` gives
the run so many cores, as a small machine has; `--probe` looks at the GPU instead of training; and
`--kill` kills a run as soon as it has a checkpoint, resumes it and compares its end, bit by bit,
with that of a run that was left alone.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness.compare import METRICS
from benchmarks.train.gpu.cases import report

OWN = ("--cores", "--probe", "--kill")

# How often the driver is asked for the memory in use, seconds.
_EVERY = 0.25
_ASK = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")


class Failed(Exception):
    """A run ended in another way than it should."""


def command(data_dir: str, run_dir: Path, flags: Sequence[str]) -> list[str]:
    """Returns the command of a run."""
    return [
        sys.executable, "-m", "trainer.train", f"--data_dir={data_dir}",
        f"--run_dir={run_dir}", "--progress=none", *flags,
    ]  # fmt: skip


def train(argv: Sequence[str]) -> None:
    """Runs a command to its end.

    Raises:
      Failed: it ends with an error.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [""]
        raise Failed(f"exit code {done.returncode}: {said[-1]}")


def of_run(data_dir: str, flags: Sequence[str]) -> dict[str, object]:
    """Returns the pace of a run's last epoch, what it waited for, and the card's memory."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir, began = Path(folder, "r"), time.perf_counter()
        with _memory_of_the_card() as seen:
            train(command(data_dir, run_dir, flags))
        seconds = time.perf_counter() - began
        with (run_dir / METRICS).open(encoding="utf-8", newline="") as file:
            last = list(csv.DictReader(file))[-1]
        stored = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    found: dict[str, object] = {
        "rate": float(last["images_per_second"]),
        "input_wait": float(last["input_wait"]),
        "loss": round(float(last["loss"]), 3),
        "wall_s": round(seconds, 1),
        "batch": int(stored["flags"]["batch_size"]),
        "precision": stored["device"]["precision"],
    }
    return {**found, "card_mib": max(seen)} if seen else found


def of_killed(data_dir: str, flags: Sequence[str]) -> dict[str, object]:
    """Returns how many arrays of a killed and resumed run differ from an unbroken one's."""
    from trainer.runs.checkpoints import Store

    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        train(command(data_dir, whole, flags))
        child = subprocess.Popen(command(data_dir, cut, flags), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        while child.poll() is None and not list((cut / "checkpoints").glob("step-*")):
            time.sleep(0.01)
        killed = child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        train(command(data_dir, cut, flags))
        one, other = (Store(each / "checkpoints").latest() for each in (whole, cut))
        if one is None or other is None:
            raise Failed("a run left no checkpoint")
        differ = [
            name for name, values in one.arrays.items()
            if not np.array_equal(values, other.arrays[name])
        ]  # fmt: skip
        if differ:
            raise Failed(f"{len(differ)} of {len(one.arrays)} arrays differ, {differ[0]} first")
        return {"killed": killed, "equal_arrays": len(one.arrays)}


def of_probe() -> dict[str, object]:
    """Returns what TensorFlow sees of the card, after it has computed something there.

    Raises:
      Failed: TensorFlow uses no GPU.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    built = tf.sysconfig.get_build_info()
    versions = {"tensorflow": tf.__version__, "cuda": built.get("cuda_version", "none")}
    if not gpus:
        raise Failed(f"TensorFlow {versions['tensorflow']} (CUDA {versions['cuda']}) sees no GPU")
    tf.config.experimental.set_memory_growth(gpus[0], True)
    details = tf.config.experimental.get_device_details(gpus[0])
    with tf.device("/GPU:0"):
        images, kernel = tf.random.normal([8, 64, 64, 16]), tf.random.normal([3, 3, 16, 32])
        float(tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME")))
    driver = _asked("--query-gpu=driver_version")
    capability = ".".join(map(str, details.get("compute_capability", ())))
    card = details.get("device_name", "unknown")
    return {"card": card, "driver": driver, **versions, "compute_capability": capability}


@contextmanager
def _memory_of_the_card() -> Iterator[list[int]]:
    """Gives a list that grows by the card's memory in use, MiB; empty without nvidia-smi."""
    seen: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(_EVERY):
            text = _asked(_ASK[1])
            if text.isdecimal():
                seen.append(int(text))

    thread = threading.Thread(target=ask, daemon=True)
    if shutil.which(_ASK[0]):
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        if thread.is_alive():
            thread.join()


def _asked(query: str) -> str:
    if not shutil.which(_ASK[0]):
        return ""
    argv = [_ASK[0], query, _ASK[2]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or [""])[0]


def main() -> int:
    name, data_dir, *flags = sys.argv[1:]
    own = [flag for flag in flags if flag.partition("=")[0] in OWN]
    flags = [flag for flag in flags if flag not in own]
    for flag in own:
        if flag.startswith("--cores="):  # What is started from here inherits it.
            usable = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, usable[: int(flag.partition("=")[2])])
    try:
        if "--probe" in own:
            found = of_probe()
        elif "--kill" in own:
            found = of_killed(data_dir, flags)
        else:
            found = of_run(data_dir, flags)
    except Failed as error:
        found = {"error": str(error)[:300]}
    report(name, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
