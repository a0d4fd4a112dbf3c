from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.choices import GroupWithin
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from beam_pipelines.planning import folds
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.preview import planned_manifest
from tests.support.bakes.image_facts import CONFIG, picture
from tfrecords.folds import FoldRanks
from tfrecords.schema import TRAIN, TRAIN_INDEX, VALIDATION


def plan(rows: list[ImageFacts], **changes: object) -> Plan:
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    return make_plan(facts, dataclasses.replace(CONFIG, **changes))


@st.composite
def tables(draw: st.DrawFn) -> list[ImageFacts]:
    """Classes of singles and of groups by name, some of which span classes."""
    rows = []
    for name in range(draw(st.integers(2, 4))):
        groups = draw(st.lists(st.integers(1, 6), max_size=6))
        singles = draw(st.integers(0 if groups else 1, 25))
        sizes = [*groups, *[1] * singles]
        for number, size in enumerate(sizes):
            shared = number if number < len(groups) else f"{name}-{number}"
            rows += [picture(f"c{name}/g{shared}_{i}.jpg") for i in range(size)]
    return rows


GROUP_BY = r"(g[^_]*)_"
within = st.sampled_from([GroupWithin.ALL, GroupWithin.CLASS])
balances = st.one_of(
    st.just({}),
    st.integers(1, 40).map(lambda n: {"min_per_class": n, "max_per_class": n}),
    st.integers(1, 40).map(lambda n: {"min_per_class": n}),
    st.integers(1, 40).map(lambda n: {"max_per_class": n}),
    st.just({"balance": "power:0.5"}),
)


def records_of(found: Plan, split: str, rank: np.ndarray | None = None) -> set[tuple]:
    """Returns (key, copy, rank, label) of a split's records."""
    records = found.records[split]
    keys = found.facts["key"].take(records.row).to_pylist()
    ranks = records.rank if rank is None else rank
    return set(
        zip(
            keys,
            records.copy.tolist(),
            ranks.tolist(),
            found.labels[records.row].tolist(),
            strict=True,
        )
    )


def ranks_of(found: Plan, fold: int, *, validation: bool) -> tuple[FoldRanks, np.ndarray]:
    """Returns the ranks of a fold, and bool[records], which of train's are in it."""
    records = found.records[TRAIN]
    in_fold = found.fold[records.row] == fold
    originals = records.copy == 0
    ranks = FoldRanks.of(
        found.labels[records.row][originals],
        records.rank[originals],
        in_fold[originals],
        validation=validation,
    )
    return ranks, in_fold


def selected(found: Plan, fold: int, split: str, per_class: int | None = None) -> set[tuple]:
    """Returns what a reader selects of a fold, as (key, copy, rank, label)."""
    view = planned_manifest(found).of_fold(fold).split(split)
    validation = split == VALIDATION
    ranks, in_fold = ranks_of(found, fold, validation=validation)
    records = found.records[TRAIN]
    label = found.labels[records.row]
    wanted = (in_fold & (records.copy == 0)) if validation else ~in_fold
    rank = np.full(len(label), -1)
    rank[wanted] = ranks.ranks(label[wanted], records.rank[wanted], records.copy[wanted])
    limit = np.array(view.originals) + np.array(view.copies)
    if per_class is not None:
        limit = np.minimum(limit, per_class)
    kept = wanted & (rank < limit[label])
    keys = found.facts["key"].take(records.row).to_pylist()
    every = zip(keys, records.copy.tolist(), rank.tolist(), label.tolist(), strict=True)
    return {row for row, chosen in zip(every, kept, strict=True) if chosen}


