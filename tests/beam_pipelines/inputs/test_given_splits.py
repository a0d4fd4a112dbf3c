"""The splits that an input fixes, and those that a bake then has."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.choices import DEFAULT_SPLITS
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules.values import splits_of
from beam_pipelines.inputs.given_splits import settle_splits
from tfrecords.errors import UsageError
from tfrecords.inputs.rows import SourceFile

Splits = tuple[tuple[str, float], ...]


def rows(counts: Mapping[str | None, int]) -> tuple[SourceFile, ...]:
    """Returns `counts[split]` sources of each split."""
    return tuple(
        SourceFile(f"{split}/{number}", "", "apu", 1, 0, split)
        for split, count in counts.items()
        for number in range(count)
    )


def settled(counts: Mapping[str | None, int], splits: Splits = DEFAULT_SPLITS) -> Splits:
    return settle_splits(splits, rows(counts))[0]


def test_an_input_that_fixes_no_split_changes_nothing() -> None:
    assert settle_splits(DEFAULT_SPLITS, rows({None: 3})) == (DEFAULT_SPLITS, rows({None: 3}), ())


def test_validation_is_taken_from_train_where_the_input_has_none() -> None:
    found, _, notes = settle_splits(DEFAULT_SPLITS, rows({"train": 8, "test": 2}))
    assert found == DEFAULT_SPLITS
    assert notes == (
        "the input has no validation split: 11% of train is taken for it (name other --splits, "
        "as in --splits=train:0.8,test:0.2, to change that)",
    )


def test_no_test_split_is_made_up() -> None:
    found, _, notes = settle_splits(DEFAULT_SPLITS, rows({"train": 8, "validation": 2}))
    assert found == (("train", 0.888889), ("validation", 0.111111))
    assert notes[0].startswith("the input has no test split, and none is taken from train")
    assert notes[0].endswith("--splits=train:0.85,test:0.15")


def test_the_splits_that_a_note_proposes_have_a_test_split() -> None:
    _, _, notes = settle_splits(DEFAULT_SPLITS, rows({"train": 8}))
    (note,) = [note for note in notes if "no test split" in note]
    proposed = splits_of(note.rpartition("--splits=")[2])
    found, _, notes = settle_splits(proposed, rows({"train": 8}))
    assert found == proposed == (("train", 0.75), ("validation", 0.1), ("test", 0.15))
    assert not any("none is taken" in note for note in notes)
    assert notes == (
        "the input has no validation split: 10% of train is taken for it, as --splits says",
        "the input has no test split: 15% of train is taken for it, as --splits says",
    )


def test_splits_that_a_person_names_are_all_there() -> None:
    asked = (("train", 0.6), ("validation", 0.2), ("test", 0.2))
    found, _, notes = settle_splits(asked, rows({"train": 8, "validation": 2}))
    assert found == asked
    assert "no test split: 25% of train is taken" in notes[0]
    assert settled({"train": 8, "test": 2}, (("train", 0.8), ("test", 0.2))) == (
        ("train", 0.8), ("test", 0.2),
    )  # fmt: skip


def test_a_split_that_nobody_named_is_kept() -> None:
    found, _, notes = settle_splits(
        (("train", 0.8), ("test", 0.2)), rows({"train": 6, "test": 2, "validation": 2})
    )
    assert found == (("train", 0.64), ("test", 0.16), ("validation", 0.2))
    assert notes == ("the input fixes validation too, which --splits does not name; kept",)


def test_a_split_has_the_name_that_was_asked_for() -> None:
    found, named, notes = settle_splits(
        (("train", 0.8), ("val", 0.2)), rows({"train": 6, "validation": 2})
    )
    assert (found, notes) == ((("train", 0.8), ("val", 0.2)), ())
    assert {row.split for row in named} == {"train", "val"}


def test_rows_without_a_split_are_dealt_as_asked() -> None:
    assert settled({None: 5, "test": 2}) == DEFAULT_SPLITS
    assert settle_splits(DEFAULT_SPLITS, rows({None: 5, "train": 2}))[2] == ()


def test_an_input_without_train_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="fixes test and has no picture to train on"):
        settled({"test": 3})


@given(
    st.dictionaries(
        st.sampled_from(["train", "validation", "test", "extra", None]), st.integers(1, 500)
    ),
    st.sampled_from([DEFAULT_SPLITS, (("train", 1.0),), (("train", 0.7), ("val", 0.3))]),
)
def test_whatever_an_input_fixes_gives_a_valid_configuration(
    counts: dict[str | None, int], splits: Splits
) -> None:
    try:
        found, named, _ = settle_splits(splits, rows(counts))
    except UsageError:
        assert "train" not in counts and None not in counts
        return
    made = PrepareConfig(input_dir="in", output_dir="out", splits=found)
    assert {row.split for row in named} - {None} <= set(made.split_names)
    assert [row.key for row in named] == [row.key for row in rows(counts)]


# Classes.
