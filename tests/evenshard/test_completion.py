"""Completion scripts, run by the shells they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from beam_pipelines.config import PrepareConfig
from evenshard import completion
from evenshard.completion import Shell
from tests.support.processes import commands
from tfrecords.cli import flags

# Completes one command line, split as bash splits it, in the directory it is run in.
_COMPLETE = """\
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_evenshard 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bash") / "evenshard.bash"
    path.write_text(completion.script(Shell.BASH))
    return path


def complete(script: Path, folder: Path, *words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", _COMPLETE, "bash", str(script), "evenshard", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return sorted(done.stdout.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    (tmp_path / "sources.csv").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["tr"], ["train"]),
        (["p"], ["plan", "predict"]),
        (["--v"], ["--version"]),
        (["bake", "--per"], ["--per_class="]),
        (["bake", "--over"], ["--overwrite"]),
        (["bake", "--noov"], ["--nooverwrite"]),
        (["bake", "--resize", "=", "s"], ["short_side", "squash"]),
        (["bake", "--resize", "="], ["crop", "pad", "short_side", "squash"]),
        (["bake", "--resize=p"], ["pad"]),
        (["train", "--class-weights", "=", "e"], ["effective"]),
        (["bake", "--input_dir", "=", "s"], ["shards"]),
        (["bake", "--input_csv", "=", "s"], ["shards", "sources.csv"]),
        (["bake", "--per_class", "=", ""], []),
        (["inspect", "s"], ["shards"]),
        (["do"], ["doctor"]),
        (["clean", "s"], ["shards"]),
        (["clean", "--y"], ["--yes"]),
        (["inspect", "--rec"], ["--records="]),
        (["completion", "z"], ["zsh"]),
        (["nonsense", "--x"], []),
    ],
)
def test_bash_completes(
    bash_script: Path, folder: Path, words: list[str], completed: list[str]
) -> None:
    assert complete(bash_script, folder, *words) == completed


def test_every_flag_is_offered(bash_script: Path, folder: Path) -> None:
    offered = {word.strip("-=") for word in complete(bash_script, folder, "bake", "--")}
    assert offered == set(flags.names_of(PrepareConfig))


@pytest.mark.parametrize(
    ("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")]
)
def test_each_script_is_what_its_shell_reads(shell: str, check: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = commands.run("evenshard", "completion", shell)
    assert done.returncode == 0, done.stderr
    (tmp_path / "script").write_text(done.stdout)
    subprocess.run([shell, check, str(tmp_path / "script")], check=True)


def test_fish_completes(folder: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    (folder / "script.fish").write_text(completion.script(Shell.FISH))
    for line, expected in (
        ("evenshard tr", "train"),
        ("evenshard bake --resize=", "--resize=pad"),
        ("evenshard bake --per", "--per_class"),
    ):
        done = subprocess.run(
            ["fish", "-c", f"source script.fish; complete -C '{line}'"],
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert expected in [word.split("\t")[0] for word in done.stdout.splitlines()]


def test_an_unknown_shell_is_refused() -> None:
    done = commands.run("evenshard", "completion", "powershell")
    assert done.returncode == 2
    assert "one of bash, zsh, fish is expected" in done.stderr
