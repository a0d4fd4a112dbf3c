"""Environments for peers that must not become dependencies of ours."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import venv
from pathlib import Path

from benchmarks.harness.paths import BENCH

# Longer than this and a peer counts as one that does not install here.
INSTALL_SECONDS = 600

# What `benchmarks.baselines.records` and `benchmarks.datasets` need.
_RECORDS = ("numpy", "pillow>=12.1.1,<13", "google-crc32c", "protobuf>=6.31,<7")

PACKAGES = {
    # For `benchmarks.bake.codecs`, with what our own decoder needs.
    "codecs": ("simplejpeg", "opencv-python-headless", "pyvips[binary]", *_RECORDS),
    # For `benchmarks.bake`. Daft imports TensorFlow where it finds it: in here there is none.
    "daft": ("daft==0.7.26", *_RECORDS),
    "img2dataset": ("img2dataset==1.47.0", *_RECORDS),
    "ray": ("ray[data]==2.60.0", *_RECORDS),
    # WebDataset has no worker processes without PyTorch's loader: 5 GB on disk.
    "webdataset": ("webdataset==1.0.2", "torch", "numpy", "pillow"),
    "grain": ("grain==0.2.18", "array_record", "numpy", "pillow"),
    # Builds from source against OpenCV's and libturbojpeg's headers (pkg-config).
    "ffcv": ("ffcv==1.0.2",),
}  # fmt: skip

STREAMS = ("webdataset", "grain", "ffcv")
BAKES = ("daft", "img2dataset", "ray")


def interpreter(name: str) -> Path | None:
    """Returns the Python of a peer's own environment, made at need; None where it cannot be.

    A failure is remembered: remove .bench/peers/NAME to try again.
    """
    folder = BENCH / "peers" / name
    python, done, failed = folder / "bin" / "python", folder / "done", folder / "failed"
    if done.exists():
        return python
    if failed.exists():
        print(f"skipped {name}: {failed.read_text().strip()}", file=sys.stderr)
        return None
    began = time.monotonic()
    print(f"installing {name} into its own environment", file=sys.stderr)
    venv.create(folder, clear=True, symlinks=True, with_pip=True)
    reason = _install(python, PACKAGES[name], folder / "install.log")
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr)
    (failed if reason else done).write_text(reason + "\n", encoding="utf-8")
    return interpreter(name)


def _install(python: Path, packages: tuple[str, ...], log: Path) -> str:
    """Returns why it failed; nothing where it did not."""
    command = [str(python), "-m", "pip", "install", "--quiet", *packages]
    try:
        with log.open("wb") as output:
            code = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS,
                check=False,
            ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not installed within {INSTALL_SECONDS} s, see {log}"
    if not code:
        return ""
    told = re.findall(r"^\s*(\w+Error: .+)$", log.read_text(errors="replace"), re.MULTILINE)
    return f"{told[-1][:150] if told else 'pip failed'}, see {log}"
