"""Full disks at random byte counts: a small tmpfs where root may mount one, else a limit."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.torture import bench, case
from tests.torture.case import Case, Ended, Kind, Lost

# Room for every command here to end.
_ROOM = 256 << 20


@dataclass(frozen=True)
class Disk:
    """A place with little room.

    Attributes:
      path: to write to.
      mounted: a file system of its own; else each file is limited.
      size: bytes of it, or of each file.
    """

    path: Path
    mounted: bool
    size: int

    def run(self, module: str, *flags: str, output: Path | None = None) -> Ended:
        """Runs a command that finds no more room than this."""
        before: Callable[[], None] | None = None
        if not self.mounted:
            size = self.size

            def before() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        ended = case.finish(case.start(module, *flags, output=output, before=before))
        what = f"{module} with {self.size:,} bytes"
        ended.require_told(what)
        if ended.code == 1:
            _require_named(ended, self, what)
        return ended

    def grow(self) -> None:
        """Gives it room."""
        if self.mounted:
            _mount("-o", f"remount,size={_ROOM}", str(self.path))


@contextlib.contextmanager
def disk(folder: Path, size: int, *, mounted: bool) -> Iterator[Disk]:
    """Yields a place in `folder` with `size` bytes of room."""
    path = folder / "disk"
    path.mkdir()
    # A file system counts whole pages.
    size = max(4096, size)
    if mounted:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    try:
        yield Disk(path, mounted, size)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def may_mount() -> bool:
    """Returns whether this process may mount a file system."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _can_mount()


def _can_mount() -> bool:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4096", "tmpfs", folder], capture_output=True
        )
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _require_named(ended: Ended, disk: Disk, what: str) -> None:
    """Requires that the line names the place and says what to do."""
    line = ended.line
    named = str(disk.path) in line or "the standard output" in line or "temporary file" in line
    todo = any(word in line for word in ("free some", "Free some", "raise the limit", "again"))
    if not named or not todo:
        raise Lost(f"{what} does not say where and what to do: {ended.err[-500:]}")


def _choice(attempt: Case, rng: np.random.Generator, whole: int) -> tuple[int, bool]:
    """Returns how much room to give, and whether as a file system."""
    mounted = may_mount() and bool(rng.random() < 0.7)
    # Of a limit on each file only the small ones matter.
    most = whole * 1.5 if mounted else min(whole, 1 << 18)
    return int(np.exp(rng.uniform(np.log(4096), np.log(most)))), mounted


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def full_bake(attempt: Case) -> str:
    """Bakes onto a full disk, and again when there is room."""
    rng = attempt.rng("full-bake")
    size, mounted = _choice(attempt, rng, _bytes_below(attempt.bench / "o") * 3)
    with disk(attempt.folder, size, mounted=mounted) as place:
        output = place.path / "o"
        flags = bench.bake_flags(attempt.bench / "in", output)
        first = place.run(bench.BAKE, *flags)
        place.grow()
        if "is complete, but its report is not written" in first.err:
            case.run("evenshard", "report", str(output)).require_done("evenshard report")
        elif first.code != 0:
            case.run(bench.BAKE, *flags).require_done("the bake with room")
        bench.require_same_data_set(output, attempt.bench / "o")
        return _said(first)


def full_train(attempt: Case) -> str:
    """Trains onto a full disk, and again when there is room."""
    rng = attempt.rng("full-train")
    size, mounted = _choice(attempt, rng, _bytes_below(attempt.bench / "r"))
    with disk(attempt.folder, size, mounted=mounted) as place:
        run_dir = place.path / "r"
        flags = bench.train_flags(attempt.bench / "o", run_dir)
        first = place.run(bench.TRAIN, *flags)
        place.grow()
        case.run(bench.TRAIN, *flags).require_done("the training with room")
        bench.require_same_run(run_dir, attempt.bench / "r")
        return _said(first)


@dataclass(frozen=True)
class _Use:
    """A command that writes results.

    Attributes:
      name: shown.
      module: that is run.
      flags: of it, from the bench and the place to write to.
      finals: names of results, below that place, that are there whole or not at all.
      room: bytes that it needs, roughly.
      prints: it has no other result than what it prints, which goes to a file there.
    """

    name: str
    module: str
    flags: Callable[[Path, Path], list[str]]
    finals: tuple[str, ...]
    room: int
    prints: bool = False


