"""Which recipe is chosen, and what is said of it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.recipes import choice
from trainer.recipes.choice import Situation
from trainer.recipes.flags import RECIPES

LAPTOP = Situation(
    train=4700, validation=600, classes=60, size=(160, 160), epochs=30, gpu=False, cores=2,
    weights=True, onnxruntime=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "recipe"),
    [
        ({}, "head"),
        ({"train": 1_000_000}, "head"),
        ({"gpu": True}, "finetune"),
        ({"size": (64, 200)}, "head"),
        ({"size": (32, 32)}, "scratch"),
        ({"size": (32, 32), "gpu": True}, "scratch"),
        ({"size": (32, 32), "train": 2000}, "head"),
        ({"size": (32, 32), "train": 2000, "gpu": True}, "finetune"),
        ({"weights": False}, "scratch"),
        ({"weights": False, "gpu": True}, "scratch"),
    ],
)
def test_choice(changes: dict[str, object], recipe: str) -> None:
    assert choice.choose(dataclasses.replace(LAPTOP, **changes)).recipe == recipe  # type: ignore[arg-type]  # Values of a table.


@given(
    st.builds(
        Situation,
        train=st.integers(1, 10**7),
        validation=st.integers(1, 10**6),
        classes=st.integers(1, 10**4),
        size=st.tuples(st.integers(8, 1000), st.integers(8, 1000)),
        epochs=st.integers(1, 300),
        gpu=st.booleans(),
        cores=st.integers(1, 128),
        weights=st.booleans(),
        onnxruntime=st.booleans(),
    )
)
def test_one_line_says_what_why_and_what_else(here: Situation) -> None:
    chosen = choice.choose(here)
    line = choice.describe(chosen.recipe, chosen.reason, here)
    assert line.startswith(f"recipe: {chosen.recipe}") and "\n" not in line
    others = set(RECIPES) - {"auto", chosen.recipe}
    assert all(f"--recipe={other}" in line for other in others)
    assert (choice.INSTALL in line) == (not here.weights)
    assert ("about" in line) == (not here.gpu)


@pytest.mark.parametrize(
    ("side", "rate"),
    [(32, 282), (64, 300), (160, 95)],  # Pictures a second and core, as two trained them.
)
def test_scratch_costs_what_was_measured(side: int, rate: float) -> None:
    here = dataclasses.replace(LAPTOP, size=(side, side), train=10_000, cores=1)
    took = choice.seconds("scratch", here) - choice.seconds(
        "scratch", dataclasses.replace(here, epochs=0)
    )
    assert took == pytest.approx(30 * 10_000 / rate, rel=0.3)


def test_a_head_costs_less_than_what_follows_it() -> None:
    assert choice.seconds("head", LAPTOP) < choice.seconds("finetune", LAPTOP)
    more = dataclasses.replace(LAPTOP, train=2 * LAPTOP.train)
    for recipe in ("scratch", "head", "finetune"):
        assert choice.seconds(recipe, LAPTOP) < choice.seconds(recipe, more)
