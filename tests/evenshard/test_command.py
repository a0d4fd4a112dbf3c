from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import evenshard
from evenshard import __main__ as program
from evenshard.commands import COMMANDS, find
from tests.support.datasets import fakes
from tfrecords.cli import run
from tfrecords.errors import UsageError


def test_help_lists_every_command_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["-h"], ["help"]):
        assert program.main(argv) == 0
        text = capsys.readouterr().out
        heads = [line for line in text.splitlines() if line.endswith(":")]
        assert heads == ["Prepare data:", "Train:", "Use what was trained:", "This machine:"]
        for command in COMMANDS:
            assert f"  {command.name} " in text
            assert command.summary in text
        assert max(map(len, text.splitlines())) <= 100


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([]) == 2
    assert "usage: evenshard COMMAND" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"evenshard {evenshard.__version__} (Python ")


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("trian", "unknown command 'trian'; did you mean 'train'?"),
        ("prepare", "unknown command 'prepare'; did you mean 'bake'?"),
        ("eval", "unknown command 'eval'; did you mean 'evaluate'?"),
        ("qqq", "unknown command 'qqq'; evenshard --help lists all commands"),
        ("--lr=3", "--lr=3 stands before the command: evenshard COMMAND [--flag=value …]"),
    ],
)
def test_an_unknown_command_names_the_nearest(
    typed: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([typed]) == 2
    assert capsys.readouterr().err == f"error: {text}\n"


def test_names_that_people_type_lead_to_one_command_each() -> None:
    typed = [name for command in COMMANDS for name in command.typed_as]
    assert len(typed) == len(set(typed))
    assert not set(typed) & {command.name for command in COMMANDS}
    with pytest.raises(UsageError):
        find("")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_commands_help_shows_how_it_was_called(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name = command.name  # type: ignore[attr-defined]  # A SubCommand.
    assert program.main([name, "--help"]) == 0
    assert f"usage: evenshard {name} " in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_tells_the_version(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([command.name, "--version"]) == 0  # type: ignore[attr-defined]  # A SubCommand.
    assert capsys.readouterr().out == f"{run.version_line()}\n"


def test_a_plan_bakes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path
    fakes.write_folders(folder / "in", {"apu": 12, "bart": 12})
    assert (
        program.main(["plan", f"--input_dir={folder / 'in'}", f"--output_dir={folder / 'o'}"]) == 0
    )
    printed = capsys.readouterr().out
    assert "about " in printed
    flags = f"--input_dir={folder / 'in'} --output_dir={folder / 'o'}"
    assert printed.endswith(f"\nnext: evenshard bake {flags}\n")
    assert not list(folder.glob("o/*.tfrecord*"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_plan_needs_no_output_and_then_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packed: bool,
) -> None:
    fakes.write_folders(tmp_path / "in", {"apu": 12, "bart": 12})
    source = "in"
    if packed:  # Unpacked to be read, though not here.
        source = Path(shutil.make_archive(str(tmp_path / "in"), "gztar", tmp_path / "in")).name
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = sorted(tmp_path.rglob("*"))
    argv = [f"--input_dir={tmp_path / source}", "--image_size=16", "--per_class=6"]
    assert program.main(["plan", *argv]) == 0
    first = capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    assert "drawn to" not in first
    bake = f"--input_dir={tmp_path / source} --output_dir=shards --image_size=16 --per_class=6"
    assert first.endswith(f"\nnext: evenshard bake {bake}\n")
    # The numbers are those of a plan with an output.
    assert program.main(["plan", *argv, "--output_dir=o"]) == 0
    drawn = capsys.readouterr().out
    assert Path("o", "report", "plan.html").is_file()
    counts = [line for line in first.splitlines() if line.startswith(("apu", "bart", "train"))]
    assert counts and {*counts} <= {*drawn.splitlines()}


@pytest.mark.parametrize("argv", [["bake"], ["bake", "--noplan_only"], ["plan", "--noplan_only"]])
def test_a_bake_needs_an_output(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([*argv, "--input_dir=."]) == 2
    assert "--output_dir is required" in capsys.readouterr().err


def test_a_reader_that_hangs_up_leaves_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m evenshard completion bash | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("# bash completion")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "'my pictures'",
            "unknown command 'my pictures'; to see what a bake of it would write: evenshard plan "
            "'--input_dir=my pictures' --output_dir=shards",
        ),
        ("bake pictures", "unexpected argument 'pictures': did you mean --input_dir=pictures?"),
        ("plan pictures", "did you mean --input_dir=pictures?"),
        (
            "bake pictures shards",
            "unexpected arguments 'pictures', 'shards': did you mean --input_dir=pictures "
            "--output_dir=shards?",
        ),
        ("bake pictures --output_dir=o --per_clas=3", "did you mean --input_dir=pictures?"),
        ("bake --input_dir=pictures out", "did you mean --output_dir=out?"),
        ("bake labels.csv", "did you mean --input_csv=labels.csv?"),
        ("bake 'my pictures'", "did you mean '--input_dir=my pictures'?"),
        ("bake pictures a b", "unexpected argument 'pictures': did you mean --input_dir=pictures?"),
        (
            "bake --input_dir=pictures --output_dir=o 128",
            "unexpected argument '128': flags are written --name=value",
        ),
        ("train shards", "did you mean --data_dir=shards?"),
        ("train shards runs/a", "did you mean --data_dir=shards --run_dir=runs/a?"),
        ("sweep shards grid.yaml", "did you mean --data_dir=shards --grid=grid.yaml?"),
        ("benchmark shards", "did you mean --data_dir=shards?"),
        ("evaluate runs/a", "did you mean --run_dir=runs/a?"),
        ("evaluate runs/a test", "unexpected argument 'runs/a': did you mean --run_dir=runs/a?"),
        (
            "predict runs/a pictures out.csv",
            "did you mean --run_dir=runs/a --input=pictures --output=out.csv?",
        ),
        ("export runs/a", "did you mean --run_dir=runs/a?"),
        ("lineage pictures", "did you mean --run_dir=pictures?"),
        ("inspect shards more", "unexpected argument 'more': DIR is 'shards' already"),
        ("verify shards more", "unexpected argument 'more': DIR is 'shards' already"),
        ("clean shards more", "unexpected argument 'more': DIR is 'shards' already"),
    ],
)
def test_a_path_without_a_flag_is_told_which(
    typed: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pictures", "my pictures"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels.csv").write_text("path,label\n")
    assert program.main(shlex.split(typed)) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1
