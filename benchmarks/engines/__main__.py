"""Bakes one folder on several engines and prints the digests side by side.

    make engines                                                   everything, fetched first
    python -m benchmarks.engines [FOLDER] [--engines=NAME,…] [prepare's flags…]

Without FOLDER some hundred pictures are drawn. Every engine is a real one, on this machine:

    local1, local2   Beam's local runner with one and two processes
    prism            Beam's Prism, with workers inside the command
    flink            embedded Flink, with workers inside the command (LOOPBACK)
    flink-pool       embedded Flink, with workers of a worker pool (EXTERNAL)
    flink-cluster    a JobManager and two TaskManagers that start worker processes (PROCESS)
    flink-kill       the same; one TaskManager is killed while it decodes

Exits 1 if any file differs from the first engine's, an engine fails, or a process is left over.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines.flink_cluster import FlinkCluster, write_job_server_jar
from tests.support.datasets import fakes

ENGINES = ("local1", "local2", "prism", "flink", "flink-pool", "flink-cluster", "flink-kill")
# Copies, duplicates of size and a class of three: every step has work. About 8 MB.
CLASSES = {"apu": 260, "bart": 110, "carl": 27, "duff": 3}
SIDE = 320
FLAGS = ("--image_size=128", "--per_class=90")

# A mark in the environment of all that an engine starts, by which a left-over is found.
_MARK = "EVENSHARD_ENGINES"
_BAKE_SECONDS = 600
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Bench:
    """What all engines share.

    Attributes:
      folder: of pictures.
      root: scratch folder; each engine bakes into one of its name.
      tools: folder with prism and flink/*.jar.
      flags: of prepare.
      environment: of every process.
    """

    folder: Path
    root: Path
    tools: Path
    flags: tuple[str, ...]
    environment: dict[str, str]

    def command(self, name: str, *flags: str) -> list[str]:
        """Returns the bake that writes to the engine's own folder."""
        return [
            sys.executable, "-m", "beam_pipelines.prepare", f"--input_dir={self.folder}",
            f"--output_dir={self.root / name}", *self.flags, *flags,
        ]  # fmt: skip

    @property
    def boot(self) -> str:
        """A command that starts a worker with this very Python: `evenshard-worker`, uninstalled."""
        path = self.root / "boot"
        path.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m beam_pipelines.worker "$@"\n'
        )
        path.chmod(0o755)
        return str(path)

    def scratch(self, name: str) -> Path:
        """Returns a new folder beside the data sets."""
        path = self.root / f"{name}.work"
        path.mkdir()
        return path


@dataclass(frozen=True)
class Outcome:
    """One engine's bake.

    Attributes:
      seconds: from the command's start to its end, engine start excluded where it is a cluster.
      digests: file → sha256, of everything but the report.
      note: what else happened, or why it failed.
    """

    seconds: float
    digests: dict[str, str]
    note: str = ""


def digests(data_dir: Path) -> dict[str, str]:
    """Returns file → sha256 of everything that a bake promises to be the same."""
    if not data_dir.is_dir():
        return {}
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(data_dir.iterdir())
        if path.is_file()
    }


def different(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Returns the files that are not the same in both, or are in one only."""
    names = sorted(expected.keys() | found.keys())
    return [name for name in names if expected.get(name) != found.get(name)]


def run(name: str, bench: Bench) -> Outcome:
    """Bakes on the engine of that name."""
    if name.startswith("local"):
        return bake(bench, name, [f"--workers={name.removeprefix('local')}"])
    if name == "prism":
        location = bench.tools / "prism"
        return bake(bench, name, ["--runner=PrismRunner", f"--prism_location={location}"])
    flink = [
        "--runner=FlinkRunner",
        f"--flink_job_server_jar={bench.tools / 'flink-job-server.jar'}",
        "--parallelism=2",
    ]
    write_job_server_jar(bench.tools / "flink", bench.tools / "flink-job-server.jar")
    if name == "flink":
        return bake(bench, name, [*flink, "--flink_master=[local]"])
    if name == "flink-pool":
        with worker_pool(bench) as address:
            external = ["--environment_type=EXTERNAL", f"--environment_config={address}"]
            return bake(bench, name, [*flink, "--flink_master=[local]", *external])
    process = [
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps({'command': bench.boot})}",
    ]
    with cluster(bench, name) as found:
        flags = [*flink, f"--flink_master={found.address}", *process]
        if name == "flink-cluster":
            return bake(bench, name, flags)
        return bake_killed(bench, name, flags, found)


def bake(
    bench: Bench, name: str, flags: Sequence[str], meanwhile: Callable[[], str] | None = None
) -> Outcome:
    """Runs one bake to its end; `meanwhile` runs beside it and returns a note."""
    start = time.perf_counter()
    log = bench.root / f"{name}.log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            bench.command(name, *flags), stdout=file, stderr=file, env=bench.environment
        )
        try:
            note = meanwhile() if meanwhile is not None else ""
            code = process.wait(_BAKE_SECONDS)
        except subprocess.TimeoutExpired:
            note, code = f"no end after {_BAKE_SECONDS} s", -1
        finally:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - start
    if code:
        text = log.read_text(errors="replace").strip()
        return Outcome(seconds, {}, f"{note or f'exit code {code}'}: {text[-2000:]}")
    return Outcome(seconds, digests(bench.root / name), note)


def bake_killed(bench: Bench, name: str, flags: Sequence[str], flink: FlinkCluster) -> Outcome:
    """Bakes while a TaskManager is killed as soon as the first pack is on disk."""
    cache = bench.root / name / ".cache"

    def packs() -> int:
        return len(list(cache.glob("canonical-*/*.facts*")))

    def kill() -> str:
        deadline = time.monotonic() + _BAKE_SECONDS
        while not packs() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        done = packs()
        flink.kill_task_manager()
        return f"killed a TaskManager after {done} packs"

    outcome = bake(bench, name, flags, kill)
    restarts = flink.restarts()
    note = f"{outcome.note}; {restarts} restart{'s' * (restarts != 1)}"
    # Without a restart the kill came too early or too late, and nothing was shown.
    return Outcome(outcome.seconds, outcome.digests if restarts else {}, note)


