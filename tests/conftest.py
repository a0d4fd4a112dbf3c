"""Two tiers of tests, and workers of pytest-xdist that share a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import tiers
from tfrecords.system import cores

# Above this the tests of one large file are what is waited for, and each worker holds TensorFlow.
_MOST_WORKERS = 4

# How long an example takes says more of what else runs than of us.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true",
        help="leave out what needs TensorFlow, draws, starts commands or is an integration test",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each worker has a core: more threads than that only take turns. Read by TensorFlow and
        # BLAS as they are imported; commands that tests start inherit it.
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.hookimpl(optionalhook=True)  # Known to pytest-xdist alone.
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Returns how many processes `-n auto` means: a container's quota of cores counts."""
    return min(_MOST_WORKERS, cores.usable())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves slow files out before they are imported; None leaves the question to others."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if config.getoption("--fast") and is_test and not tiers.is_fast_file(collection_path):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _is_slow(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


def _is_slow(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    fixtures = [found[-1].func for found in item._fixtureinfo.name2fixturedefs.values()]
    return any(map(tiers.is_slow_function, [item.function, *fixtures]))
