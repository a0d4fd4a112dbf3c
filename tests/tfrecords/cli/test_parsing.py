from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.config import PrepareConfig
from tfrecords.cli import flags, help, parsing, values
from tfrecords.cli.flags import flag
from tfrecords.cli.parsing import ForeignFlags
from tfrecords.errors import UsageError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Config:
    where: str = flag(MISSING, "Place", "A directory.", metavar="DIR", typed_as=("out",))
    per_class: int | None = flag(None, "Numbers", "How many.")
    learning_rate: float = flag(0.5, "Numbers", "How fast.", typed_as=("lr",))
    kinds: tuple[str, ...] = flag(("a",), "Numbers", "Which.", choices=("a", "b", "c"))
    mode: str = flag("slow", "Numbers", "How.", choices=("slow", "fast"))
    image_size: tuple[int, int] | None = flag(
        96, "Numbers", "Pixels.", parse=values.image_size, show=values.show_size
    )
    batch: int | str = flag(64, "Numbers", "A step.", parse=values.number_or_word("auto", 1))
    colour: Colour = flag(Colour.RED, "Numbers", "Of what.")
    title: str = flag("", "Place", "What it is called.")
    resume: bool = flag(True, "Place", "Carry on.", short="r")
    others: tuple[str, ...] = flags.rest()

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if self.learning_rate < 0:
            raise ValueError("--learning_rate must not be negative")


@dataclass(frozen=True, kw_only=True)
class Reading:
    data_dir: str = flag(MISSING, "What", "A data set.", positional=True)
    split: str | None = flag(None, "What", "One of its splits.")

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def parse(*argv: str) -> Config:
    return parsing.parse(Config, ["--where=x", *argv])


def beam(arguments: Sequence[str]) -> ForeignFlags:
    names = [argument for argument in arguments if argument.startswith("--")]
    return ForeignFlags(
        accepted=arguments,
        refused=[name for name in names if name != "--region"],
        known=["region"],
    )


def test_every_type_of_flag_arrives() -> None:
    config = parse(
        "--per_class=3", "--learning_rate=0.25", "--kinds=b, c", "--mode=fast", "--noresume",
        "--image_size=96x128", "--batch=auto", "--colour=blue",
    )  # fmt: skip
    assert config == Config(
        where="x",
        per_class=3,
        learning_rate=0.25,
        kinds=("b", "c"),
        mode="fast",
        image_size=(96, 128),
        batch="auto",
        colour=Colour.BLUE,
        resume=False,
    )


def test_defaults_have_their_fields_types() -> None:
    config = parse("--kinds=")
    assert (config.image_size, config.batch, config.kinds) == ((96, 96), 64, ())


@pytest.mark.parametrize(
    "argv",
    [
        ["--per_class=7"],
        ["--per-class=7"],
        ["--per_class", "7"],
        ["--per-class", "7"],
        ["-per_class=7"],
    ],
)
def test_dash_and_underscore_are_the_same(argv: list[str]) -> None:
    assert parse(*argv).per_class == 7


@pytest.mark.parametrize("text", ["--noresume", "--no-resume", "--no_resume", "--resume=false"])
def test_every_spelling_of_no(text: str) -> None:
    assert not parse(text).resume


