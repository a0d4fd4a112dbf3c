"""Whether TensorFlow sees a GPU, and if not, why: asked of another process and of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evenshard.machine import installation

_PROBE = """\
import json, os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras, tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
details = tf.config.experimental.get_device_details
names = [details(gpu).get("device_name", gpu.name) for gpu in gpus]
print(json.dumps({"gpus": names, "cuda": tf.test.is_built_with_cuda()}))
"""

# Of what pip installs with tensorflow[and-cuda]; one of them tells of the others.
_CUDA = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")


@dataclass(frozen=True, slots=True)
class TensorFlow:
    """What TensorFlow says of this machine.

    Attributes:
      gpus: names of those that it sees.
      has_cuda: whether its build can use them; None where it could not be imported.
      trouble: why it could not be imported; "" if it was.
      log: what it wrote to standard error.
    """

    gpus: tuple[str, ...]
    has_cuda: bool | None
    trouble: str
    log: str


@dataclass(frozen=True, slots=True)
class System:
    """What the system says of GPUs.

    Attributes:
      driver: whether NVIDIA's driver is loaded.
      listed: the GPUs that nvidia-smi lists, one a line; "" where it lists none.
      cuda_libraries: whether pip has installed CUDA's libraries.
      hidden: the value of CUDA_VISIBLE_DEVICES; None where it is not set.
    """

    driver: bool
    listed: str
    cuda_libraries: bool
    hidden: str | None


def ask_tensorflow() -> TensorFlow:
    """Imports TensorFlow and Keras in another process, and returns what they see."""
    answer = installation.ask(_PROBE)
    if answer.value is None:
        return TensorFlow((), None, answer.trouble, answer.log)
    return TensorFlow(
        tuple(map(str, answer.value["gpus"])), bool(answer.value["cuda"]), "", answer.log
    )


def ask_system(environment: Mapping[str, str] = os.environ) -> System:
    """Returns what the system says, without loading a library of CUDA."""
    return System(
        driver=Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists(),
        listed=_nvidia_smi(),
        cuda_libraries=any(map(installation.version_of, _CUDA)),
        hidden=environment.get("CUDA_VISIBLE_DEVICES"),
    )


def why_none(tensorflow: TensorFlow, system: System, platform: str = sys.platform) -> str:
    """Returns why TensorFlow sees no GPU, and what to do if there is one."""
    if tensorflow.trouble:
        return "TensorFlow cannot be imported"
    if platform != "linux":
        return f"TensorFlow has no build with CUDA for {platform}; it computes on the CPU"
    if not system.driver and not system.listed:
        return "no NVIDIA driver is loaded here"
    if system.hidden is not None and system.hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={system.hidden!r} hides it; unset that variable"
    if not tensorflow.has_cuda:
        return "this build of TensorFlow has no CUDA; run: pip install 'evenshard[gpu]'"
    if not system.listed:
        return "the driver is loaded and nvidia-smi lists no GPU; look at what nvidia-smi says"
    if not system.cuda_libraries:
        return "CUDA's libraries are not installed; run: pip install 'evenshard[gpu]'"
    said = _of_cuda(tensorflow.log)
    return f"TensorFlow does not open it{f': {said}' if said else ''}"


def is_wanted(tensorflow: TensorFlow, system: System) -> bool:
    """Returns whether there is a GPU that TensorFlow should see and does not."""
    hidden = system.hidden is not None and system.hidden.strip() in ("", "-1")
    return bool(system.listed) and not tensorflow.gpus and not hidden


def _nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _of_cuda(log: str) -> str:
    """Returns the line of TensorFlow's log that says most about a GPU that it did not open."""
    lines = [line.strip() for line in log.splitlines()]
    for word in ("dlopen", "cuInit", "CUDA_ERROR", "cuda"):
        for line in lines:
            if word in line:
                return line.rpartition("] ")[2]
    return ""
