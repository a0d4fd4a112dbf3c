from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from apache_beam.utils import interactive_utils

import evenshard
from beam_pipelines import preview
from evenshard.baking import _listed
from evenshard.report import COMMAND as REPORT
from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords import manifest
from tfrecords.system import extras

SIZE = {"image_size": 16, "encoding": "png", "per_class": 20, "workers": 0}


def test_bake_gives_what_the_command_gives(world: Path, tmp_path: Path) -> None:
    done = commands.run(
        "evenshard", "bake", f"--input_dir={world}/pictures", f"--output_dir={tmp_path}/out",
        "--image_size=16", "--encoding=png", "--per_class=20", "--workers=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert commands.digests(tmp_path / "out") == commands.digests(world / "shards")


def test_no_worker_outlives_a_bake(world: Path, tmp_path: Path) -> None:
    before = multiprocessing.active_children()  # Of other tests in this process.
    evenshard.bake(world / "pictures", tmp_path / "out", **SIZE | {"workers": 1})
    assert [child for child in multiprocessing.active_children() if child not in before] == []


def test_a_configuration_stands_for_all_arguments(world: Path, tmp_path: Path) -> None:
    config = evenshard.PrepareConfig(
        input_dir=str(world / "pictures"), output_dir=str(tmp_path / "out"), **SIZE
    )
    assert evenshard.bake(config).digest == manifest.load(world / "shards").digest


def test_a_plan_writes_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(world.rglob("*"))
    plan = evenshard.plan(world / "pictures", **SIZE)
    assert sorted(world.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []
    assert plan.classes == ("apu", "bart", "lisa")
    assert plan.counts() == evenshard.open(world / "shards").counts()
    assert plan.seconds > preview.START_SECONDS
    assert plan.sources().num_rows == 62
    assert "62 files in 3 classes" in repr(plan)
    shutil.make_archive(str(tmp_path / "packed"), "gztar", world / "pictures")
    assert evenshard.plan("packed.tar.gz", **SIZE).counts() == plan.counts()
    assert [path.name for path in tmp_path.iterdir()] == ["packed.tar.gz"]
    (tmp_path / "packed.tar.gz").unlink()
    monkeypatch.chdir(world / "pictures")
    assert evenshard.plan(".", **SIZE).counts() == plan.counts()
    monkeypatch.chdir(tmp_path)
    config = evenshard.PrepareConfig(input_dir=str(world / "pictures"), output_dir="o", **SIZE)
    assert evenshard.plan(config).counts() == plan.counts()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"per_class": 0}, "^per_class must be at least 1, not 0$"),
        ({"input_dir": ""}, "^input_dir is required"),
        ({"output_dir": ""}, "^output_dir is required"),
        ({"resize": "squish"}, '^resize="squish": did you mean squash'),
        ({"beam_options": ["--job_nam=x"]}, "no option 'job_nam'; did you mean 'job_name'"),
        ({"beam_options": {"per_class": 3}}, "Beam has no option 'per_class'"),
        ({}, r"a complete data set, baked otherwise \(.*\); give overwrite=True to replace it"),
    ],
)
def test_errors_name_arguments(world: Path, changes: dict[str, object], text: str) -> None:
    given = {"input_dir": world / "pictures", "output_dir": world / "shards"} | changes
    with pytest.raises(evenshard.UsageError, match=text) as caught:
        evenshard.bake(**given)
    assert "--" not in str(caught.value)


def test_a_plan_says_why_its_bake_would_fail(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path, {"apu": 6, "bart": 6})
    plan = evenshard.plan(
        tmp_path, image_size=16, workers=1, group_by="jpg", splits="train:0.6,test:0.4"
    )
    assert plan.failure is not None
    assert f"this bake would fail: {plan.failure}" in repr(plan)
    assert "this bake would fail" in plan._repr_html_()
    assert "--" not in repr(plan)


def test_what_a_bake_says_is_python(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    evenshard.bake(world / "pictures", out, **SIZE)
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith(f'next: evenshard.train(data_dir="{out}", run_dir="')
    assert "--" not in told and "evenshard bake" not in told


def test_planning_is_not_baking() -> None:
    config = evenshard.PrepareConfig(input_dir="in", output_dir="out", plan_only=True)
    with pytest.raises(evenshard.UsageError, match="call evenshard.plan"):
        evenshard.bake(config)


def test_beams_options_come_in_any_form() -> None:
    assert _listed("--a=1 --b") == ("--a=1", "--b")
    assert _listed(["--a=1"]) == ("--a=1",)
    assert _listed({"a": 1, "b": True, "c": False}) == ("--a=1", "--b")


@pytest.mark.parametrize(
    "given",
    [
        {"runner": "FnApiRunner"},
        {"beam_options": "--direct_running_mode=multi_processing"},
        {"output_dir": "gs://b/out"},
        {"input_dir": "s3://b/pictures"},
    ],
)
def test_without_beam_the_pip_line_comes_first(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    arguments = {"input_dir": tmp_path, "output_dir": tmp_path / "out", **given}
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'evenshard\[beam\]'"):
        evenshard.bake(**arguments)
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'evenshard\[beam\]'"):
        evenshard.plan(**arguments)
    assert not (tmp_path / "out").exists()


def test_a_bake_on_this_machine_needs_no_beam(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert evenshard.plan(world / "pictures", **SIZE).counts("train")
    dataset = evenshard.bake(world / "pictures", tmp_path / "out", **SIZE)
    assert dataset.digest == manifest.load(world / "shards").digest
    assert REPORT.run([str(tmp_path / "out")]) == 0
    with pytest.raises(evenshard.UsageError, match="'region' is unknown here; Beam's own flags"):
        evenshard.bake(world / "pictures", tmp_path / "two", beam_options={"region": "r"}, **SIZE)


def test_steps_are_not_named_after_a_notebooks_cell(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For that Beam would import its interactive package, which needs pandas below 3."""
    monkeypatch.setattr(interactive_utils, "is_in_ipython", lambda: True)
    dataset = evenshard.bake(world / "pictures", tmp_path / "out", **SIZE)
    assert dataset.digest == manifest.load(world / "shards").digest


def test_a_script_needs_no_main_guard_and_no_empty_directory(world: Path, tmp_path: Path) -> None:
    """Workers do not run it again; a folder trainer/ beside it is not taken for ours."""
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "notes.txt").write_text("mine")
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "import evenshard\n"
        f"data = evenshard.bake({str(world / 'pictures')!r}, 'out', image_size=16, workers=2)\n"
        "run = evenshard.train(data, 'run', model='tests.support.networks.tiny:network',\n"
        "                      epochs=1, image_size=8)\n"
        f"answers = run.predict({str(world / 'unlabelled')!r}, workers=1)\n"
        "print(len(answers), run.evaluate('validation').pictures > 0)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n2 True\n"
