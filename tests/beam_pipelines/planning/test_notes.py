"""What a person is told of a plan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.planning import notes
from beam_pipelines.planning.plan import make_plan
from tests.support.bakes.image_facts import CONFIG, picture


def test_odd_pictures_that_are_kept_are_counted() -> None:
    facts = pa.table(
        {"key": ["a", "b", "c", "d"], "detail": pa.array([None, "odd", "rejected", "odder"])}
    )
    (told,) = notes.remarks(facts, np.array([0, 1, 3]))
    assert told.startswith("2 unusual pictures are kept, such as 'b' (odd); see detail in ")
    assert list(notes.remarks(facts, np.array([1])))[0].startswith("1 unusual picture is kept")
    assert not list(notes.remarks(facts, np.array([0])))


def test_classes_that_large_groups_keep_out_of_a_split_are_named() -> None:
    """Five groups of eight in each class: one of them is larger than a tenth of the class."""
    rows = [
        picture(f"{name}/p{group}_{n}") for name in "abcd" for group in range(5) for n in range(8)
    ]
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    config = dataclasses.replace(CONFIG, group_by=r"^(.*)_")
    result = make_plan(facts, config)
    absent = {
        name: ", ".join(
            result.classes[label]
            for label, count in enumerate(result.counts(name, copies=False))
            if not count
        )
        for name in ("validation", "test")
    }
    told = [note for note in result.notes if "has no picture of" in note]
    assert [note.partition(":")[0] for note in told] == [
        f"{name} has no picture of {classes}" for name, classes in absent.items()
    ]
    single = make_plan(facts, CONFIG)
    assert not any("has no picture of" in note for note in single.notes)
