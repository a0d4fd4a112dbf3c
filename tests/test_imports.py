"""Who may import whom, seen in a fresh interpreter."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import beam_pipelines
import tfrecords
import trainer

BEAM, TENSORFLOW, KERAS = "apache_beam", "tensorflow", "keras"

# Half a second and 60 MB, which only those need who draw a report.
DRAWING = ("jinja2", "matplotlib")

# What a worker process of a local bake runs; it must start in a tenth of a second.
WORKER_MODULES = (
    "report.draw_figures",
    "steps.canonicalise",
    "steps.copies",
    "steps.draw_strip",
    "steps.measure_leaks",
    "steps.shards",
    "tasks",
    "prepare",
)


def imported_by(*modules: str, without: tuple[str, ...] = ()) -> set[str]:
    """Returns the top-level packages that a fresh interpreter has after importing `modules`.

    Args:
      without: packages that cannot be imported there, as if they were not installed.
    """
    code = (
        f"import importlib, json, sys\nsys.modules.update(dict.fromkeys({without!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "found = {name.partition('.')[0] for name, module in sys.modules.items() if module}\n"
        "print(json.dumps(sorted(found)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def modules_of(package: object) -> list[str]:
    """Returns every module of a package, of its sub-packages too, but those that are programs."""
    prefix = f"{package.__name__}."
    names = [found.name for found in pkgutil.walk_packages(package.__path__, prefix)]
    return [name for name in names if not name.endswith(".__main__")]


def test_tfrecords_imports_neither_beam_nor_tensorflow() -> None:
    found = imported_by(*modules_of(tfrecords))
    assert "PIL" in found
    assert not found & {BEAM, TENSORFLOW, KERAS, "beam_pipelines", "trainer", *DRAWING}


def test_the_bake_imports_beam_and_never_tensorflow() -> None:
    found = imported_by(*modules_of(beam_pipelines))
    assert BEAM in found
    assert not found & {TENSORFLOW, KERAS, "trainer", *DRAWING}


def test_workers_begin_before_arrow_is_imported_and_beam_never_is() -> None:
    assert not imported_by("beam_pipelines.run") & {BEAM, "pyarrow", "google", "tqdm", *DRAWING}
    found = imported_by("beam_pipelines.run", "beam_pipelines.carry_out")
    assert "pyarrow" in found
    assert not found & {BEAM, "grpc", TENSORFLOW, *DRAWING}


def test_the_trainer_imports_tensorflow_and_never_beam() -> None:
    # Keras imports matplotlib where there is one, so that its absence is what proves us innocent.
    found = imported_by(*modules_of(trainer), without=DRAWING)
    assert TENSORFLOW in found
    assert not found & {BEAM, "beam_pipelines"}


@pytest.mark.parametrize(
    "module",
    [
        *(f"beam_pipelines.{name}" for name in WORKER_MODULES),
        "tfrecords.images.decode_pool",
        "trainer.data.decoding",
    ],
)
def test_worker_processes_import_only_what_decoding_needs(module: str) -> None:
    found = imported_by(module)
    assert not found & {BEAM, TENSORFLOW, "pyarrow", "tqdm", *DRAWING}