@given(st.text(alphabet="-_abc=", min_size=1, max_size=12))
def test_a_value_is_never_respelled(text: str) -> None:
    assert parsing.parse(Config, [f"--where={text}"]).where == text
    assert parsing.parse(Config, ["--where", text]).where == text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--per_clas=3"], "unknown flag --per_clas; did you mean --per_class?"),
        (["--per-clas=3"], "unknown flag --per-clas; did you mean --per_class?"),
        (["--norezume"], "did you mean --noresume?"),
        (["--lr=1"], "unknown flag --lr; did you mean --learning_rate?"),
        (["--out=y"], "unknown flag --out; did you mean --where?"),
        (["--size=9"], "did you mean --image_size?"),
        (["--zzzzz"], "unknown flag --zzzzz; --help lists all flags"),
        (["-z"], "unknown flag -z; --help lists all flags"),
        (["--per_class=many"], "--per_class=many: a whole number is expected"),
        (["--per_class="], "--per_class=: a whole number is expected"),
        (["--learning_rate=x"], "--learning_rate=x: a number is expected"),
        (["--mode=fst"], "--mode=fst: did you mean fast? one of slow, fast is expected"),
        (["--kinds=a,d"], "--kinds=d: one of a, b, c is expected"),
        (["--colour=rde"], "--colour=rde: did you mean red? one of red, blue is expected"),
        (["--image_size=64x"], "--image_size=64x: N or HxW in pixels is expected"),
        (["--image_size=0"], "--image_size=0: N or HxW"),
        (["--batch=0"], "--batch=0: auto, or a whole number from 1 up, is expected"),
        (["--resume=maybe"], "resume"),
        (["--learning_rate=-1"], "--learning_rate must not be negative"),
        (["stray"], "unexpected argument 'stray': flags are written --name=value"),
        (["--resume", "true"], "unexpected argument 'true'"),
        (["–per_class=3"], "unexpected argument '–per_class=3'"),
        (["--flagfile=/nowhere/at/all"], "--flagfile=/nowhere/at/all: No such file or directory"),
    ],
)
def test_misuse_is_one_line_that_names_the_flag(argv: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(*argv)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_an_unknown_flag_is_told_before_a_missing_one() -> None:
    with pytest.raises(UsageError, match="unknown flag --wher; did you mean --where"):
        parsing.parse(Config, ["--wher=x"])
    with pytest.raises(UsageError, match="--where is required: A directory."):
        parsing.parse(Config, [])


def test_flags_come_from_a_file_too(tmp_path: Path) -> None:
    more, file = tmp_path / "more.txt", tmp_path / "flags.txt"
    more.write_text("--mode=fast\n")
    file.write_text(f"# An experiment\n--per-class=5\n--noresume\n--flagfile={more}\n")
    config = parse(f"--flagfile={file}", "--per_class=6")
    assert (config.per_class, config.resume, config.mode) == (6, False, "fast")


def test_a_value_may_stand_alone_where_the_flag_says_so() -> None:
    for argv in (["d", "--split=test"], ["--split=test", "d"], ["--data-dir=d", "--split=test"]):
        assert parsing.parse(Reading, argv) == Reading(data_dir="d", split="test")
    with pytest.raises(UsageError, match="unexpected argument 'e'"):
        parsing.parse(Reading, ["d", "e"])


def test_an_unknown_flag_of_a_command_with_a_value_that_stands_alone_tells_of_it() -> None:
    with pytest.raises(
        UsageError, match="unknown flag --where; DATA_DIR stands alone or as --data_"
    ):
        parsing.parse(Reading, ["--where=d"])
    with pytest.raises(UsageError, match="unknown flag --splt; did you mean --split"):
        parsing.parse(Reading, ["--splt=d"])


def test_foreign_flags_pass_through_where_somebody_knows_them() -> None:
    config = parsing.parse(Config, ["--where=x", "--region", "r1", "--per_class=1"], beam)
    assert (config.others, config.per_class) == (("--region", "r1"), 1)
    with pytest.raises(UsageError, match="unknown flag --regoin; did you mean --region?"):
        parsing.parse(Config, ["--where=x", "--regoin", "r1"], beam)


@pytest.mark.parametrize(
    "values",
    [
        {"image_size": 96},
        {"image_size": "96"},
        {"image_size": (96, 96)},
        {"image_size": [96, 96]},
        {"batch": "64"},
        {"kinds": ["a"]},
        {"kinds": "a"},
        {"colour": "red"},
        {"where": Path("x")},
    ],
)
def test_python_values_are_what_people_expect(values: dict[str, Any]) -> None:
    assert Config(**{"where": "x", **values}) == Config(where="x")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image_size": (1, 2, 3)}, r"--image_size=\(1, 2, 3\): N or HxW"),
        ({"per_class": 1.5}, "--per_class=1.5: a whole number is expected"),
        ({"per_class": True}, "--per_class=True: a whole number is expected"),
        ({"resume": "yes"}, "--resume=yes: True or False is expected"),
        ({"where": 3}, "--where=3: text is expected"),
        ({"kinds": 3}, "--kinds=3"),
    ],
)
def test_wrong_python_values_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Config(**{"where": "x", **values})