_USES = (
    _Use("evaluate", "trainer.evaluate",
         lambda b, d: [f"--run_dir={b / 'r'}", "--split=test", f"--output_dir={d / 'e'}"],
         ("e/evaluation.json", "e/predictions.parquet", "e/report/index.html"), 1 << 20),
    _Use("predict", "trainer.predict",
         lambda b, d: [f"--run_dir={b / 'r'}", f"--input={b / 'in'}", f"--output={d / 's.csv'}",
                       "--top_k=2"], ("s.csv", "s.csv.top_k.csv"), 1 << 14),
    *(
        _Use(f"export {name}", "trainer.export",
             lambda b, d, name=name: [f"--run_dir={b / 'r'}", f"--output={d / 'x'}",
                                      f"--format={name}", "--parity_pictures=0"],
             (f"x/{file}", "x/export.json"), 1 << 19)
        for name, file in (("saved_model", "saved_model"), ("onnx", "model.onnx"),
                           ("litert", "model.tflite"))
    ),
    _Use("sweep", "trainer.sweep", lambda b, d: list(bench.sweep_flags(b, d / "s")),
         ("s/leaderboard.csv",), 1 << 20),
    _Use("inspect", "tfrecords.inspect", lambda b, d: [str(b / "o")], (), 1 << 12, prints=True),
    _Use("verify", "tfrecords.verify", lambda b, d: [str(b / "o")], (), 1 << 12, prints=True),
    _Use("benchmark", "trainer.benchmark",
         lambda b, d: [f"--data_dir={b / 'o'}", "--model=tests.support.networks.tiny:network",
                       "--batch_size=8", "--seconds=0.1", f"--json={d / 'b.json'}"],
         ("b.json",), 1 << 12),
)  # fmt: skip


def full_use(attempt: Case) -> str:
    """Runs one of the other commands onto a full disk, and again when there is room."""
    rng = attempt.rng("full-use")
    use = _USES[attempt.seed % len(_USES)]  # Each as often as another.
    size, mounted = _choice(attempt, rng, use.room)
    with disk(attempt.folder, size, mounted=mounted) as place:
        if use.prints and mounted:
            # So full that not a line goes in.
            with contextlib.suppress(OSError), open(place.path / "full", "wb", 0) as file:
                while file.write(bytes(4096)):
                    pass
        output = place.path / "out.txt" if use.prints else None
        flags = use.flags(attempt.bench, place.path)
        first = place.run(use.module, *flags, output=output)
        _require_whole_or_absent(place.path, use, first)
        place.grow()
        case.run(use.module, *flags).require_done(f"{use.name} with room")
        for name in use.finals:
            if not (place.path / name).exists():
                raise Lost(f"{use.name} with room wrote no {name}")
        case.require_clean(place.path)
        return f"{use.name}: {_said(first)}"


def _require_whole_or_absent(folder: Path, use: _Use, ended: Ended) -> None:
    """Requires that a file under its final name can be read to its end."""
    import json
    import zipfile

    case.require_clean(folder)
    for name in use.finals:
        path = folder / name
        if not path.exists():
            if ended.code == 0 and not use.prints:
                raise Lost(f"{use.name} ended well without {name}")
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv" and not path.read_text().endswith("\n"):
            raise Lost(f"{use.name}: half of {name} is there")
        elif path.suffix == ".tflite":
            zipfile.ZipFile(path).testzip()
        elif path.suffix == ".html" and "</html>" not in path.read_text():
            raise Lost(f"{use.name}: half of {name} is there")
        elif path.is_dir() and not (path / "assets.extra").exists():
            raise Lost(f"{use.name}: half of {name} is there")


def _said(ended: Ended) -> str:
    return "had room" if ended.code == 0 else "said so"


KINDS = (
    Kind("full-bake", "a bake onto a full disk, then with room", 2, full_bake),
    Kind("full-train", "a training onto a full disk, then with room", 2, full_train),
    Kind("full-use", "every other command onto a full disk, then with room", 3, full_use),
)