@contextlib.contextmanager
def cluster(bench: Bench, name: str) -> Iterator[FlinkCluster]:
    """Yields a running cluster of two TaskManagers with two slots each."""
    rest, rpc = free_ports(2)
    with FlinkCluster(
        bench.tools / "flink", bench.scratch(name), rest, rpc, environment=bench.environment
    ) as found:
        yield found


@contextlib.contextmanager
def worker_pool(bench: Bench) -> Iterator[str]:
    """Yields host:port of Beam's worker pool, which starts our boot command for each worker."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main",
            f"--service_port={port}", f"--container_executable={bench.boot}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bench.environment,
    )  # fmt: skip
    try:
        yield f"localhost:{port}"
    finally:
        # Its own exit handler, which ends its workers, runs on Ctrl-C only.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for found in sockets:
            found.bind(("localhost", 0))
        return [found.getsockname()[1] for found in sockets]


def marked_processes(mark: str) -> dict[int, str]:
    """Returns process id → command line of what carries the mark in its environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(entry.name)] = line
    return found


def left_over(mark: str, seconds: float = 10) -> dict[int, str]:
    """Returns what still runs after a grace period, and ends it."""
    deadline = time.monotonic() + seconds
    while (found := marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--engines", default=",".join(ENGINES), metavar="NAME,…")
    parser.add_argument("--tools", type=Path, default=Path(".engines"), metavar="DIR")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the engines' logs there")
    options, flags = parser.parse_known_args()
    names = options.engines.split(",")
    if unknown := [name for name in names if name not in ENGINES]:
        parser.error(f"--engines knows {', '.join(ENGINES)}; not {', '.join(unknown)}")
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        root = Path(temporary)
        folder = options.folder or fakes.write_folders(root / "pictures", CLASSES, side=SIDE)
        bench = Bench(
            folder=folder.resolve(),
            root=root,
            tools=options.tools.resolve(),
            flags=tuple(flags or FLAGS),
            environment={**os.environ, _MARK: mark},
        )
        good = compare(names, bench, mark)
        if options.logs:
            keep_logs(root, options.logs)
    return 0 if good else 1


def compare(names: Sequence[str], bench: Bench, mark: str) -> bool:
    """Bakes on each engine, prints a line for each, and returns whether all is well."""
    print(f"{'engine':14} {'seconds':>7}  {'manifest sha256':16}  files")
    expected: dict[str, str] = {}
    good = True
    for name in names:
        outcome = run(name, bench)
        expected = expected or outcome.digests
        wrong = different(expected, outcome.digests) or ([] if outcome.digests else ["all"])
        said = f"{', '.join(wrong[:3])} differ" if wrong else f"{len(outcome.digests)} the same"
        manifest = outcome.digests.get("manifest.json", "none")[:16]
        note = f"; {outcome.note}" if outcome.note else ""
        print(f"{name:14} {outcome.seconds:7.1f}  {manifest:16}  {said}{note}", flush=True)
        rest = left_over(mark)
        for process, line in rest.items():
            print(f"{'':14} left over: process {process}: {line[:100]}", flush=True)
        good = good and not wrong and not rest
    return good


def keep_logs(root: Path, folder: Path) -> None:
    """Copies what the engines wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    for log in root.rglob("*.log"):
        (folder / "-".join(log.relative_to(root).parts)).write_bytes(log.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
