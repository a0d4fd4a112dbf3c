from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("apache_beam")

from beam_pipelines.cache import facts_table
from benchmarks.bake import planning, synthetic_facts
from benchmarks.harness.stage_meter import Stage

TOY = synthetic_facts.Shape(3_000)


def test_facts_that_do_not_exist_look_like_facts_of_a_bake() -> None:
    blocks = list(synthetic_facts.blocks(TOY))
    assert len(blocks) == TOY.bundles
    facts = facts_table.facts_table(blocks)
    assert sorted(synthetic_facts.keys(TOY)) == facts["key"].to_pylist()
    rows = facts.to_pylist()
    assert len(rows) == len({row["key"] for row in rows}) == TOY.pictures
    assert all(row["key"].startswith(row["class_name"] + "/") for row in rows)
    pictures = [row for row in rows if row["reason"] is None]
    assert 0 < len(rows) - len(pictures) < 0.02 * len(rows)
    assert len({(row["pack"], row["index"]) for row in pictures}) == len(pictures)
    contents = {row["sha256"] for row in pictures}
    assert 0.95 * len(pictures) < len(contents) < len(pictures)
    sizes = np.unique([row["class_name"] for row in rows], return_counts=True)[1]
    assert sizes.max() > 2 * sizes.min()


def test_they_are_the_same_every_time_and_others_for_another_seed() -> None:
    again, other = (
        list(synthetic_facts.blocks(synthetic_facts.Shape(3_000, seed))) for seed in (0, 1)
    )
    assert again == list(synthetic_facts.blocks(TOY))
    assert again != other


def test_every_stage_is_measured_at_toy_size() -> None:
    runs = planning.run([2_000, 4_000], memory_gb=4, masks=3)
    assert sorted(runs) == [2_000, 4_000]
    found = {line.name: line for line in planning.lines(runs)}
    assert all(max(line.seconds) > 0 for line in found.values())
    assert found["find pairs"].workers
    assert not found["plan"].workers
    text = "\n".join(planning.show(list(found.values())))
    assert text.count("extrapolated") == len(planning.ASKED)


def test_what_does_not_fit_is_told_and_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        planning, "_child", lambda size, masks: [Stage("plan", False, 1e-6 * size, 1_000 * size)]
    )
    runs = planning.run([1_000_000, 2_000_000, 50_000_000], memory_gb=8, masks=3)
    assert sorted(runs) == [1_000_000, 2_000_000]
    assert "50,000,000 facts would take 50.0 GB: not run" in capsys.readouterr().err
    (line,) = planning.lines(runs)
    assert line.microseconds() == pytest.approx(1)
    assert line.bytes_a_fact() == pytest.approx(1_000)
    assert line.at(10_000_000) == (pytest.approx(10), pytest.approx(1e10))
