from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.accuracy import recipes
from benchmarks.accuracy.recipes import Photographs, Result, Workplace

SET = Photographs("town", 16, unlike="streets")


def result(recipe: str, seed: int = 0, top1: float = 0.5, claimed: float = 0.6) -> Result:
    return Result("town", recipe, seed, 90.4, 3000, claimed, top1, 0.4)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, tmp_path, Path("python"))


def test_the_table_has_means_spreads_and_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.SETS, "town", SET)
    rows = [result("head", 0, 0.5), result("head", 1, 0.7), result("story", claimed=math.nan)]
    lines = recipes.markdown(rows).splitlines()
    assert lines[2] == (
        "| town, streets | head | 90 | 0.600 | 0.600 (0.500 to 0.700) | 0.400 (0.400 to 0.400) |"
    )
    assert lines[3] == "| town, streets | story | 90 | – | 0.500 | 0.400 |"


def test_a_matrix_goes_on_where_it_stopped(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(place: Workplace, one: Photographs, name: str, seed: int, results: list) -> Result:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(name)
        return result(name, seed)

    monkeypatch.setattr(recipes, "run", run)
    with pytest.raises(KeyboardInterrupt):
        recipes.matrix(place, [SET], ["scratch", "head", "finetune"], 1)
    assert ran == ["scratch", "head"]
    ran.clear()
    rows = recipes.matrix(place, [SET], ["scratch", "finetune"], 1)
    assert ran == ["finetune"]
    assert [row.recipe for row in rows] == ["scratch", "finetune"]
    assert json.loads((place.work / "recipes.json").read_text())["machine"]["cores"] >= 1


def test_rivals_have_the_budget_of_scratch(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def rival(place: Workplace, one: Photographs, recipe: str, seed: int, module: str,
              budget: str, *, torch: bool = False) -> Result:  # fmt: skip
        asked.append((recipe, budget))
        return result(recipe)

    monkeypatch.setattr(recipes, "_rival", rival)
    monkeypatch.setattr(recipes.table, "train_records", lambda data_dir: 300)
    monkeypatch.setattr(Workplace, "bake", lambda self, one: self.work)
    for name in ("story", "torch", "torch_finetune"):
        recipes.run(place, SET, name, 0, [result("scratch")])
    assert asked == [
        ("story", "--cpu_seconds=90"), ("torch", "--epochs=10"), ("torch_finetune", "--epochs=5"),
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="run that too"):
        recipes.run(place, SET, "story", 1, [result("scratch", seed=0)])
