"""A Flink cluster of several processes on this machine, made of jars that Maven fetched.

Maven Central has Flink's parts but not its distribution, so the three things that the
distribution's shell scripts do are done here: the module exports that Java 17 wants, a
configuration with every share of a TaskManager's memory, and waiting until all have registered.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

# What Flink 1.19's own conf/config.yaml opens for its serialiser, and two for Beam's.
OPENS = (
    "java.base/java.lang", "java.base/java.net", "java.base/java.io", "java.base/java.nio",
    "java.base/sun.nio.ch", "java.base/java.lang.reflect", "java.base/java.text",
    "java.base/java.time", "java.base/java.util", "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks",
)  # fmt: skip
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

_START_SECONDS = 60


def manifest(attributes: dict[str, str]) -> bytes:
    """Returns META-INF/MANIFEST.MF; lines of more than 72 bytes go on after a blank."""
    lines = [b"Manifest-Version: 1.0"]
    for name, value in attributes.items():
        rest = f"{name}: {value}".encode()
        first, rest = rest[:72], rest[72:]
        lines.append(first)
        while rest:
            lines.append(b" " + rest[:71])
            rest = rest[71:]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def write_job_server_jar(jars: Path, path: Path) -> Path:
    """Writes a jar that `java -jar` runs as Beam's Flink job server; it refers to all of `jars`.

    Raises:
      FileNotFoundError: there are no jars.
    """
    names = sorted(jar.resolve().as_uri() for jar in jars.glob("*.jar"))
    if not names:
        raise FileNotFoundError(f"{jars} holds no jars: run `make engines` first")
    attributes = {
        "Main-Class": JOB_SERVER,
        "Class-Path": " ".join(names),
        "Add-Opens": " ".join(OPENS),
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", manifest(attributes))
    return path


@dataclass
class FlinkCluster:
    """One JobManager and some TaskManagers, each a process; stopped when the block ends.

    Args:
      jars: folder of Flink's and Beam's jars.
      work_dir: takes configuration and logs; must exist.
      rest_port: the JobManager's, on which jobs are submitted.
      rpc_port: the JobManager's, on which TaskManagers register.
      task_managers: how many.
      slots: of each TaskManager.
      environment: of all processes.
    """

    jars: Path
    work_dir: Path
    rest_port: int
    rpc_port: int
    task_managers: int = 2
    slots: int = 2
    environment: dict[str, str] | None = None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What --flink_master takes."""
        return f"localhost:{self.rest_port}"

    def __enter__(self) -> FlinkCluster:
        (self.work_dir / "flink-conf.yaml").write_text(
            "".join(f"{name}: {value}\n" for name, value in self._settings().items())
        )
        try:
            self._start("jobmanager", JOB_MANAGER)
            for number in range(self.task_managers):
                self._start(f"taskmanager{number}", TASK_MANAGER)
            self._await_registration()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def kill_task_manager(self, number: int = 0) -> None:
        """Ends a TaskManager as a lost machine does: without a word."""
        victim = self._processes[1 + number]
        victim.kill()
        victim.wait()

    def restarts(self) -> int:
        """Returns how many faults the jobs of this cluster were restarted after."""
        total = 0
        for job in self._get("/jobs")["jobs"]:
            if job["status"] == "FINISHED":
                # A finished job's metrics are gone, its history is not.
                history = self._get(f"/jobs/{job['id']}/exceptions")["exceptionHistory"]
                total += len(history["entries"])
        return total

    def close(self) -> None:
        """Stops all processes: politely, then not."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _settings(self) -> dict[str, object]:
        return {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": self.rpc_port,
            "jobmanager.memory.heap.size": "256m",
            "rest.address": "localhost",
            "rest.port": self.rest_port,
            "rest.bind-address": "localhost",
            "taskmanager.host": "localhost",
            "taskmanager.numberOfTaskSlots": self.slots,
            # The distribution's scripts work these out of taskmanager.memory.process.size.
            "taskmanager.cpu.cores": 1.0,
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.task.heap.size": "256m",
            "taskmanager.memory.task.off-heap.size": "64m",
            # A bake at parallelism 2 needs 17 MB of buffers; all of it may land on one machine.
            # Two streams of the plan end in one step; all of it may have to fit one TaskManager.
            "taskmanager.memory.network.min": "192m",
            "taskmanager.memory.network.max": "192m",
            "taskmanager.memory.managed.size": "128m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            # One bake uses both TaskManagers, or killing one may hit an idle one.
            "taskmanager.load-balance.mode": "SLOTS",
            # A lost TaskManager is noticed after 5 s instead of 50.
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 5000,
            # Batch jobs are not restarted unless the cluster says so.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 5,
            "restart-strategy.fixed-delay.delay": "1 s",
            "blob.storage.directory": self.work_dir / "blobs",
            "io.tmp.dirs": self.work_dir,
        }

    def _start(self, name: str, main_class: str) -> None:
        opens = [f"--add-opens={module}=ALL-UNNAMED" for module in OPENS]
        with open(self.work_dir / f"{name}.log", "wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [
                        "java", "-Xmx512m", *opens, "-cp", f"{self.jars}/*", main_class,
                        "--configDir", str(self.work_dir),
                    ],
                    stdout=log, stderr=log, env=self.environment,
                )
            )  # fmt: skip

    def _await_registration(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._get("/overview")["taskmanagers"] >= self.task_managers:
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            if any(process.poll() is not None for process in self._processes):
                break
            time.sleep(0.2)
        raise RuntimeError(f"the Flink cluster did not start:\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-600:]}"
            for log in sorted(self.work_dir.glob("*.log"))
        )

    def _get(self, path: str) -> Any:
        # The address is this machine's; a proxy of the environment must not see it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self.address}{path}", timeout=5) as answer:
            return json.load(answer)
