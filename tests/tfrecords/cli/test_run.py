from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass

import pytest

import tfrecords
from tfrecords.cli import flags, run
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.framing import DamagedRecordError
from tfrecords.manifest import ManifestError


@dataclass(frozen=True, kw_only=True)
class Config:
    data_dir: str = flag(MISSING, "What", "A data set.", positional=True)
    size: int = flag(3, "What", "A side.")

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def command(main: Callable[[Config], int | None]) -> Command[Config]:
    return Command(
        module="evenshard.demo",
        summary="Does something.",
        arguments="DIR",
        config=Config,
        main=main,
        examples="as typed",
        after_interrupt="the same command carries on",
    )


def fail_with(error: BaseException) -> Command[Config]:
    def main(config: Config) -> None:
        raise error

    return command(main)


@pytest.mark.parametrize(
    "error, code, text",
    [
        (EvenshardError("do this"), 1, "do this"),
        (UsageError("not so"), 2, "not so"),
        (ManifestError("no\n  manifest"), 1, "no manifest"),
        (DamagedRecordError("f", 7, "CRC"), 1, "f: damaged record at byte 7: CRC"),
        (
            FileNotFoundError(2, "No such file or directory", "x/y"),
            1,
            "x/y: No such file or directory",
        ),
        (
            OSError(28, "No space left on device", "x/y"),
            1,
            "cannot write x/y: No space left on device; free some space there, or choose another "
            "place",
        ),
        (
            RuntimeError("/o/a; Disk quota exceeded"),
            1,
            "cannot write /o/a: Disk quota exceeded; delete or move files of yours on that file "
            "system, or choose another place",
        ),
        (OSError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted; the same command carries on"),
        (KeyError("k"), 1, "unexpected KeyError: 'k' (please report it; -v shows where)"),
    ],
)
def test_an_error_is_one_line(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(error).run(["out"]) == code
    assert capsys.readouterr().err == f"error: {text}\n"


def test_a_wrong_command_line_is_one_line_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(lambda config: None).run(["out", "--siez=4"]) == 2
    assert capsys.readouterr().err == "error: unknown flag --siez; did you mean --size?\n"


def test_verbose_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(ManifestError("gone")).run(["out", "-v"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: gone"


def test_a_missing_extra_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)  # type: ignore[arg-type]  # None hides a module.
    bake = dataclasses.replace(fail_with(AssertionError("it began")), extra="beam")
    assert bake.run(["out"]) == 1
    assert "run: pip install 'evenshard[beam]'" in capsys.readouterr().err
    assert bake.run(["--help"]) == 0


def test_the_commands_own_exit_code_is_returned() -> None:
    assert command(lambda config: None).run(["out"]) == 0
    assert command(lambda config: 1).run(["out"]) == 1


def test_help_needs_no_required_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["-h"], ["out", "--help"]):
        assert command(lambda config: 1).run(argv) == 0
        text = capsys.readouterr().out
        assert text.startswith(
            "Does something.\n\nusage: python -m evenshard.demo DIR [--flag=value …]\n"
        )
        assert text.endswith("Examples:\n  as typed\n")


def test_help_names_the_command_as_it_was_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(lambda config: 1).run(["--help"], program="evenshard demo") == 0
    assert "usage: evenshard demo DIR" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(lambda config: 1).run(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"evenshard {tfrecords.__version__} (Python ")


def test_a_reader_that_hangs_up_leaves_no_traceback() -> None:
    program = (
        "import sys; from dataclasses import dataclass; from tfrecords.cli.run import Command\n"
        "@dataclass\n"
        "class Config: pass\n"
        "def main(config):\n"
        "    for _ in range(100_000): print('a line')\n"
        "sys.exit(Command(module='m', summary='s', arguments='', config=Config, main=main).run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == run.FAILED


def test_warnings_of_ours_are_one_line() -> None:
    code = """
import sys, warnings
from tests.tfrecords.cli.test_run import command
from tfrecords.errors import EvenshardWarning
def main(config):
    warnings.warn("look out", EvenshardWarning)
    warnings.warn("theirs")
sys.exit(command(main).run(["d"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second = done.stderr.splitlines()[:2]
    assert first == "warning: look out" and second.endswith("UserWarning: theirs")
    assert done.returncode == 0


def test_sigterm_is_told_from_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    def main(config: Config) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    assert command(main).run(["d"]) == 143
    assert capsys.readouterr().err == "error: terminated; the same command carries on\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_sigterm_ends_the_process() -> None:
    code = """
import os, signal, sys
from tests.tfrecords.cli.test_run import command
def main(config):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
sys.exit(command(main).run(["d"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGTERM


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_an_output_on_a_full_disk_is_told_in_one_line(lines: int) -> None:
    code = (
        "import sys; from tests.tfrecords.cli.test_run import command\n"
        f"sys.exit(command(lambda config: print('line\\n' * {lines})).run(['out']))"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: cannot write the standard output: No space left on device; free some space there, "
        "or choose another place\n"
    )
