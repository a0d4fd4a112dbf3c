from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.balance_policy import BalancePolicy
from tests.support.bakes.balance_policies import counts_lists, policies

COUNTS = np.array([3, 0, 155, 2_000])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (BalancePolicy(), [3, 0, 155, 2_000]),
        (BalancePolicy(min_per_class=300), [300, 0, 300, 2_000]),
        (BalancePolicy(max_per_class=300), [3, 0, 155, 300]),
        (BalancePolicy(300, 300), [300, 0, 300, 300]),
        (BalancePolicy(100, 300), [100, 0, 155, 300]),
        (BalancePolicy(power=1), [3, 0, 155, 2_000]),
        (BalancePolicy(power=0), [2_000, 0, 2_000, 2_000]),
        (BalancePolicy(power=0.5), [77, 0, 557, 2_000]),
        (BalancePolicy(power=0.5, max_per_class=700), [27, 0, 195, 700]),
        (BalancePolicy(effective_beta=0), [3, 0, 155, 2_000]),
        (BalancePolicy(effective_beta=0.999), [866, 0, 933, 2_000]),
        (BalancePolicy(effective_beta=1 - 1e-9), [2_000, 0, 2_000, 2_000]),
    ],
)
def test_targets(policy: BalancePolicy, expected: list[int]) -> None:
    assert policy.targets(COUNTS).tolist() == expected


def test_effective_number_targets_give_each_class_the_weight_of_the_balanced_loss() -> None:
    beta = 0.99
    targets = BalancePolicy(effective_beta=beta, max_per_class=10**9).targets(COUNTS)
    loss_weight = [n * (1 - beta) / (1 - beta**n) if n else 0 for n in COUNTS.tolist()]
    assert targets / targets.sum() == pytest.approx(loss_weight / np.sum(loss_weight), abs=1e-3)


@given(counts=counts_lists, policy=policies)
def test_targets_never_invent_or_drop_a_class(counts: list[int], policy: BalancePolicy) -> None:
    targets = policy.targets(np.array(counts))
    assert targets.dtype == np.int64
    assert np.array_equal(targets > 0, np.array(counts) > 0)
    if policy.max_per_class:
        assert targets.max() <= policy.max_per_class


@given(counts=counts_lists, alpha=st.floats(0, 1))
def test_power_keeps_the_order_of_classes_and_the_largest(counts: list[int], alpha: float) -> None:
    column = np.array(counts)
    targets = BalancePolicy(power=alpha).targets(column)
    assert targets[column.argmax()] == column.max()
    assert np.all(np.diff(targets[np.argsort(column)]) >= 0)
    assert np.all(targets >= column)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_per_class": 0}, "min_per_class must be 1 or more, not 0"),
        ({"max_per_class": -1}, "max_per_class must be 1 or more, not -1"),
        ({"min_per_class": 9, "max_per_class": 3}, "must not exceed max_per_class, not 9 and 3"),
        ({"power": 1.5}, "power must be 0 to 1, not 1.5"),
        ({"effective_beta": 1.0}, "below 1, not 1.0"),
        ({"power": 0.5, "effective_beta": 0.9}, "give one of"),
        ({"power": 0.5, "min_per_class": 9}, "give one of"),
    ],
)
def test_policy_refuses_nonsense(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BalancePolicy(**arguments)  # type: ignore[arg-type]  # Values of a table.


def test_targets_of_nothing() -> None:
    assert BalancePolicy(power=0.5).targets(np.zeros(0, int)).tolist() == []
    assert BalancePolicy(power=0.5).targets(np.zeros(2, int)).tolist() == [0, 0]
