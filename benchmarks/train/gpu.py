"""Training on a GPU: precision × XLA × memory, by `trainer.train`; on a CPU at toy size.

    python -m benchmarks.train.gpu [--model=resnet50] [--side=224] [--batch=64] [--rounds=3]

Each row is a run of the command; its pace and input-bound fraction are what it wrote into
metrics.csv for its last epoch, so what compiles is not in them. "GPU MiB" is the most that
nvidia-smi saw in use during the run. Without a GPU a small network at 32 px shows that the
benchmark runs; the numbers then mean nothing. Pictures are synthetic, as many as --steps need.
"""

from __future__ import annotations

import csv
import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from benchmarks import datasets
from benchmarks.harness import compare
from benchmarks.harness.compare import METRICS, Claim, Column, Competitor
from benchmarks.harness.paths import BENCH

OUT = BENCH / "out" / "gpu"
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

# The memory of the smallest GPU that the project is for.
LIMIT_MB = 4096

RATE = compare.reported("rate")


def training(name: str, data_dir: Path, batch: int, *flags: str) -> Competitor:
    """Returns a run of two epochs, the first to compile and warm up.

    XLA has no deterministic gradient of max pooling, so all run without determinism.
    """
    run_dir = OUT / compare.slug(name)
    argv = compare.python(
        "trainer.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}", "--recipe=scratch",
        "--epochs=2",
        f"--batch_size={batch}", "--deterministic=off", *flags,
    )  # fmt: skip

    def collect() -> Mapping[str, float]:
        with (run_dir / METRICS).open(encoding="utf-8", newline="") as file:
            last = list(csv.DictReader(file))[-1]
        return {"rate": float(last["images_per_second"]), "wait": 100 * float(last["input_wait"])}

    return Competitor(
        name, argv, clears=(run_dir,), environment={"TF_CPP_MIN_LOG_LEVEL": "2"}, collect=collect
    )


def variants(data_dir: Path, model: str, batch: int, on_gpu: bool) -> list[Competitor]:
    """Returns every combination that this machine can run."""
    made = []
    # Float16 on a CPU is emulated, a hundred times slower.
    precisions = PRECISIONS if on_gpu else PRECISIONS[:2]
    for precision, jit in itertools.product(precisions, (False, True)):
        flags = (f"--model={model}", f"--precision={precision}", *(["--jit_compile"] * jit))
        made.append(training(f"{precision}{', XLA' * jit}", data_dir, batch, *flags))
    if on_gpu:
        best = (f"--model={model}", "--precision=auto")
        made += [
            training("auto, growth off", data_dir, batch, *best, "--nomemory_growth"),
            training("auto, growth on", data_dir, batch, *best),
            training("auto, 4 GB", data_dir, batch, *best, f"--gpu_memory_limit_mb={LIMIT_MB}"),
            training("auto, cache decoded", data_dir, batch, *best, "--cache=decoded"),
        ]
    return made


class GpuMemory(threading.Thread):
    """Asks nvidia-smi, twice a second, how much memory of the first GPU is in use."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._ended = threading.Event()

    def run(self) -> None:
        query = [
            "nvidia-smi",
            "--query-gpu=memory.used",
            "--format=csv,noheader,nounits",
            "-i",
            "0",
        ]
        while not self._ended.wait(0.5):
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            if done.returncode:
                return
            self.peak = max(self.peak, int(done.stdout.split()[0]))

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self.join()


def gpu_name() -> str | None:
    """Returns the name of the first GPU, or None; asks the driver, which imports nothing."""
    if shutil.which("nvidia-smi") is None:
        return None
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", "-i", "0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None


def main() -> int:
    gpu = gpu_name()
    parser = compare.parser(__doc__, rounds=3 if gpu else 1)
    parser.add_argument("--model", default="resnet50" if gpu else "springfield_cnn")
    parser.add_argument("--side", type=int, default=224 if gpu else 32)
    parser.add_argument("--batch", type=int, default=64 if gpu else 16)
    parser.add_argument("--steps", type=int, default=100 if gpu else 10, help="of an epoch")
    flags = parser.parse_args()
    compare.warn_if_busy()
    if gpu is None:
        print("no GPU here: toy size on the CPU, to show that it runs", file=sys.stderr)
    # 80% of the pictures are to train on.
    count = max(400, flags.batch * flags.steps * 5 // 4)
    root = datasets.synthetic(count, (flags.side * 3 // 2, flags.side * 3 // 2))
    data_dir = datasets.baked(root, flags.side, "jpeg")
    competitors = variants(data_dir, flags.model, flags.batch, gpu is not None)
    runs: compare.Runs = {}
    memory: dict[str, int] = {}
    for _ in range(flags.rounds):
        for one in competitors:
            watch = GpuMemory()
            if gpu:
                watch.start()
            for name, usages in compare.compete([one], 1, f"gpu-{compare.slug(one.name)}").items():
                runs.setdefault(name, []).extend(usages)
            if gpu:
                watch.stop()
            memory[one.name] = max(memory.get(one.name, 0), watch.peak)
    columns = [
        Column("pictures/s", RATE, 0, spread=True),
        Column("input-bound %", compare.reported("wait"), 0),
        Column("wall s", compare.wall),
        Column("peak MiB", compare.peak_mib, 0),
    ]
    first = competitors[0].name
    claims = [
        Claim(f"{one.name} / {first}", one.name, first, RATE, RATE) for one in competitors[1:]
    ]
    about = {
        "gpu": gpu, "model": flags.model, "side": flags.side, "batch": flags.batch,
        "steps": flags.steps, "gpu_mib": memory,
    }  # fmt: skip
    where = "a GPU" if gpu else "a CPU, toy size"
    kept = compare.show(f"training on {where}", runs, columns, claims, RATE, about)
    if gpu:
        print("\n" + "\n".join(f"{name}: GPU memory {mib:,} MiB" for name, mib in memory.items()))
    compare.remove(OUT)
    return int(flags.strict and not kept)


if __name__ == "__main__":
    sys.exit(main())