def baked_alone(rows: list[ImageFacts], folded: Plan, fold: int, **changes: object) -> Plan:
    """Returns the plan of a bake whose input fixes that fold as validation."""
    by_key = dict(zip(folded.facts["key"].to_pylist(), range(len(folded.facts)), strict=True))
    names = folded.config.split_names

    def split_of(row: ImageFacts) -> str | None:
        index = int(folded.decisions.split[by_key[row.key]])
        if index < 0:
            return None
        return VALIDATION if folded.fold[by_key[row.key]] == fold else names[index]

    given_splits = [dataclasses.replace(row, split=split_of(row)) for row in rows]
    # A split that is named and that the input lacks would be taken from train.
    held_out = [VALIDATION] if (folded.fold == fold).any() else []
    others = (name for name in names[1:] if any(folded.counts(name, copies=False)))
    present = [TRAIN, *held_out, *others]
    splits = [(name, 1 / len(present)) for name in present]
    return plan(
        given_splits, **{**changes, "folds": None, "splits": splits, "allow_empty_splits": True}
    )


@settings(max_examples=25, deadline=None)
@given(tables(), st.integers(2, 6), balances, within, st.booleans(), st.data())
def test_a_fold_selects_what_its_bake_holds(rows, count, balance, within, test, data) -> None:
    """The same records in the same ranks, the same copies, at every --per_class below."""
    splits = f"folds:{count}" + (",test:0.2" if test else "")
    changes = {
        "group_by": GROUP_BY, "group_within": within, "allow_empty_splits": True, **balance,
    }  # fmt: skip
    folded = plan(rows, splits=splits, **changes)
    fold = data.draw(st.integers(0, count - 1))
    alone = baked_alone(rows, folded, fold, **changes)
    assert alone.classes == folded.classes
    assert selected(folded, fold, TRAIN) == records_of(alone, TRAIN)
    validation = records_of(alone, VALIDATION) if VALIDATION in alone.records else set()
    assert selected(folded, fold, VALIDATION) == validation
    if "test" in alone.records:
        assert records_of(folded, "test") == records_of(alone, "test")
    view = planned_manifest(folded).of_fold(fold)
    for split in {TRAIN, VALIDATION} & alone.records.keys():
        assert view.split(split).originals == alone.counts(split, copies=False)
        assert view.split(split).copies == alone.counts(split, copies=True)
    # What a selection gives is what a smaller bake holds, where the bake itself is nested.
    if "balance" not in balance:
        small = data.draw(st.integers(1, 45))
        expected = {row for row in records_of(alone, TRAIN) if row[2] < small}
        assert selected(folded, fold, TRAIN, small) == expected
    if "max_per_class" in balance and "min_per_class" in balance:
        small = data.draw(st.integers(1, balance["min_per_class"]))
        smaller = {**changes, "min_per_class": small, "max_per_class": small}
        of_small = baked_alone(rows, folded, fold, **smaller)
        assert selected(folded, fold, TRAIN, small) == records_of(of_small, TRAIN)


@settings(max_examples=25, deadline=None)
@given(tables(), st.integers(2, 8), within)
def test_folds_divide_train_by_whole_groups(rows, count, within) -> None:
    found = plan(rows, folds=count, group_by=GROUP_BY, group_within=within, allow_empty_splits=True)
    assert found.config.splits == ((TRAIN, 1.0),)
    kept = found.fold >= 0
    fold_of: dict[object, set[int]] = {}
    for group, fold in zip(found.decisions.group.tolist(), found.fold.tolist(), strict=True):
        fold_of.setdefault(group, set()).add(fold)
    assert all(len(folds) == 1 for folds in fold_of.values())
    for label in range(len(found.classes)):
        # No run lacks a class.
        for fold in range(count):
            assert ((found.labels == label) & (found.fold != fold)).any()
    # Every shard holds one fold, and the manifest says which.
    manifest = planned_manifest(found)
    records = found.records[TRAIN]
    for fold in range(count):
        shards = {shard.filename for shard in manifest.shards_of_fold(fold)}
        names = [shard.filename for shard in manifest.split(TRAIN).shards]
        inside = np.isin(np.array(names)[records.shard], sorted(shards))
        assert (inside == (found.fold[records.row] == fold)).all()
    assert sum(sum(info.originals) for info in manifest.folds) == kept.sum()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(2, 20), st.integers(0, 9))
