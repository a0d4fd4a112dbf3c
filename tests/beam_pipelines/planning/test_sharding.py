from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.planning import sharding

MIB = 2**20


def hashes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def assigned(hashed: np.ndarray, num_shards: int) -> tuple[np.ndarray, np.ndarray]:
    """Shard and position of each record, in the order of `hashed`."""
    order, *shard_and_position = sharding.assign(hashed, num_shards)
    shard, position = (column[np.argsort(order)] for column in shard_and_position)
    return shard, position


@given(records=st.integers(0, 500), num_shards=st.integers(1, 40), seed=st.integers(0, 9))
def test_every_position_is_filled_once(records: int, num_shards: int, seed: int) -> None:
    shard, position = assigned(hashes(records, seed), num_shards)
    assert shard.dtype == position.dtype == np.int32
    sizes = np.bincount(shard, minlength=num_shards)
    assert sizes.tolist() == sharding.shard_sizes(records, num_shards).tolist()
    assert sizes.max() - sizes.min() <= 1
    assert len({*zip(shard.tolist(), position.tolist(), strict=True)}) == records
    assert np.all(position < sizes[shard])


@given(seed=st.integers(0, 9))
def test_shards_do_not_depend_on_the_order_of_rows(seed: int) -> None:
    hashed = hashes(101, seed)
    shuffled = np.random.default_rng(seed).permutation(101)
    shard, position = assigned(hashed, 7)
    again = assigned(hashed[shuffled], 7)
    assert np.array_equal(again[0], shard[shuffled])
    assert np.array_equal(again[1], position[shuffled])


def test_any_shard_is_a_fair_sample_of_all_classes() -> None:
    counts = np.array([4_000, 2_000, 1_000, 500, 250, 250])
    class_ids = np.repeat(np.arange(6), counts)
    shard, _ = assigned(hashes(len(class_ids), 1), 8)
    table = np.zeros((8, 6))
    np.add.at(table, (shard, class_ids), 1)
    expected = counts / 8
    chi_square = ((table - expected) ** 2 / expected).sum()
    # 99.9th percentile of chi-square with (8 - 1) · (6 - 1) = 35 degrees of freedom.
    assert chi_square < 66.6
    # Rows arrive sorted by class: cut in that order, the same statistic is enormous.
    unmixed = np.zeros((8, 6))
    np.add.at(unmixed, (np.arange(len(class_ids)) // 1_000, class_ids), 1)
    assert ((unmixed - expected) ** 2 / expected).sum() > 10_000


@pytest.mark.parametrize(
    ("total_bytes", "records", "expected"),
    [
        (0, 0, 1),
        (1, 1, 1),
        (10 * MIB, 100, 1),  # 64 records a shard before a second reader pays
        (10 * MIB, 200, 3),
        (10 * MIB, 100_000, 8),
        (1_000 * MIB, 100_000, 16),
        (1_000 * MIB, 5, 5),  # five pictures of 200 MiB
    ],
)
def test_count_shards(total_bytes: int, records: int, expected: int) -> None:
    assert sharding.count_shards(total_bytes, records) == expected


@given(total_bytes=st.integers(0, 2**50), records=st.integers(0, 2**30), minimum=st.integers(1, 64))
def test_no_shard_is_empty_or_far_over_its_target(
    total_bytes: int, records: int, minimum: int
) -> None:
    count = sharding.count_shards(total_bytes, records, minimum)
    assert 1 <= count <= max(records, 1)
    assert total_bytes / count <= sharding.TARGET_SHARD_BYTES or count == max(records, 1)


@pytest.mark.parametrize("arguments", [(-1, 0), (0, -1), (0, 0, 0), (0, 0, 1, 0)])
def test_count_shards_refuses_nonsense(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="or more, not"):
        sharding.count_shards(*arguments)


def test_no_shards_are_refused() -> None:
    with pytest.raises(ValueError, match="1 shard or more"):
        sharding.assign(hashes(3, 0), 0)
