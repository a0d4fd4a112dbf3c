"""Worker processes that decode, for which a picture may crash or hang its decoder.

Decoders are native code on bytes from anywhere. When a process dies, the tasks that were under
way run again one by one in a process of their own, which writes the key of each picture to a
small file before it decodes it. If that process dies too, the file tells which picture it was,
and that picture is rejected.
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
from typing import Any, BinaryIO, Generic, TypeVar

from tfrecords.errors import EvenshardError
from tfrecords.images import kernels
from tfrecords.images.decoder_setup import prepare_worker
from tfrecords.images.rejects import RejectReason
from tfrecords.system import processes

# The slowest good picture seen, 178 million pixels of PNG, takes 4 s.
DECODE_SECONDS = 120.0

# Tasks of each process keep it busy while the one that gave them handles results.
_AHEAD = 2

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

# What processes do: a function of a module, so that they find it; tasks and results travel pickled.
Work = Callable[[TaskT, "Watch"], ResultT]


class WorkerDiedError(EvenshardError):
    """A worker process died, and not because of a picture."""


class Watch:
    """Knows which picture a process is decoding, and for how long.

    Args:
      seconds: the kernel ends the process after so many on one picture; None for never.
      file: takes the key under way, or None.
      blame: keys that are known to break the process, and how.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        file: BinaryIO | None = None,
        blame: Mapping[str, RejectReason] | None = None,
    ) -> None:
        self.seconds = seconds
        self._file = file
        self._blame = blame or {}

    @contextlib.contextmanager
    def decoding(self, key: str) -> Iterator[None]:
        """Watches over the decoding of `key`."""
        self._note(key)
        if self.seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            yield
        finally:
            if self.seconds is not None:
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
class _Job(Generic[TaskT, ResultT]):
    """A task on its way, and where its result goes."""

    work: Work[TaskT, ResultT]
    task: TaskT
    future: Future[ResultT]


class WorkerPool:
    """Processes that start with the first tasks and are replaced when one of them dies.

    Threads may share a pool; each has a `TaskQueue` of its own. However many tasks wait, the
    processes have two each: those are lost when one of them dies, and those alone delay the end
    of a command that fails.

    Args:
      workers: number of processes, at least 1.
      seconds: a picture that takes longer to decode is rejected.

    Raises:
      UsageError: of `kernels.check`: in a worker it would come late.
    """

    def __init__(self, workers: int, seconds: float = DECODE_SECONDS) -> None:
        kernels.check()
        self.workers = workers
        self.seconds = seconds
        self._executor: ProcessPoolExecutor | None = None
        self._begun: dict[tuple[Work[Any, Any], Any], Future[Any]] = {}
        self._waiting: deque[_Job[Any, Any]] = deque()
        self._under_way = 0
        # Reentrant, for a task may be over before `add_done_callback` returns.
        self._lock = threading.RLock()

    def warm_up(self) -> None:
        """Starts the processes before there is a task for them: each imports for a while."""
        with self._lock:
            for _ in range(self.workers):
                self._running().submit(os.getpid)

    def begin(self, work: Work[TaskT, ResultT], task: TaskT) -> None:
        """Begins a task before its result is asked for: `start` of an equal one gives it."""
        self._begun[work, task] = self.start(work, task)

    def start(self, work: Work[TaskT, ResultT], task: TaskT) -> Future[ResultT]:
        """Begins a task as soon as a process is free, unless it has begun already."""
        with self._lock:
            # Most tasks never have, and hashing one takes time.
            begun = self._begun.pop((work, task), None) if self._begun else None
            if begun is not None:
                return begun
            job: _Job[TaskT, ResultT] = _Job(work, task, Future())
            self._waiting.append(job)
            self._feed()
            return job.future

    def close(self) -> None:
        """Ends the processes; tasks that have not begun are given up."""
        with self._lock:
            for job in self._waiting:
                job.future.cancel()
            self._waiting.clear()
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

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

    def _submit(self, job: _Job[TaskT, ResultT]) -> tuple[ProcessPoolExecutor, Future[ResultT]]:
        executor = self._running()
        try:
            return executor, executor.submit(_watched, job.work, job.task, self.seconds)
        except BrokenProcessPool:
            self._executor = None
            executor = self._running()
            return executor, executor.submit(_watched, job.work, job.task, self.seconds)

    def _finish(
        self,
        executor: ProcessPoolExecutor,
        job: _Job[TaskT, ResultT],
        over: Future[ResultT],
    ) -> None:
        # A closed pool has cancelled what its processes had not begun.
        error = None if over.cancelled() else over.exception()
        with self._lock:
            self._under_way -= 1
            if isinstance(error, BrokenProcessPool) and self._executor is executor:
                self._executor = None
            self._feed()
        if over.cancelled():
            job.future.cancel()
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(over.result())

    def _running(self) -> ProcessPoolExecutor:
        if self._executor is None:
            # Read by the numpy of each process as it is imported: they share the cores already.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            self._executor = ProcessPoolExecutor(
                self.workers,
                mp_context=processes.spawn_context(),
                initializer=prepare_process,
            )
        return self._executor


