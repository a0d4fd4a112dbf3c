"""Environment variables that change what a network computes, recorded with each run."""

from __future__ import annotations

import os
from collections.abc import Mapping

# Of TensorFlow, XLA, CUDA and oneDNN: which kernels are used, in which order and precision they
# add. Of OpenMP and BLAS: among how many threads a sum is divided.
_NAMES = (
    "CUBLAS_WORKSPACE_CONFIG", "MKL_CBWR", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "TF_AUTOTUNE_THRESHOLD",
    "TF_DETERMINISTIC_OPS", "TF_DISABLE_MKL", "TF_ENABLE_AUTO_MIXED_PRECISION",
    "TF_ENABLE_CUBLAS_TENSOR_OP_MATH_FP32", "TF_ENABLE_CUDNN_TENSOR_OP_MATH_FP32",
    "TF_ENABLE_ONEDNN_OPTS", "TF_ENABLE_WINOGRAD_NONFUSED", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip
_PREFIXES = ("DNNL_", "ONEDNN_", "TF_CUDNN_", "TF_ONEDNN_", "TF_AUTO_MIXED_PRECISION_")


def recorded(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the variables that are set, in the order of their names.

    Args:
      environment: of the process by default.
    """
    given = os.environ if environment is None else environment
    return {
        name: given[name] for name in sorted(given) if name in _NAMES or name.startswith(_PREFIXES)
    }


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns how two records differ, a text for each variable."""
    return [
        f"{name} was {_shown(before, name)}, is now {_shown(now, name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _shown(values: Mapping[str, str], name: str) -> str:
    return repr(values[name]) if name in values else "not set"
