from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import evenshard
from beam_pipelines.config import PrepareConfig
from evenshard.arguments import (
    configuration,
    in_python,
    naming_arguments,
    speaking_python,
    spoken,
)
from tfrecords.cli import audience, following
from tfrecords.errors import EvenshardError, TrainerError, UsageError
from tfrecords.framing import DamagedRecordError
from tfrecords.ledger import LedgerError
from trainer.config import TrainConfig


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("--per_class=0 must be at least 1", "per_class=0 must be at least 1"),
        ("give --overwrite to replace it", "give overwrite=True to replace it"),
        ("--noresume starts again", "resume=False starts again"),
        ("--near_duplicates=drop: no", 'near_duplicates="drop": no'),
        ("use --batch_size=auto, or --grad_accum", 'use batch_size="auto", or grad_accum'),
        ("--splits=train:0.8,test:0.2 is odd", "splits=train:0.8,test:0.2 is odd"),
        ("--output_dir=/a/b-c holds", "output_dir=/a/b-c holds"),
        ("--nothing_of_ours", "nothing_of_ours"),
        ("see --help for the input", "see help() for the input"),
        ("run `python -m x --overwrite=1` or --overwrite", "run `python -m x --overwrite=1` or "
         "overwrite=True"),
        ("a -- b --- c", "a -- b --- c"),
    ],
)  # fmt: skip
def test_flags_become_arguments(flags: str, arguments: str) -> None:
    assert in_python(flags) == arguments


@pytest.mark.parametrize(
    "error",
    [
        UsageError("--per_class=0 must be at least 1"),
        TrainerError("--weights=ema: none"),
        LedgerError(Path("sources.parquet"), "is missing: bake again with --overwrite"),
    ],
)
def test_an_error_keeps_its_type_and_names_its_cause(error: EvenshardError) -> None:
    with pytest.raises(type(error)) as caught, naming_arguments():
        raise error
    assert str(caught.value) == in_python(str(error))
    assert caught.value.__cause__ is error
    assert type(caught.value) is type(error)


def test_an_error_without_a_flag_passes_as_it_is() -> None:
    error = DamagedRecordError("a-b", 7, "CRC")
    with pytest.raises(DamagedRecordError) as caught, naming_arguments():
        raise error
    assert caught.value is error


def call(input_dir: object = "", output_dir: str = "", *, per_class: int | None = None) -> object:
    return configuration(PrepareConfig, call, dict(locals()))


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        (
            following.training("my shards"),
            'next: evenshard.train(data_dir="my shards", run_dir="runs/first")',
        ),
        (following.predicting("runs/a"), ""),
        (following.using("runs/a", ["test"]), ""),
        (
            "to split by appearance instead: evenshard bake '--input_dir=it'\"'\"'s' "
            "--output_dir=o --per_class=3 --splits=train:0.8,test:0.2 --region=r --keep_cache "
            "--split_by=appearance",
            'to split by appearance instead: evenshard.bake(input_dir="it\'s", output_dir="o", '
            'per_class=3, splits="train:0.8,test:0.2", keep_cache=True, split_by="appearance", '
            "beam_options=['--region=r'])",
        ),
        (
            "evenshard train --noresume --learning_rate=1e-05",
            ("evenshard.train(resume=False, learning_rate=1e-05)"),
        ),
        ("the same command with --overwrite", "the same call with overwrite=True"),
        ("beyond --per_class=30: in no shard", "beyond per_class=30: in no shard"),
        ("200 files in 5 classes", "200 files in 5 classes"),
        ("then `evenshard report shards` writes it", "then `evenshard report shards` writes it"),
    ],
)
def test_what_is_said_names_calls(shell: str, python: str) -> None:
    assert spoken(shell) == python


def test_only_within_a_call_from_python_is_it_translated() -> None:
    with speaking_python():
        assert audience.said("--per_class=3") == "per_class=3"
    assert audience.said("--per_class=3") == "--per_class=3"


def test_a_configuration_stands_alone() -> None:
    config = PrepareConfig(input_dir="in", output_dir="out")
    assert call(config) is config
    assert call("in", "out", per_class=3) == PrepareConfig(
        input_dir="in", output_dir="out", per_class=3
    )
    with pytest.raises(UsageError, match="per_class is given beside a PrepareConfig"):
        call(config, per_class=3)
    with pytest.raises(UsageError, match="--output_dir is required"):
        call("in")


@pytest.mark.parametrize("recipe", ["auto", "scratch", "head", "finetune"])
def test_an_argument_left_at_its_default_is_not_one_that_was_typed(recipe: str) -> None:
    parameters = inspect.signature(evenshard.train).parameters
    defaults = {name: each.default for name, each in parameters.items()}
    given = {**defaults, "data_dir": "in", "run_dir": "r", "recipe": recipe}
    made = configuration(TrainConfig, evenshard.train, given)
    assert made == TrainConfig(data_dir="in", run_dir="r", recipe=recipe)
    assert made.is_open == (recipe == "auto")
