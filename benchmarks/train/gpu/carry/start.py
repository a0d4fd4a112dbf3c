"""Runs Python with the TensorFlow and the CUDA of a bundle. Python's own library is enough.

    python3 start.py TARGET -m benchmarks.train.gpu --budget=500
    python3 start.py TARGET -m trainer.train --data_dir=…

The project, from project.tar.gz beside this file, is unpacked to TARGET/project the first time, and
commands run there. BUNDLE_CUDNN=image takes the cuDNN that PyTorch brought instead of the bundle's
own: try it where TensorFlow says that it cannot load cuDNN.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from pathlib import Path

# Names the loader's path as it was without the bundle.
BEFORE = "BUNDLE_LIBRARIES_BEFORE"


def environment(target: Path, packages: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a program that uses the bundle.

    Args:
      target: where the bundle was unpacked.
      packages: the interpreter's site-packages, where PyTorch's libraries are.
      given: the environment so far.
    """
    cuda, nvidia = target / "cuda", packages / "nvidia"
    libraries = [cuda / "lib"]
    if given.get("BUNDLE_CUDNN") == "image":
        libraries = [nvidia / "cudnn" / "lib", nvidia / "cu13" / "lib", *libraries]
    # TensorFlow opens NCCL when it registers a GPU; PyTorch's has the same name.
    libraries += [nvidia / "nccl" / "lib"]
    # On machines that mount the driver there, the loader does not look by itself.
    before = given.get("LD_LIBRARY_PATH", "")
    libraries += [Path(each) for each in before.split(":") if each]
    return {
        **given,
        # For PyTorch, which has a CUDA of its own: see `benchmarks.train.gpu.plan`.
        BEFORE: before,
        "PYTHONPATH": f"{target / 'project'}:{target / 'site'}",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PATH": f"{cuda / 'bin'}:{given.get('PATH', '')}",
        "XLA_FLAGS": f"--xla_gpu_cuda_data_dir={cuda}",
        # TensorFlow has a thousand small kernels as PTX only: the driver compiles each once.
        "CUDA_CACHE_PATH": str(target / "compiled"),
        "CUDA_CACHE_MAXSIZE": str(4 << 30),
        "MPLBACKEND": "Agg",
    }


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    target = Path(sys.argv[1]).absolute()
    project = target / "project"
    if not project.exists():
        with tarfile.open(Path(__file__).with_name("project.tar.gz")) as archive:
            archive.extractall(project, filter="data")
    packages = Path(sysconfig.get_paths()["purelib"])
    os.chdir(project)
    os.execve(
        sys.executable,
        [sys.executable, *sys.argv[2:]],
        environment(target, packages, os.environ),
    )


if __name__ == "__main__":
    sys.exit(main())
