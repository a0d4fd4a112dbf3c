from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.sweep import resources


@given(parallel=st.integers(2, 20), cores=st.lists(st.integers(0, 99), min_size=1, unique=True))
def test_cores_are_dealt_evenly_and_all(parallel: int, cores: list[int]) -> None:
    found = [share.cores for share in resources.assign(parallel, (), cores)]
    assert len(found) == parallel and all(found)
    if parallel <= len(cores):
        assert [core for share in found for core in share] == cores
        assert max(map(len, found)) - min(map(len, found)) <= 1
    else:
        dealt = [share[0] for share in found]
        counts = [dealt.count(core) for core in cores]
        assert max(counts) - min(counts) <= 1


def test_one_at_a_time_has_the_whole_machine() -> None:
    (share,) = resources.assign(1, ("0", "1"), range(8))
    assert (share.cores, dict(share.environment)) == ((), {})


def test_gpus_go_round_and_threads_match_cores() -> None:
    found = resources.assign(3, ("0", "GPU-8a"), range(6))
    assert [s.environment["CUDA_VISIBLE_DEVICES"] for s in found] == ["0", "GPU-8a", "0"]
    assert {s.environment["TF_NUM_INTRAOP_THREADS"] for s in found} == {"2"}
    assert found[1].label == "GPU GPU-8a, cores 2,3"


@pytest.mark.parametrize(
    ("given", "gpus"),
    [("", ()), ("-1", ()), ("2,5", ("2", "5")), ("0,-1,1", ("0",)), ("GPU-8a", ("GPU-8a",))],
)
def test_visible_gpus_are_those_allowed(
    given: str, gpus: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert resources.visible_gpus() == gpus