configs = st.builds(
    Config,
    where=st.text(min_size=1),
    per_class=st.none() | st.integers(1, 10**6),
    learning_rate=st.floats(0, 10),
    kinds=st.lists(st.sampled_from("abc")).map(tuple),
    image_size=st.none() | st.tuples(st.integers(1, 999), st.integers(1, 999)),
    batch=st.just("auto") | st.integers(1, 999),
    colour=st.sampled_from(Colour),
    resume=st.booleans(),
)


@given(configs)
def test_a_command_line_is_its_configuration(config: Config) -> None:
    assert parsing.parse(Config, flags.command_line(config)) == config


def test_a_tilde_is_the_home_folder_in_paths_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parsing.parse(Config, ["--where=~/x"]).where == "/home/me/x"
    assert parsing.parse(Config, ["--where=./~/x"]).where == "./~/x"
    assert parsing.parse(Config, ["--where=~"]).where == "/home/me"
    assert parsing.parse(Config, ["--where=x", "--title=~/x"]).title == "~/x"


def test_a_path_stands_for_its_text() -> None:
    assert Config(where=Path("a") / "b").where == "a/b"  # type: ignore[arg-type]  # A path is converted.


def test_what_completion_asks_of_a_flag() -> None:
    assert flags.metavar_of(Config, "where") == "DIR"
    assert flags.metavar_of(Config, "resume") is None
    assert flags.metavar_of(Config, "noresume") is None
    assert flags.metavar_of(Config, "flagfile") == "FILE"
    assert flags.metavar_of(Config, "help") is None
    assert [name for name in flags.names_of(Reading) if flags.is_positional(Reading, name)] == [
        "data_dir"
    ]


def test_help_is_grouped_and_names_every_flag_once() -> None:
    text = help.help_text(Config, "Does things.", "Examples:\n  as typed")
    assert text.startswith("Does things.")
    for field in dataclasses.fields(Config):
        if field.metadata.get("group"):
            assert text.count(f"{field.name}") == 1, field.name
    assert text.index("Place:") < text.index("--where=DIR") < text.index("-r, --[no]resume")
    assert text.index("--[no]resume") < text.index("Numbers:") < text.index("Help and errors:")
    for line in ("(required)", "(default: on)", "(default: 96)", "red|blue", "--flagfile=FILE"):
        assert line in text
    assert text.endswith("as typed")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("samplse", ["samples", "split"], "samples"),
        ("q", ["samples"], None),
        ("lr", ["lookahead", "layer"], None),
    ],
)
def test_nearest(name: str, known: list[str], expected: str | None) -> None:
    assert parsing.nearest(name, known) == expected


@pytest.mark.parametrize(
    "argv",
    [
        ["--kinds=a", "--kinds=b"],
        ["--kinds", "a", "--kinds", "b"],
        ["--kinds=a", "--mode=fast", "--kinds=a"],
    ],
)
def test_a_list_in_parts_is_refused(argv: list[str]) -> None:
    """Its last part would count alone: of `--run_dir=a --run_dir=b` one run would predict."""
    with pytest.raises(UsageError, match=r"--kinds is given 2 times.* as in --kinds=A,B"):
        parse(*argv)


def test_a_text_that_may_be_several_is_not_given_in_parts() -> None:
    with pytest.raises(UsageError, match="--input_csv is given 2 times"):
        parsing.split(PrepareConfig, ["--input_csv=a.csv", "--input_csv=b.csv"])


def test_the_last_of_a_repeated_flag_counts_and_is_known_to_be_repeated() -> None:
    given = parsing.split(Config, ["--where=x", "--per_class=1", "--per-class", "2", "--mode=fast"])
    assert given.repeated == ("per_class",)
    assert given.values == {"where": "x", "per_class": "2", "mode": "fast"}


def test_what_is_typed_has_the_last_word_over_a_flagfile(tmp_path: Path) -> None:
    (tmp_path / "flags").write_text("--kinds=a\n--per_class=3\n")
    argv = [f"--flagfile={tmp_path / 'flags'}", "--where=x", "--kinds=b", "--per_class=4"]
    given = parsing.split(Config, argv)
    assert given.repeated == ()
    assert (given.values["kinds"], given.values["per_class"]) == ("b", "4")


def test_a_size_is_no_list() -> None:
    given = parsing.split(Config, ["--where=x", "--image_size=32", "--image_size=64"])
    assert given.repeated == ("image_size",)
