"""A slice of `make torture` small enough for every change, with a command's start or two a kind.

Kills and full disks of training are in tests/trainer, where they share a process; here are those
of the bake and of one command that only reads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.torture import bench, case, cell, damages, disks, hostile, kills, pairs, run
from tests.torture.case import Case, Ended, Kind, Lost
from tests.torture.config import TortureConfig
from tfrecords.errors import UsageError

QUICK = {"damage": (damages.damage, 60), "picture": (hostile.picture, 150),
         "archive": (hostile.archive, 60)}  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("torture")


@pytest.fixture(scope="module")
def baked(work: Path) -> Path:
    bench.make(work / "bench", frozenset({"bake"}))
    return work


def attempt(work: Path, kind: str, seed: int, function: Callable[[Case], str]) -> str:
    folder = work / f"{kind}-{seed}"
    folder.mkdir()
    (work / "bench").mkdir(exist_ok=True)
    return function(Case(seed, folder, work / "bench"))


@pytest.mark.parametrize("kind", QUICK)
def test_files_that_were_damaged_or_tampered_with(work: Path, kind: str) -> None:
    function, cases = QUICK[kind]
    # Seeds from 1: each 60th archive is baked by the command.
    for seed in range(1, cases):
        attempt(work, kind, seed, function)


def test_a_bake_that_is_killed(baked: Path) -> None:
    assert "kills" in attempt(baked, "kill-bake", 1, kills.kill_bake)


def test_a_bake_onto_a_full_disk(baked: Path) -> None:
    assert attempt(baked, "full-bake", 0, disks.full_bake) == "said so"


# The torture itself: it must see what it looks for.


@pytest.mark.parametrize(
    ("work_of_child", "text"),
    [
        (lambda: 1 // 0, "ZeroDivisionError"),
        (lambda: __import__("os").abort(), "SIGABRT"),
        (lambda: str(np.ones(2 << 30, np.uint8).sum()), "MemoryError"),
        (lambda: str(np.ones(150 << 20, np.uint8).sum()), "MiB of memory"),
        (lambda: (_ for _ in ()).throw(UsageError("two\nlines")), "several lines"),
    ],
)
def test_a_cell_loses_what_crashes_and_what_takes_too_much(
    work_of_child: Callable[[], str], text: str
) -> None:
    with pytest.raises(Lost, match=text):
        cell.confined(work_of_child, most_mib=100)
    assert cell.confined(lambda: "fine") == "fine"


@pytest.mark.parametrize(
    ("ended", "is_told"),
    [
        (Ended(0, "", "warning: odd\n"), True),
        (Ended(1, "", "error: one line\n"), True),
        (Ended(1, "", ""), False),
        (Ended(1, "", "error: a\nerror: b\n"), False),
        (Ended(1, "", "error: unexpected KeyError: x\n"), False),
        (Ended(0, "", "Traceback (most recent call last):\n"), False),
        (Ended(-11, "", "error: one line\n"), False),
    ],
)
def test_what_a_command_may_say(ended: Ended, is_told: bool) -> None:
    if is_told:
        ended.require_told("it")
        return
    with pytest.raises(Lost):
        ended.require_told("it")


def test_a_lost_byte_and_a_file_left_are_seen(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / "report").mkdir(parents=True)
        (tmp_path / name / "report" / "index.html").write_text("page")
        (tmp_path / name / "shard").write_bytes(b"1")
    bench.require_same_data_set(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "report" / ".tmp-1-x").write_text("half")
    with pytest.raises(Lost, match="temporary files are left"):
        bench.require_same_data_set(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "shard").write_bytes(b"2")
    with pytest.raises(Lost, match=r"\['shard'\]"):
        bench.require_same_data_set(tmp_path / "a", tmp_path / "b")


def test_kinds_are_chosen_by_name_or_begin() -> None:
    assert len(run.chosen("")) == len(run.KINDS) == len({kind.name for kind in run.KINDS})
    assert [kind.name for kind in run.chosen("kill,damage")] == [
        "damage", "kill-bake", "kill-train", "kill-sweep",
    ]  # fmt: skip
    assert [kind.name for kind in run.chosen("full-bake")] == ["full-bake"]
    with pytest.raises(UsageError, match="--only=nothing is none of damage, "):
        run.chosen("nothing")


def test_a_case_is_a_function_of_its_seed() -> None:
    first, second = (Case(7, Path("a"), Path("b")).rng("x").integers(9, size=9) for _ in "ab")
    assert first.tolist() == second.tolist()
    assert {kind.name for kind in pairs.KINDS} >= {"changing", "two-bakes"}


def _odd_ones_fail(attempted: Case) -> str:
    if attempted.seed % 2:
        raise Lost("it is odd")
    if attempted.seed == 4:
        raise KeyError("a bug of the torture")
    return "even"


def test_the_table_counts_and_names_the_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = Kind("odd", "seeds that are odd", 1, _odd_ones_fail, most=6)
    config = TortureConfig(minutes=1, workers=1)
    tallies = run.run(config, [kind], str(tmp_path))
    assert sorted(tallies["odd"].lost) == [1, 3, 4, 5]
    assert list(run.table([kind], tallies, 0))[2:] == [
        "| `odd` | seeds that are odd | 0 to 5 | 6 | 2 | 4 |"
    ]
    assert "lost: --only=odd --case=3: it is odd" in capsys.readouterr().err
    assert case.start.__doc__
