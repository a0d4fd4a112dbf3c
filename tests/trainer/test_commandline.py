from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass

import pytest

from tfrecords.errors import TrainerError, UsageError
from trainer import commandline
from trainer.commandline import flag


@dataclass(frozen=True)
class Config:
    where: str = flag(MISSING, "Place", "A directory.", metavar="DIR")
    count: int | None = flag(None, "Numbers", "How many.")
    rate: float = flag(0.5, "Numbers", "How fast.")
    kinds: tuple[str, ...] = flag(("a",), "Numbers", "Which.", choices=("a", "b", "c"))
    mode: str = flag("slow", "Numbers", "How.", choices=("slow", "fast"))
    loud: bool = flag(True, "Place", "Aloud.", short="l")

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("--rate must not be negative")


def test_every_type_of_flag_arrives() -> None:
    argv = ["--where=x", "--count=3", "--rate=0.25", "--kinds=b, c", "--mode=fast", "--noloud"]
    assert commandline.parse_or_raise(Config, argv) == Config(
        "x", 3, 0.25, ("b", "c"), "fast", False
    )


def test_defaults_and_an_empty_list() -> None:
    assert commandline.parse_or_raise(Config, ["--where", "x", "--kinds="]) == Config("x", kinds=())


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--where=x", "--cuont=3"], "unknown flag --cuont; did you mean --count?"),
        (["--where=x", "--nolowd"], "did you mean --noloud?"),
        ([], "--where is required"),
        (["--where=x", "--count=many"], "--count=many"),
        (["--where=x", "--mode=fst"], "--mode=fst"),
        (["--where=x", "--kinds=a,d"], "unknown 'd'"),
        (["--where=x", "--rate=-1"], "--rate must not be negative"),
        (["--where=x", "stray"], "unexpected argument 'stray'"),
    ],
)
def test_misuse_exits_2_in_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        commandline.parse(Config, argv, "usage")
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_help_is_complete_and_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        commandline.parse(Config, ["--help"], "Does things.")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("Does things.")
    for field in dataclasses.fields(Config):
        assert field.name in text
    assert text.index("Place:") < text.index("--where") < text.index("-l, --[no]loud")
    assert text.index("--[no]loud") < text.index("Numbers:")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("give another"), 2, "error: give another\n"),
        (TrainerError("disk full"), 1, "error: disk full\n"),
        (KeyError("x"), 1, "error: unexpected KeyError: 'x' (-v shows where)\n"),
    ],
)
def test_errors_become_one_line_and_a_code(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: Config) -> None:
        raise error

    assert commandline.run(fail, Config("x")) == code
    assert capsys.readouterr().err == said
    assert commandline.run(fail, Config("x"), verbose=True) == code
    assert "Traceback" in capsys.readouterr().err


def test_success_is_0() -> None:
    assert commandline.run(lambda config: None, Config("x")) == 0
