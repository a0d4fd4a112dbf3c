from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs.train_configs import config
from tfrecords.errors import TrainerError
from trainer.train import batch_size


@given(st.integers(0, 5000))
def test_bisection_finds_the_largest_that_fits(limit: int) -> None:
    tried: list[int] = []

    def fits(batch: int) -> bool:
        tried.append(batch)
        return batch <= limit

    expected = max((n for n in batch_size.LADDER if n <= limit), default=None)
    assert batch_size.largest(batch_size.LADDER, fits) == expected
    assert len(tried) == len(set(tried)) <= 6


@pytest.mark.parametrize(
    ("records", "on_gpu", "parts", "found"),
    [(100_000, True, 1, 3072), (30_000, True, 1, 1536),
     (100_000, False, 1, 128), (1000, True, 1, 48), (10, True, 1, 1),
     (100_000, True, 9, None), (100, True, 3, 6)],
)  # fmt: skip
def test_memory_records_and_parts_limit_it(
    monkeypatch: pytest.MonkeyPatch, records: int, on_gpu: bool, parts: int, found: int | None
) -> None:
    monkeypatch.setattr(batch_size, "try_in_child", lambda c, s, n, batch: batch <= 4000)
    settings = config(batch_size="auto", grad_accum=parts)
    result = batch_size.find(settings, (32, 32), 5, records, on_gpu)
    assert result == (found or parts) or result % parts == 0
    if found:
        assert result == found


@pytest.mark.parametrize("limit", [700, 5000])
def test_a_trial_goes_beyond_512_where_memory_allows(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(batch_size, "try_in_child", lambda c, s, n, batch: batch <= limit)
    found = batch_size.find(config(batch_size="auto"), (32, 32), 5, 10**6, True)
    assert found == {700: 512, 5000: 4096}[limit]


def test_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "try_in_child", lambda *arguments: False)
    with pytest.raises(TrainerError, match="not even 1 fits"):
        batch_size.find(config(batch_size="auto"), (32, 32), 5, 100, True)


@pytest.mark.slow
def test_a_trial_fits_or_fails_for_a_reason() -> None:
    settings = config(model="tests.support.networks.tiny:network", batch_size="auto")
    assert batch_size.try_in_child(settings, (16, 16), 3, 4)
    with pytest.raises(TrainerError, match="trial of 4 failed: .*no.such"):
        batch_size.try_in_child(config(model="no.such:model", batch_size="auto"), (16, 16), 3, 4)


@pytest.mark.slow
def test_a_trial_that_does_not_fit() -> None:
    """16 TB of pixels fit no machine that runs this."""
    settings = config(model="tests.support.networks.tiny:network", batch_size="auto")
    assert not batch_size.try_in_child(settings, (40_000, 40_000), 3, 4096)