class TaskQueue(Generic[TaskT, ResultT]):
    """Tasks of one kind on a pool; yields their results in order of submission.

    Args:
      pool: that runs them.
      work: what is done with each.
      ahead: tasks for each process that may be queued before a result is waited for.
    """

    def __init__(self, pool: WorkerPool, work: Work[TaskT, ResultT], ahead: int = _AHEAD) -> None:
        self._pool = pool
        self._work = work
        self._ahead = ahead
        self._pending: deque[tuple[TaskT, Future[ResultT]]] = deque()

    def submit(self, task: TaskT) -> Iterator[ResultT]:
        """Queues a task; yields results of earlier ones once enough are queued."""
        self._pending.append((task, self._pool.start(self._work, task)))
        while len(self._pending) > self._ahead * self._pool.workers:
            yield self._next()

    def drain(self) -> Iterator[ResultT]:
        """Yields the results that are still to come."""
        while self._pending:
            yield self._next()

    def _next(self) -> ResultT:
        task, future = self._pending.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            # Any of the pool's tasks may be at fault: each that was lost runs alone.
            return run_alone(self._work, task, self._pool.seconds)


def run_alone(work: Work[TaskT, ResultT], task: TaskT, seconds: float = DECODE_SECONDS) -> ResultT:
    """Runs a task in a process of its own, again without each picture that kills it.

    Raises:
      WorkerDiedError: the process dies outside of decoding.
    """
    blame: dict[str, RejectReason] = {}
    context = processes.spawn_context()
    with tempfile.TemporaryDirectory(prefix="evenshard-") as directory:
        path = os.path.join(directory, "key")
        while True:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_alone, args=(sender, work, task, seconds, path, blame)
            )
            process.start()
            sender.close()
            answer = _receive(receiver)
            process.join()
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                return answer.result
            key = key_under_way(path)
            if key is None or key in blame:
                raise WorkerDiedError(
                    f"a worker process ended with exit code {process.exitcode} outside of "
                    "decoding: run the same command again, with fewer --workers if memory ran out"
                )
            hung = process.exitcode == -signal.SIGALRM
            blame[key] = RejectReason.DECODER_HUNG if hung else RejectReason.DECODER_CRASHED


def prepare_process() -> None:
    """Makes a worker process quiet, interruptible from outside and mortal with its parent."""
    prepare_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A pool's process waits for ever on its queue when its parent is killed.
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _watched(work: Work[TaskT, ResultT], task: TaskT, seconds: float) -> ResultT:
    return work(task, Watch(seconds=seconds))


def _alone(
    sender: Connection,
    work: Work[TaskT, ResultT],
    task: TaskT,
    seconds: float,
    path: str,
    blame: Mapping[str, RejectReason],
) -> None:
    prepare_process()
    with open(path, "w+b", buffering=0) as file:
        try:
            watch = Watch(seconds=seconds, file=file, blame=blame)
            sender.send(_Answer(work(task, watch)))
        except Exception as error:
            sender.send(error)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[ResultT]):
    """The result of a task, which may be None or an exception itself."""

    result: ResultT


def _receive(receiver: Connection) -> _Answer[Any] | Exception | None:
    """Returns what a process answers; None if it dies before."""
    try:
        return receiver.recv()
    except EOFError:
        return None
