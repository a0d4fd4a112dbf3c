from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from tfrecords.cli import run
from tfrecords.cli.run import CommandParser, ForeignFlags
from tfrecords.errors import UsageError
from tfrecords.framing import DamagedRecordError
from tfrecords.manifest import ManifestError


def make_parser() -> CommandParser:
    parser = CommandParser("evenshard.demo", "DIR", "Does something.", "examples:\n  as typed")
    parser.add_argument("data_dir", metavar="DIR", help="a data set")
    group = parser.add_argument_group("input and output")
    group.add_argument("--input_dir", required=True, metavar="D", help="a folder")
    group.add_argument("--seed", type=int, default=0, help="of all")
    group.add_argument("--size", type=run.whole_number(1), default=3, metavar="N", help="a side")
    return parser


def fail_with(error: BaseException) -> Callable[[argparse.Namespace], None]:
    def command(_: argparse.Namespace) -> None:
        raise error

    return command


GOOD = ["out", "--input_dir=in"]


def test_parses_flags_in_both_spellings() -> None:
    for argv in (
        ["out", "--input_dir=in", "--size=5"],
        ["out", "--input_dir", "in", "--size", "5"],
    ):
        flags = make_parser().parse_strictly(argv)
        assert (flags.data_dir, flags.input_dir, flags.size) == ("out", "in", 5)
        assert flags.foreign == []


@pytest.mark.parametrize(
    "argv, text",
    [
        (["out", "--input_dri=in"], "unknown flag --input_dri; did you mean --input_dir?"),
        (["--input-dir=in"], "unknown flag --input-dir; did you mean --input_dir?"),
        (["--inp=in"], "unknown flag --inp; did you mean --input_dir?"),
        ([*GOOD, "--zzzzzzz"], "unknown flag --zzzzzzz; see --help for all flags"),
        ([*GOOD, "more"], "unexpected argument 'more'; every option is a flag, see --help"),
        (["out"], "the following arguments are required: --input_dir"),
        (["--input_dir=in"], "the following arguments are required: DIR"),
        ([*GOOD, "--size=0"], "--size: a whole number from 1 up expected, not '0'"),
        ([*GOOD, "--size=big"], "--size: a whole number from 1 up expected, not 'big'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exits_2(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.run(make_parser(), lambda flags: None, argv) == 2
    assert capsys.readouterr().err == f"evenshard.demo: {text}\n"


def test_required_flags_stay_required_after_a_parse() -> None:
    parser = make_parser()
    for _ in range(2):
        with pytest.raises(UsageError, match="required: --input_dir"):
            parser.parse_strictly(["out"])


def test_foreign_flags_pass_through_where_the_caller_knows_them() -> None:
    def beam(arguments: Sequence[str]) -> ForeignFlags:
        return ForeignFlags(
            refused=[a for a in arguments if a.startswith("--") and a != "--region"],
            known=["--region"],
        )

    flags = make_parser().parse_strictly([*GOOD, "--region", "r1"], beam)
    assert flags.foreign == ["--region", "r1"]
    with pytest.raises(UsageError, match="unknown flag --regoin; did you mean --region?"):
        make_parser().parse_strictly([*GOOD, "--regoin", "r1"], beam)


@pytest.mark.parametrize(
    "error, code, text",
    [
        (run.EvenshardError("do this"), 1, "do this"),
        (UsageError("not so"), 2, "not so"),
        (ManifestError("no\n  manifest"), 1, "no manifest"),
        (DamagedRecordError("f", 7, "CRC"), 1, "f: damaged record at byte 7: CRC"),
        (
            FileNotFoundError(2, "No such file or directory", "x/y"),
            1,
            "x/y: No such file or directory",
        ),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (OSError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyError("k"), 1, "unexpected KeyError: 'k' (please report it; -v shows where)"),
    ],
)
def test_an_error_is_one_line(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.run(make_parser(), fail_with(error), GOOD) == code
    assert capsys.readouterr().err == f"evenshard.demo: {text}\n"


def test_verbose_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run(make_parser(), fail_with(ManifestError("gone")), [*GOOD, "-v"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "evenshard.demo: gone"


def test_the_commands_own_exit_code_is_returned() -> None:
    assert run.run(make_parser(), lambda flags: None, GOOD) == 0
    assert run.run(make_parser(), lambda flags: 1, GOOD) == 1


def test_usage_errors_turns_a_rejected_value_into_exit_2() -> None:
    def command(flags: argparse.Namespace) -> None:
        with run.usage_errors():
            raise ValueError("--size must be even")

    assert run.run(make_parser(), command, GOOD) == 2


def test_help_is_grouped_and_names_every_flag_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run.run(make_parser(), lambda flags: None, ["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m evenshard.demo DIR [flags]\n")
    for line in (
        "input and output:",
        "--size=N",
        "a side (default: 3)",
        "of all (default: 0)",
        "-v, --verbose",
        "  as typed",
    ):
        assert text.count(line) == 1, line


def test_a_reader_that_hangs_up_leaves_no_traceback() -> None:
    program = (
        "import sys; from tfrecords import cli\n"
        "def command(flags):\n"
        "    for _ in range(100_000): print('a line')\n"
        "sys.exit(cli.run(cli.CommandParser('demo'), command))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize(
    "flag, known, expected",
    [
        ("--samplse", ["--samples", "--split"], "--samples"),
        ("--per-class", ["--per_class", "--classes"], "--per_class"),
        ("--q", ["--samples"], None),
    ],
)
def test_nearest(flag: str, known: list[str], expected: str | None) -> None:
    assert run.nearest(flag, known) == expected
