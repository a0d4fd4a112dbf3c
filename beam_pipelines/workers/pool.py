"""Worker processes, and what happens when one picture kills or hangs its decoder.

A process that decodes writes the picture's key to a small file first. When a process dies,
the tasks that were under way run again one by one in a process of their own; if one dies
again, the file tells which picture it was, and that picture is rejected.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, BinaryIO

from tfrecords.errors import BakeError
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import RejectReason

# The slowest good picture seen, 178 million pixels of PNG, takes 4 s.
DECODE_SECONDS = 120

# Tasks of each process keep it busy while the one that gave them handles results.
_AHEAD = 2

Task = Any
Result = Any
Work = Callable[[Task, "Watch"], Result]


class Watch:
    """Knows which picture a process is decoding, and for how long.

    Args:
      alarm: whether the kernel shall end the process after `DECODE_SECONDS` on one picture.
      file: takes the key under way, or None.
      blame: keys that are known to break the process, and how.
    """

    def __init__(
        self,
        *,
        alarm: bool = False,
        file: BinaryIO | None = None,
        blame: Mapping[str, RejectReason] | None = None,
    ) -> None:
        self._alarm = alarm
        self._file = file
        self._blame = blame or {}

    @contextlib.contextmanager
    def decoding(self, key: str) -> Iterator[None]:
        """Watches over the decoding of `key`."""
        self._note(key)
        if self._alarm:
            signal.setitimer(signal.ITIMER_REAL, DECODE_SECONDS)
        try:
            yield
        finally:
            if self._alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self._note("")

    def blamed(self, key: str) -> RejectReason | None:
        """Returns how `key` broke a process before, or None."""
        return self._blame.get(key)

    def _note(self, key: str) -> None:
        if self._file is not None:
            data = key.encode("utf-8", "surrogateescape")
            os.pwrite(self._file.fileno(), len(data).to_bytes(4, "little") + data, 0)


def key_under_way(path: str) -> str | None:
    """Returns the key that a dead process was decoding, or None if it was not."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        length = int.from_bytes(file.read(4), "little")
        if length:
            return file.read(length).decode("utf-8", "surrogateescape")
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A task on its way, and where its result goes."""

    work: Work
    task: Task
    future: Future[Result]


class WorkerPool:
    """Processes that start with the first tasks and are replaced when one of them dies.

    Threads may share a pool; each has a `TaskQueue` of its own. However many tasks wait, the
    processes have two each: those are lost when one of them dies, and those alone delay the end
    of a command that fails.

    Args:
      workers: number of processes, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None
        self._begun: dict[tuple[Work, Task], Future[Result]] = {}
        self._waiting: deque[_Job] = deque()
        self._under_way = 0
        # Reentrant, for a task may be over before `add_done_callback` returns.
        self._lock = threading.RLock()

    def warm_up(self) -> None:
        """Starts the processes before there is a task for them: each imports for a while."""
        with self._lock:
            for _ in range(self.workers):
                self._running().submit(os.getpid)

    def begin(self, work: Work, task: Task) -> None:
        """Begins a task before its result is asked for: `start` of an equal one gives it."""
        self._begun[work, task] = self.start(work, task)

    def start(self, work: Work, task: Task) -> Future[Result]:
        """Begins a task as soon as a process is free, unless it has begun already."""
        with self._lock:
            # Most tasks never have, and hashing one takes time.
            begun = self._begun.pop((work, task), None) if self._begun else None
            if begun is not None:
                return begun
            job = _Job(work, task, Future())
            self._waiting.append(job)
            self._feed()
            return job.future

    def _feed(self) -> None:
        """Hands waiting tasks to the processes."""
        while self._waiting and self._under_way < _AHEAD * self.workers:
            job = self._waiting.popleft()
            try:
                executor, running = self._submit(job)
            except RuntimeError as error:
                # No process to be had, as at the interpreter's end; nobody may wait for ever.
                job.future.set_exception(error)
                continue
            self._under_way += 1
            running.add_done_callback(functools.partial(self._finish, executor, job))

    def _submit(self, job: _Job) -> tuple[ProcessPoolExecutor, Future[Result]]:
        executor = self._running()
        try:
            return executor, executor.submit(_watched, job.work, job.task)
        except BrokenProcessPool:
            self._executor = None
            executor = self._running()
            return executor, executor.submit(_watched, job.work, job.task)

    def _finish(self, executor: ProcessPoolExecutor, job: _Job, over: Future[Result]) -> None:
        error = over.exception()
        with self._lock:
            self._under_way -= 1
            if isinstance(error, BrokenProcessPool) and self._executor is executor:
                self._executor = None
            self._feed()
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(over.result())

    def _running(self) -> ProcessPoolExecutor:
        if self._executor is None:
            # Read by the numpy of each process as it is imported: they share the cores already.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            self._executor = ProcessPoolExecutor(
                self.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=prepare_process,
            )
        return self._executor


class TaskQueue:
    """Tasks on a pool; yields their results in order of submission."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._pending: deque[tuple[Work, Task, Future[Result]]] = deque()

    def submit(self, work: Work, task: Task) -> Iterator[Result]:
        """Queues a task; yields results of earlier ones once enough are queued."""
        self._pending.append((work, task, self._pool.start(work, task)))
        while len(self._pending) > _AHEAD * self._pool.workers:
            yield self._next()

    def drain(self) -> Iterator[Result]:
        """Yields the results that are still to come."""
        while self._pending:
            yield self._next()

    def _next(self) -> Result:
        work, task, future = self._pending.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            # Any of the pool's tasks may be at fault: each that was lost runs alone.
            return run_alone(work, task)


def run_alone(work: Work, task: Task) -> Result:
    """Runs a task in a process of its own, again without each picture that kills it.

    Raises:
      BakeError: the process dies outside of decoding.
    """
    blame: dict[str, RejectReason] = {}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="evenshard-") as directory:
        path = os.path.join(directory, "key")
        while True:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_alone, args=(sender, work, task, path, blame))
            process.start()
            sender.close()
            answer = _receive(receiver)
            process.join()
            if answer is not None:
                return _unpacked(answer)
            key = key_under_way(path)
            if key is None or key in blame:
                raise BakeError(
                    f"a worker process ended with exit code {process.exitcode} outside of "
                    "decoding; if memory ran out, use fewer --workers; run the same command "
                    "again: it carries on"
                )
            hung = process.exitcode == -signal.SIGALRM
            blame[key] = RejectReason.DECODER_HUNG if hung else RejectReason.DECODER_CRASHED


def prepare_process() -> None:
    """Makes a worker process quiet, interruptible from outside and mortal with its parent."""
    canonicalise.prepare_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A pool's process waits for ever on its queue when its parent is killed.
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _watched(work: Work, task: Task) -> Result:
    return work(task, Watch(alarm=True))


def _alone(
    sender: Connection, work: Work, task: Task, path: str, blame: Mapping[str, RejectReason]
) -> None:
    prepare_process()
    with open(path, "w+b", buffering=0) as file:
        try:
            sender.send((work(task, Watch(alarm=True, file=file, blame=blame)), None))
        except Exception as error:
            sender.send((None, error))


def _receive(receiver: Connection) -> tuple[Result, Exception | None] | None:
    try:
        return receiver.recv()
    except EOFError:
        return None


def _unpacked(answer: tuple[Result, Exception | None]) -> Result:
    result, error = answer
    if error is not None:
        raise error
    return result
