from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.balance_policy import BalancePolicy
from beam_pipelines.planning.balance import plan_copies, ranks
from tests.support.bakes.balance_policies import counts_lists, policies


def train_columns(counts: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns class_ids, split and rank of `counts` originals in train and some elsewhere."""
    rng = np.random.default_rng(seed)
    class_ids = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    split = np.zeros(len(class_ids), np.int8)
    others = rng.integers(0, len(counts), 10).astype(np.int32)
    class_ids = np.concatenate([class_ids, others])
    split = np.concatenate([split, rng.integers(1, 3, 10).astype(np.int8)])
    shuffled = rng.permutation(len(split))
    order = rng.integers(0, 2**64, len(split), np.uint64)
    class_ids, split = class_ids[shuffled], split[shuffled]
    return class_ids, split, ranks(class_ids, order, split)


@given(counts=counts_lists, seed=st.integers(0, 99))
def test_ranks_number_each_class_of_each_split(counts: list[int], seed: int) -> None:
    class_ids, split, rank = train_columns(counts, seed)
    for cell in {*zip(class_ids.tolist(), split.tolist(), strict=True)}:
        inside = (class_ids == cell[0]) & (split == cell[1])
        assert sorted(rank[inside].tolist()) == list(range(inside.sum()))


def test_ranks_follow_the_order() -> None:
    order = np.array([5, 2**64 - 1, 3, 0], np.uint64)
    got = ranks(np.array([0, 0, 0, 1], np.int32), order, np.zeros(4, np.int8))
    assert got.tolist() == [1, 2, 0, 0]
    empty = ranks(np.zeros(0, np.int32), np.zeros(0, np.uint64), np.zeros(0, np.int8))
    assert empty.tolist() == []


def train_records(
    class_ids: np.ndarray, split: np.ndarray, rank: np.ndarray, policy: BalancePolicy
) -> set[tuple[int, int, int, int]]:
    """Returns (class, rank, row, copy) of every record in train."""
    counts = np.bincount(class_ids[split == 0], minlength=class_ids.max() + 1)
    plan = plan_copies(class_ids, split, rank, policy.targets(counts))
    kept = np.flatnonzero((split == 0) & ~plan.capped)
    originals = [(class_ids[row], rank[row], row, 0) for row in kept]
    copies = zip(class_ids[plan.row], plan.rank, plan.row, plan.copy, strict=True)
    records = [tuple(map(int, record)) for record in [*originals, *copies]]
    assert len(set(records)) == len(records)
    return set(records)  # type: ignore[arg-type]  # Tuples of four.


@given(
    counts=counts_lists, seed=st.integers(0, 99), small=st.integers(1, 90), more=st.integers(0, 90)
)
def test_selection_by_rank_is_the_bake_at_that_number(
    counts: list[int], seed: int, small: int, more: int
) -> None:
    columns = train_columns(counts, seed)
    large_bake = train_records(*columns, BalancePolicy(small + more, small + more))
    small_bake = train_records(*columns, BalancePolicy(small, small))
    assert {record for record in large_bake if record[1] < small} == small_bake


@given(counts=counts_lists, seed=st.integers(0, 99), policy=policies)
def test_copies_come_in_rounds_and_meet_the_targets(
    counts: list[int], seed: int, policy: BalancePolicy
) -> None:
    class_ids, split, rank = train_columns(counts, seed)
    records = train_records(class_ids, split, rank, policy)
    targets = policy.targets(np.array(counts))
    for label, count in enumerate(counts):
        of_class = sorted(record[1:] for record in records if record[0] == label)
        assert [r for r, _, _ in of_class] == list(range(targets[label]))
        assert [copy for _, _, copy in of_class] == [r // count for r, _, _ in of_class]
        assert all(rank[row] == r % count and split[row] == 0 for r, row, _ in of_class)


def test_capped_rows_are_of_train_only() -> None:
    class_ids, split = np.zeros(6, np.int32), np.array([0, 0, 0, 1, 1, 1], np.int8)
    plan = plan_copies(class_ids, split, np.array([0, 1, 2, 0, 1, 2]), np.array([1]))
    assert plan.capped.tolist() == [False, True, True, False, False, False]
    assert plan.row.tolist() == plan.copy.tolist() == plan.rank.tolist() == []


def test_copies_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="class 1 has no original in train"):
        plan_copies(np.zeros(1, np.int32), np.zeros(1, np.int8), np.zeros(1, int), np.array([1, 2]))
