from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.benchmark import advise as checkups
from trainer.benchmark import text as checkup_text
from trainer.benchmark.advise import Checkup, Host, Load, Rates, Stage

LOAD = Load(20_000, 12_000.0, (224, 224), (224, 224), "jpeg", "none", 64)
HOST = Host(cores=4, free_bytes=16e9, device="T4", on_gpu=True)


def stage(milliseconds: float, cores: int = 4) -> Stage:
    """A stage that uses all cores."""
    return Stage(cores / milliseconds * 1e3, milliseconds / 1e3)


# The input gives 2,000 pictures a second and the GPU takes 5,000.
RATES = Rates(
    disk=500e6,
    decode=stage(1.5),
    decode_raw=stage(0.1),
    augment=stage(0.4),
    whole=stage(2.0),
    steps={32: 4000.0, 64: 5000.0, 128: 5050.0},
    together=1980.0,
    waited=0.6,
)
STARVED = Checkup(LOAD, HOST, RATES)


def changed(checkup: Checkup, **changes: object) -> Checkup:
    """Returns a checkup with fields of its parts replaced, whichever part has them."""
    parts = {}
    for field in dataclasses.fields(checkup):
        part = getattr(checkup, field.name)
        own = {name: value for name, value in changes.items() if hasattr(part, name)}
        parts[field.name] = dataclasses.replace(part, **own)
    return Checkup(**parts)


def gains(checkup: Checkup) -> dict[str, float]:
    return {one.change: one.gain for one in checkups.advise(checkup) if one.possible}


def test_a_starved_gpu_is_fed_by_cache_raw_or_cores() -> None:
    found = gains(STARVED)
    # Decoded, only 0.4 ms remain: 10,000 a second, more than the 5,000 of the step.
    assert found["--cache=decoded"] == pytest.approx(1.5)
    assert found["10 cores for the input"] == pytest.approx(1.5)
    # 2.0 - 1.5 + 0.1 ms and 138.5 kB more to read a record.
    raw = 4 / (0.6e-3 + (224 * 224 * 3 - 12_000) / checkups.READ_BYTES)
    assert found["bake with --encoding=raw"] == pytest.approx(min(5000, raw) / 2000 - 1)
    assert "--batch_size=128" not in found
    assert checkups.verdict(STARVED).startswith("The step waits for input 60% of the time")


def test_a_fed_gpu_is_told_of_a_better_batch_only() -> None:
    fed = changed(STARVED, whole=stage(0.5), decode=stage(0.2), waited=0.0,
                  steps={64: 5000.0, 128: 6000.0})  # fmt: skip
    assert gains(fed) == {"--batch_size=128": pytest.approx(0.2)}
    assert checkups.verdict(fed) == "The GPU is the bottleneck; the input could feed 1.6 of them."


def test_on_a_cpu_step_and_input_share_the_cores() -> None:
    alone = changed(STARVED, on_gpu=False, steps={64: 1000.0}, waited=0.01)
    assert checkups.expected_rate(alone) == pytest.approx(1 / (1 / 1000 + 2e-3 / 4))
    found = gains(alone)
    assert found["--cache=decoded"] == pytest.approx((1 / 1000 + 2e-3 / 4) / (1.1e-3) - 1)
    assert not any("cores" in change for change in found)
    assert "33% of the time" in checkups.verdict(alone)


def test_a_cache_beyond_the_memory_is_named_last_and_refused() -> None:
    advice = checkups.advise(changed(STARVED, free_bytes=2e9))
    assert [one.change for one in advice if not one.possible] == ["--cache=decoded"]
    assert advice[-1].change == "--cache=decoded"
    text = checkup_text.render(changed(STARVED, free_bytes=2e9))
    assert "would gain +150%, but takes 2.8 GiB of memory; 1.9 GiB are free" in text


def test_a_slow_disk_counts_only_where_the_data_is_not_in_memory() -> None:
    slow = changed(STARVED, disk=12e6)
    assert checkups.expected_rate(slow) == pytest.approx(2000)
    large = changed(slow, records=10_000_000)
    assert checkups.expected_rate(large) == pytest.approx(1000)
    assert "the disk gives 11.4 MiB/s" in checkups.verdict(large)
    # Raw records are larger still: on such a disk they would make it worse.
    assert "bake with --encoding=raw" not in gains(large)


def test_shrinking_on_the_fly_is_answered_by_a_smaller_bake() -> None:
    found = gains(changed(STARVED, size=(112, 112)))
    assert found["bake with --image_size=112"] == pytest.approx(2.0 / (2.0 - 1.5 * 0.75) - 1)


@pytest.mark.parametrize("cache", ["encoded", "decoded"])
def test_what_is_done_already_is_not_advised(cache: str) -> None:
    assert f"--cache={cache}" not in gains(changed(STARVED, cache=cache))


milliseconds = st.floats(0.01, 50)


@given(milliseconds, milliseconds, milliseconds, st.floats(1, 1e5), st.floats(1e5, 1e10),
       st.booleans(), st.sampled_from(["none", "encoded", "decoded"]))  # fmt: skip
def test_no_advice_is_worthless_or_promises_more_than_the_step(
    decode: float, augment: float, read: float, step: float, disk: float, gpu: bool, cache: str
) -> None:
    checkup = changed(
        STARVED, decode=stage(decode), augment=stage(augment), disk=disk, on_gpu=gpu, cache=cache,
        whole=stage(decode + augment + read), steps={64: step},
    )  # fmt: skip
    now = checkups.expected_rate(checkup)
    for advice in checkups.advise(checkup):
        assert advice.gain >= checkups.WORTH
        assert now * (1 + advice.gain) <= step * 1.0001


def test_the_screen_holds_one_line_a_stage() -> None:
    lines = checkup_text.render(STARVED).splitlines()
    assert len(lines) < 25 and max(map(len, lines)) <= 100
    assert (
        "data     20,000 records of 224x224 jpeg, 11.7 KiB each, 228.9 MiB in all; cache none"
        in lines
    )
    assert any(line.startswith("augment") and "10,000" in line and "0.40" in line for line in lines)
    assert any("+150%  --cache=decoded" in line for line in lines)


def test_a_screen_without_advice_says_so() -> None:
    text = checkup_text.render(changed(STARVED, steps={64: 50.0}, waited=0.0))
    assert "would gain 5% here" in text
