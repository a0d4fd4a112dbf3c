"""What the face costs to import, seen in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

import evenshard
from tests.test_imports import imported_by
from tfrecords import errors

HEAVY = {
    "apache_beam", "tensorflow", "keras", "torch", "numpy", "pyarrow", "PIL", "matplotlib",
    "jinja2", "yaml",
}  # fmt: skip
OPTIONAL = {"apache_beam", "tensorflow", "keras", "torch", "matplotlib", "jinja2"}


@pytest.mark.parametrize("module", ["evenshard", "evenshard.__main__", "evenshard.commands"])
def test_the_package_and_its_command_import_nothing_heavy(module: str) -> None:
    assert not imported_by(module) & HEAVY


@pytest.mark.parametrize(
    "module",
    ["baking", "training", "dataset", "running", "plan_result", "completion", "arguments"],
)
def test_beam_and_tensorflow_are_imported_only_when_they_work(module: str) -> None:
    assert not imported_by(f"evenshard.{module}") & OPTIONAL


WARNINGS = sorted(
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.EvenshardWarning)
)


def test_every_warning_is_of_the_face() -> None:
    assert len(WARNINGS) > 5
    assert {*WARNINGS} == {name for name in evenshard.__all__ if name.endswith("Warning")}
    assert all(getattr(evenshard, name) is getattr(errors, name) for name in WARNINGS)


def test_a_warning_is_filtered_by_its_name_and_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, warnings, evenshard\n"
        "from tfrecords import errors\n"
        "warnings.simplefilter('error', evenshard.EvenshardWarning)\n"
        "warnings.simplefilter('ignore', evenshard.SurroundingsWarning)\n"
        "warnings.warn('a', errors.SurroundingsWarning)\n"
        "try:\n    warnings.warn('b', errors.MendedRunWarning)\n"
        "except evenshard.EvenshardWarning as error:\n    print(error)\n"
        f"print(sorted({HEAVY!r} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("b\n[]\n", "")


def test_every_warning_of_ours_is_defined_with_the_others() -> None:
    """A class beside its cause would need TensorFlow to be named in a filter."""
    import trainer.predicting.run
    import trainer.train.run  # noqa: F401  # To have its classes loaded.

    def below(base: type[Warning]) -> set[type[Warning]]:
        return {base}.union(*map(below, base.__subclasses__()))

    ours = {"beam_pipelines", "evenshard", "tfrecords", "trainer"}
    found = {each for each in below(Warning) if each.__module__.partition(".")[0] in ours}
    assert {each.__module__ for each in found} == {errors.__name__}
