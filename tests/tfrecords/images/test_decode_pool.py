"""Real processes that really die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tfrecords.errors import BakeError
from tfrecords.images import decode_pool
from tfrecords.images.canonicalise import RejectReason
from tfrecords.images.decode_pool import (
    ResultT,
    TaskQueue,
    TaskT,
    Watch,
    WorkerDiedError,
    WorkerPool,
    run_alone,
)


def decode_all(keys: tuple[str, ...], watch: Watch) -> dict[str, str]:
    """Decodes "keys": one called crash ends the process, one called hang never ends."""
    found = {}
    for key in keys:
        blamed = watch.blamed(key)
        if blamed is None:
            with watch.decoding(key):
                if key == "crash":
                    os.kill(os.getpid(), signal.SIGSEGV)
                if key == "hang":
                    # As the kernel would after decode_pool.DECODE_SECONDS.
                    os.kill(os.getpid(), signal.SIGALRM)
        found[key] = blamed.value if blamed else "ok"
    return found


def die_outside(keys: tuple[str, ...], watch: Watch) -> None:
    del keys, watch
    os._exit(3)


def raise_error(keys: tuple[str, ...], watch: Watch) -> None:
    del watch
    raise BakeError(f"cannot write {keys[0]}")


def note_once(path: str, watch: Watch) -> str:
    del watch
    with open(path, "x", encoding="utf-8"):  # Fails where the task has run before.
        return path


def wait_for(path: str, watch: Watch) -> None:
    del watch
    while not os.path.exists(path):
        time.sleep(0.01)


def run_all(
    pool: WorkerPool, work: decode_pool.Work[TaskT, ResultT], tasks: Sequence[TaskT]
) -> list[ResultT]:
    queue = TaskQueue(pool, work)
    return [result for task in tasks for result in queue.submit(task)] + list(queue.drain())


def test_results_keep_the_order_of_tasks() -> None:
    tasks = [(str(number),) for number in range(12)]
    assert run_all(WorkerPool(2), decode_all, tasks) == [{t[0]: "ok"} for t in tasks]


def test_a_picture_that_kills_its_process_costs_itself_only() -> None:
    tasks = [("a", "b"), ("c", "crash", "d", "hang", "e"), ("f",), ("g", "h"), ("i",), ("j",)]
    results = run_all(WorkerPool(2), decode_all, tasks)
    found = {key: value for result in results for key, value in result.items()}
    expected = dict.fromkeys("abcdefghij", "ok")
    expected["crash"] = RejectReason.DECODER_CRASHED.value
    expected["hang"] = RejectReason.DECODER_HUNG.value
    assert found == expected


def test_one_pool_serves_two_queues() -> None:
    pool = WorkerPool(1)
    first, second = TaskQueue(pool, decode_all), TaskQueue(pool, decode_all)
    assert not list(first.submit(("a",)))
    assert not list(second.submit(("b",)))
    assert list(first.drain()) == [{"a": "ok"}]
    assert list(second.drain()) == [{"b": "ok"}]


def test_tasks_that_begin_early_run_once(tmp_path: Path) -> None:
    pool, tasks = WorkerPool(2), [str(tmp_path / f"{number}") for number in range(6)]
    pool.warm_up()
    for task in tasks[:4]:
        pool.begin(note_once, task)
    equal = ["".join(list(task)) for task in tasks]  # As Beam gives them: equal, not the same.
    assert run_all(pool, note_once, equal) == tasks


def test_a_picture_that_kills_its_process_early_costs_itself_only() -> None:
    pool, tasks = WorkerPool(2), [("a",), ("b", "crash", "c"), ("d",), ("e",)]
    for task in tasks[:3]:
        pool.begin(decode_all, task)
    results = run_all(pool, decode_all, tasks)
    found = {key: value for result in results for key, value in result.items()}
    assert found == dict.fromkeys("abcde", "ok") | {"crash": RejectReason.DECODER_CRASHED.value}


def test_of_many_tasks_begun_a_death_costs_those_of_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = []

    def count(work: decode_pool.Work[Any, Any], task: tuple[str, ...], seconds: float) -> object:
        alone.append(task)
        return run_alone(work, task, seconds)

    monkeypatch.setattr(decode_pool, "run_alone", count)
    pool = WorkerPool(1)
    tasks = [("crash",), *((f"{number}",) for number in range(20))]
    for task in tasks:
        pool.begin(decode_all, task)
    results = run_all(pool, decode_all, tasks)
    assert [list(result.values()) for result in results[1:]] == [["ok"]] * 20
    assert results[0] == {"crash": RejectReason.DECODER_CRASHED.value}
    assert ("crash",) in alone and len(alone) <= 2


_GIVES_UP = """
import sys
from tfrecords.images.decode_pool import WorkerPool
from tests.tfrecords.images.test_decode_pool import note_once
if __name__ == "__main__":
    pool = WorkerPool(1)
    for number in range(500):
        pool.begin(note_once, f"{sys.argv[1]}/{number}")
    sys.exit("no more of this")
"""


def test_a_command_that_fails_does_not_wait_for_all_that_it_began(tmp_path: Path) -> None:
    program, notes = tmp_path / "gives_up.py", tmp_path / "notes"
    program.write_text(_GIVES_UP)
    notes.mkdir()
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, str(program), str(notes)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "no more of this\n")
    assert len(list(notes.iterdir())) < 100


def test_a_task_that_no_process_can_take_fails() -> None:
    pool = WorkerPool(workers=1)
    pool.warm_up()
    assert pool._executor is not None
    pool._executor.shutdown()  # As at the interpreter's end.
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.start(decode_all, ("a",)).result(timeout=60)


def test_the_alarm_ends_a_process_that_takes_too_long() -> None:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        with Watch(seconds=0.05).decoding("slow"):
            time.sleep(60)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGALRM


def test_a_death_outside_of_decoding_is_told() -> None:
    with pytest.raises(WorkerDiedError, match="exit code 3 outside of decoding: run .* again"):
        run_alone(die_outside, ("a",))


@pytest.mark.parametrize("alone", [True, False])
def test_an_error_arrives_as_it_was_raised(alone: bool) -> None:
    with pytest.raises(BakeError, match="^cannot write x$"):
        if alone:
            run_alone(raise_error, ("x",))
        else:
            run_all(WorkerPool(1), raise_error, [("x",)])


def test_processes_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """The parent is killed while its only process waits; then the process must be gone."""
    parent = os.fork()
    if parent == 0:
        pool = WorkerPool(1)
        pool.start(wait_for, str(tmp_path / "never"))
        pids = list(pool._running()._processes)
        (tmp_path / "child.tmp").write_text(str(pids[0]))
        os.rename(tmp_path / "child.tmp", tmp_path / "child")
        time.sleep(60)
    while not (tmp_path / "child").exists():
        time.sleep(0.01)
    child = int((tmp_path / "child").read_text())
    time.sleep(0.5)  # Past its imports, so that it watches its parent.
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for _ in range(1000):
        if not _running(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process outlived its parent")


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
