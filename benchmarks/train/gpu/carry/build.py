"""Builds what a machine with a GPU and no network needs to run the trainer.

    python -m benchmarks.train.gpu.carry.build OUT [--work=DIR] [--part_mib=56] [--preset=6]

OUT then holds partNN, tar files that stand alone, none larger than --part_mib MiB; members.txt,
what they hold; project.tar.gz, the committed files of this project; and unpack.py and start.py,
which need nothing but Python. On the machine, in the folder with all of these:

    python3 unpack.py TARGET part*
    python3 start.py TARGET -m benchmarks.train.gpu

Parts may come one by one and in any order; `python3 unpack.py TARGET --check members.txt` says what
is missing. TARGET holds TensorFlow, CUDA 12 and the project; nothing else on the machine changes.

TensorFlow and CUDA are cut down to one kind of GPU, compute capability 9.0 (H100 and H200), and to
what training a CNN calls: 421 MiB instead of 4 GB. Needed on the machine: x86-64 Linux, the Python
of --python, a driver for CUDA 12 or later, NumPy, and PyTorch if it is to be measured. Needed here:
pip and an index of packages, gcc, 6 GB of disk, and half an hour of two cores for compressing.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.harness.paths import BENCH, ROOT
from benchmarks.train.gpu.carry import pack, prune

# What TensorFlow imports; and what an image with PyTorch has already.
NEEDED = (
    "astunparse", "gast", "google-pasta", "termcolor", "keras", "optree", "namex", "google-crc32c",
    "flatbuffers", "wrapt", "protobuf", "ml-dtypes", "h5py", "opt-einsum", "six",
    "typing-extensions", "absl-py", "packaging",
)  # fmt: skip
PRESENT = ("jinja2", "matplotlib", "numpy", "pillow", "pyarrow", "tqdm")

# CUDA 12 as TensorFlow 2.21 is built for; cuBLAS is its own version.
CUDA = (
    "nvidia-cublas-cu12==12.5.3.2", "nvidia-cuda-cupti-cu12==12.9.79",
    "nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-cuda-nvrtc-cu12==12.9.86",
    "nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cudnn-cu12==9.10.2.21",
)  # fmt: skip
LIBRARIES = (
    "cublas/lib/libcublas.so.12", "cublas/lib/libcublasLt.so.12", "cuda_cupti/lib/libcupti.so.12",
    "cuda_runtime/lib/libcudart.so.12", "cuda_nvrtc/lib/libnvrtc.so.12",
    "cuda_nvrtc/lib/libnvrtc-builtins.so.12.9", "cudnn/lib/*.so.9",
)  # fmt: skip
# Recurrent networks and attention.
NOT_CALLED = ("libcudnn_adv.so.9",)
# Opened when a GPU is registered and not called by a CNN: empty libraries serve.
STUBS = ("libcufft.so.11", "libcusolver.so.11", "libcusparse.so.12")

# Parts of TensorFlow that nothing here imports, and its client of remote profiling (90 MB), which
# is imported at the start and stands in as Python.
LEFT_OUT = (
    "tensorflow/include/*", "tensorflow/compiler/mlir/stablehlo/stablehlo_extension.so",
    "tensorflow/compiler/tf2xla/ops/_xla_ops.so", "tensorflow/THIRD_PARTY_NOTICES.txt",
    "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so", "*/tests/*",
)  # fmt: skip
PROFILER = "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.py"
STAND_IN = """def trace(*arguments, **options):
    raise NotImplementedError("left out of this bundle")


monitor = trace
"""
WITH_GPU_CODE = (
    "tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2",
    "tensorflow/python/lib_pywrap_tensorflow_common.so",
    "tensorflow/lite/python/libpywrap_tflite_common.so",
)  # fmt: skip

_MANYLINUX = tuple(
    f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 26, 25, 24, 17, 12, 5)
) + ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")


def pins(python: str) -> Iterator[str]:
    """Yields NAME==VERSION of the Python packages, as constraints.txt has them.

    Args:
      python: version on the machine, such as 3.12.
    """
    own = [Requirement(text) for text in metadata.requires("evenshard") or ()]
    required = [each.name for each in own if "extra" not in str(each.marker)]
    names = {*NEEDED, *required, "tensorflow"} - set(PRESENT)
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        pinned = Requirement(text)
        wanted = pinned.marker is None or pinned.marker.evaluate(environment)
        if wanted and _plain(pinned.name) in map(_plain, names):
            yield f"{pinned.name}{pinned.specifier}"


def fetch(requirement: str, folder: Path, python: str) -> Path:
    """Returns a package's wheel in a folder; downloads it there by pip at need."""
    found = wheels_of(requirement, folder)
    if not found:
        platforms = [word for name in _MANYLINUX for word in ("--platform", name)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
             f"--python-version={python}", "--implementation=cp", *platforms, "-d", str(folder),
             requirement],
            check=True,
        )  # fmt: skip
        found = wheels_of(requirement, folder)
    return found[0]