def test_single_pictures_are_spread_evenly(counts, folds_, seed) -> None:
    label = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    order = np.random.default_rng(seed).integers(0, 2**63, len(label)).astype(np.uint64)
    fold = folds.deal(np.arange(len(label)), label, order, folds_)
    table = np.zeros((len(counts), folds_), int)
    np.add.at(table, (label[fold >= 0], fold[fold >= 0]), 1)
    assert (np.ptp(table, axis=1) <= 1).all()
    assert np.ptp(table.sum(axis=0)) <= 1 + (np.array(counts) == 1).sum()
    assert ((fold < 0) == (np.array(counts)[label] == 1)).all()


def test_the_pictures_of_lowest_rank_are_of_all_folds() -> None:
    """Else every run that selects few pictures would train on those of one fold."""
    found = plan([picture(f"{name}/{i}") for name in "ab" for i in range(200)], folds=4)
    first = (found.labels == 0) & (found.decisions.rank < 40) & (found.decisions.rank >= 0)
    assert Counter(found.fold[first].tolist()).keys() == {0, 1, 2, 3}


def test_folds_hold_back_the_test_of_an_ordinary_split() -> None:
    rows = [picture(f"{name}/{i}") for name in "ab" for i in range(60)]
    folded = plan(rows, splits="folds:3,test:0.25")
    ordinary = plan(rows, splits="train:0.75,test:0.25")
    assert (folded.decisions.split == ordinary.decisions.split).all()
    assert set(np.unique(folded.fold[folded.decisions.split == TRAIN_INDEX])) == {0, 1, 2}


def test_few_groups_are_told() -> None:
    rows = [picture(f"many/{i}") for i in range(30)]
    rows += [picture(f"few/g{i % 2}_{i}") for i in range(8)]
    rows += [picture(f"one/g9_{i}") for i in range(5)]
    found = plan(rows, folds=4, group_by=GROUP_BY)
    text = "\n".join(found.notes)
    assert "one: only one group, so it is trained on in every fold and never validated" in text
    assert "too few groups for 4 folds (how many): few (2)" in text
    assert found.failure is None


def test_a_fold_without_a_picture_stops_the_bake() -> None:
    rows = [picture(f"{name}/g{i % 2}_{i}") for name in "ab" for i in range(8)]
    found = plan(rows, folds=4, group_by=GROUP_BY)
    assert found.failure is not None and "2 of 4 folds got no picture" in found.failure
    assert plan(rows, folds=4, group_by=GROUP_BY, allow_empty_splits=True).failure is None


def test_ranks_that_are_not_a_range_are_refused() -> None:
    with pytest.raises(ValueError, match="once each"):
        FoldRanks.of(np.zeros(2, int), np.array([0, 2]), np.array([True, False]), validation=False)


def config(**given: object) -> PrepareConfig:
    return dataclasses.replace(CONFIG, **given)


def test_both_ways_to_ask_for_folds_are_one() -> None:
    flag, split = config(folds=5), config(splits="folds:5")
    assert flag == split and flag.splits == ((TRAIN, 1.0),)
    both = config(splits="folds:5,test:0.15")
    assert both.splits == ((TRAIN, 0.85), ("test", 0.15)) and both.folds == 5
    assert both == config(splits="train:0.85,test:0.15", folds=5)
    assert dataclasses.replace(both, seed=1).folds == 5
    assert identity.for_manifest(both)["folds"] == 5 and "folds" not in identity.for_manifest(
        config()
    )


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"folds": 1}, "2 to 20"),
        ({"folds": 21}, "2 to 20"),
        ({"splits": "folds:2.5"}, "2 to 20"),
        ({"splits": "folds:5,validation:0.1"}, "leave validation out"),
        ({"splits": "train:0.7,validation:0.3", "folds": 5}, "leave validation out"),
        ({"splits": "folds:5,folds:4"}, "once"),
        ({"splits": "train:0.5,folds:5"}, "in the place of train"),
        ({"splits": "folds:5", "folds": 4}, "once"),
        ({"splits": "folds:5,test:1"}, "above 0"),
    ],
)
def test_folds_that_cannot_be_are_refused(given_, message) -> None:
    with pytest.raises(Exception, match=message):
        config(**given_)
