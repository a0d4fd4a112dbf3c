"""Arguments are written out for editors and `help`: here they are held to the flags."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import evenshard
from beam_pipelines.config import PrepareConfig
from evenshard.baking import bake, plan
from evenshard.running import Run
from evenshard.training import train
from tfrecords.cli import parsing
from trainer.config import TrainConfig
from trainer.evaluate.config import EvaluateConfig
from trainer.export.config import ExportConfig
from trainer.predict import PredictConfig

# A run is the one whose method it is; a prediction is returned, not written.
OF_THE_RUN = {"run_dir"}
OF_A_FILE = {
    "output", "top_k", "fallback_class", "like", "label_form", "probabilities", "positive_class",
    "escape_formulas", "max_reject_fraction",
}  # fmt: skip


@pytest.mark.parametrize(
    ("function", "config", "left_out"),
    [
        (bake, PrepareConfig, {"plan_only"}),
        (plan, PrepareConfig, {"plan_only"}),
        (train, TrainConfig, set()),
        (Run.evaluate, EvaluateConfig, OF_THE_RUN),
        (Run.export, ExportConfig, OF_THE_RUN),
        (Run.predict, PredictConfig, OF_THE_RUN | OF_A_FILE),
    ],
)
def test_arguments_are_the_flags(
    function: Callable[..., Any], config: type[Any], left_out: set[str]
) -> None:
    fields = [item for item in dataclasses.fields(config) if item.name not in left_out]
    parameters = dict(inspect.signature(function).parameters)
    parameters.pop("self", None)
    assert sorted(parameters) == sorted(item.name for item in fields)
    for item in fields:
        given = parameters[item.name].default
        if item.default is dataclasses.MISSING:
            assert given in ("", inspect.Parameter.empty), item.name
        else:
            assert as_field(config, item.name, given) == as_field(config, item.name, item.default)


def as_field(config: type[Any], name: str, value: object) -> object:
    required = {
        item.name: "x" for item in dataclasses.fields(config) if item.default is dataclasses.MISSING
    }
    required |= {"input_dir": "x"} if config is PrepareConfig else {}
    return getattr(
        parsing.build(config, required | {name: value} if value != "" else required), name
    )


@pytest.mark.parametrize("function", [evenshard.bake, evenshard.plan, evenshard.train])
def test_help_says_what_each_argument_means(function: Callable[..., Any]) -> None:
    text = inspect.getdoc(function) or ""
    for name in inspect.signature(function).parameters:
        assert f"\n  {name}: " in text or name == "beam_options"
    assert " --" not in text.partition("Args:")[2]


def test_an_unknown_argument_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'per_clas'"):
        evenshard.bake("in", "out", per_clas=3)  # type: ignore[call-arg]  # The mistake is the test.


def test_the_exported_names_are_there() -> None:
    assert set(evenshard.__all__) <= set(dir(evenshard))
    for name in evenshard.__all__:
        assert getattr(evenshard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'bakes'"):
        _ = evenshard.bakes  # type: ignore[attr-defined]  # The mistake is the test.