def wheels_of(requirement: str, folder: Path) -> list[Path]:
    """Returns the wheels of NAME==VERSION in a folder."""
    start = _plain(requirement.replace("==", "-")) + "-"
    return [one for one in sorted(folder.glob("*.whl")) if _plain(one.name).startswith(start)]


def unzip(wheel: Path, folder: Path, left_out: Sequence[str] = (), only: str = "*") -> None:
    """Writes a wheel's files below a folder, but those of some patterns."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if fnmatch(name, only) and not any(fnmatch(name, each) for each in left_out):
                archive.extract(name, folder)


def python_side(site: Path, wheels: Path, python: str) -> None:
    """Writes TensorFlow, what it imports, and our own requirements."""
    for requirement in pins(python):
        unzip(fetch(requirement, wheels, python), site, LEFT_OUT)
    (site / PROFILER).write_text(STAND_IN, encoding="utf-8")
    for name in WITH_GPU_CODE:
        print(prune.prune(site / name), flush=True)


def cuda_side(cuda: Path, wheels: Path, work: Path, python: str) -> None:
    """Writes CUDA's libraries, and the compiler that XLA calls."""
    for requirement in CUDA:
        unzip(fetch(requirement, wheels, python), work, ("*/include/*",), "nvidia/*")
    nvidia = work / "nvidia"
    for folder in ("lib", "bin", "nvvm/libdevice"):
        (cuda / folder).mkdir(parents=True, exist_ok=True)
    for pattern in LIBRARIES:
        for library in nvidia.glob(pattern):
            if library.name not in NOT_CALLED:
                shutil.copy(library, cuda / "lib")
    shutil.copy(nvidia / "cuda_nvcc/bin/ptxas", cuda / "bin")
    shutil.copy(nvidia / "cuda_nvcc/nvvm/libdevice/libdevice.10.bc", cuda / "nvvm/libdevice")
    (cuda / "bin/ptxas").chmod(0o755)
    for library in sorted((cuda / "lib").iterdir()):
        print(prune.prune(library), flush=True)
    for name in STUBS:
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{name}", "-o",
             str(cuda / "lib" / name)],
            input="int stub(void) { return 0; }\n", text=True, check=True,
        )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--work", type=Path, default=BENCH / "carry", help="wheels and what is cut")
    parser.add_argument("--python", default="3.12", help="version on the machine")
    parser.add_argument("--part_mib", type=float, default=56, help="of a part, at most")
    parser.add_argument("--preset", type=int, default=6, help="of xz; 1 is quick")
    flags = parser.parse_args()
    root, wheels = flags.work / "root", flags.work / "wheels"
    shutil.rmtree(root, ignore_errors=True)
    for folder in (root / "site", root / "cuda", wheels, flags.out):
        folder.mkdir(parents=True, exist_ok=True)
    python_side(root / "site", wheels, flags.python)
    cuda_side(root / "cuda", wheels, flags.work / "cuda", flags.python)
    here = Path(__file__).parent
    for name in ("unpack.py", "start.py"):
        shutil.copy(here / name, flags.out)
    with (flags.out / "project.tar.gz").open("wb") as file:
        subprocess.run(["git", "archive", "--format=tar.gz", "HEAD"], cwd=ROOT, stdout=file,
                       check=True)  # fmt: skip
    parts = pack.pack(root, flags.out, int(flags.part_mib * 2**20), flags.preset)
    total = sum(part.stat().st_size for part in parts)
    print(f"{len(parts)} parts, {total / 2**20:.0f} MiB, in {flags.out}")
    return 0


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
