"""Two commands at once on one directory, and files that change under a bake."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

import numpy as np

from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.torture import bench, case
from tests.torture.case import Case, Kind, Lost
from tfrecords import example, framing, ledger, manifest
from tfrecords.images import canonicalise
from tfrecords.ledger import KEPT


def two_bakes(attempt: Case) -> str:
    """Starts two bakes into one directory: one of them bakes, or both one after the other."""
    rng, output = attempt.rng("two-bakes"), attempt.folder / "o"
    flags = bench.bake_flags(attempt.bench / "in", output)
    first = case.start(bench.BAKE, *flags)
    time.sleep(float(rng.uniform(0, bench.seconds(attempt.bench, "o"))))
    second = case.finish(case.start(bench.BAKE, *flags))
    ended = case.finish(first)
    for each in (ended, second):
        each.require_told("one of two bakes")
    if ended.code and second.code:
        raise Lost(f"neither of two bakes ended well: {ended.line}; {second.line}")
    bench.require_same_data_set(output, attempt.bench / "o")
    return "one at a time" if ended.code == second.code == 0 else "one was refused"


def two_trainings(attempt: Case) -> str:
    """Starts two trainings in one run directory."""
    rng, run_dir = attempt.rng("two-trainings"), attempt.folder / "r"
    flags = bench.train_flags(attempt.bench / "o", run_dir)
    first = case.start(bench.TRAIN, *flags)
    time.sleep(float(rng.uniform(0, bench.seconds(attempt.bench, "r"))))
    second = case.finish(case.start(bench.TRAIN, *flags))
    ended = case.finish(first)
    for each in (ended, second):
        each.require_told("one of two trainings")
    if ended.code and second.code:
        raise Lost(f"neither of two trainings ended well: {ended.line}; {second.line}")
    bench.require_same_run(run_dir, attempt.bench / "r")
    return "one at a time" if ended.code == second.code == 0 else "one was refused"


def bake_and_verify(attempt: Case) -> str:
    """Verifies a data set while it is baked anew with another seed."""
    rng, output = attempt.rng("bake-and-verify"), attempt.folder / "o"
    shutil.copytree(attempt.bench / "o", output)
    flags = bench.bake_flags(attempt.bench / "in", output)
    process = case.start(bench.BAKE, *flags, "--overwrite", "--seed=1")
    said: set[str] = set()
    while process.poll() is None:
        time.sleep(float(rng.uniform(0, 0.5)))
        verdict = case.run("tfrecords.verify", str(output))
        verdict.require_told("verify")
        if verdict.code == 1 and "sound" not in verdict.out and process.poll() is None:
            said.add("being replaced")
            if verdict.out.strip() and "replaced" not in verdict.out + verdict.err:
                raise Lost(f"verify calls a data set damaged that is being replaced: {verdict.out}")
    case.finish(process).require_done("the bake with --overwrite")
    case.run("tfrecords.verify", str(output)).require_done("verify after the bake")
    return "and ".join(sorted(said)) or "sound before and after"


def changing(attempt: Case) -> str:
    """Changes, removes and adds files while they are baked: each record is of one of its states."""
    rng, root, output = attempt.rng("changing"), attempt.folder / "in", attempt.folder / "o"
    shutil.copytree(attempt.bench / "in", root)
    states: dict[str, list[bytes]] = {
        path.relative_to(root).as_posix(): [path.read_bytes()]
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    flags = bench.bake_flags(root, output)
    process = case.start(bench.BAKE, *flags)
    usual = bench.seconds(attempt.bench, "o")
    for number in range(int(rng.integers(1, 12))):
        time.sleep(float(rng.uniform(0, usual / 6)))
        _change(rng, root, states, number)
    ended = case.finish(process)
    ended.require_told("the bake of changing files")
    if ended.code == 0:
        _require_no_mix(output, states)
        case.run("tfrecords.verify", str(output)).require_done("verify")
    again = case.run(bench.BAKE, *flags, "--overwrite")
    again.require_done("the bake of changed files")
    fresh = attempt.folder / "fresh"
    case.run(bench.BAKE, *bench.bake_flags(root, fresh)).require_done("a fresh bake")
    if commands.digests(output) != commands.digests(fresh):
        raise Lost("a bake after files changed differs from a fresh one of the same files")
    return "baked" if ended.code == 0 else "stopped with a line"


def _change(
    rng: np.random.Generator, root: Path, states: dict[str, list[bytes]], number: int
) -> None:
    key = sorted(states)[int(rng.integers(len(states)))]
    path, what = root / key, rng.integers(5)
    new = fakes.picture_bytes(f"new {number}", height=40, width=40)
    if what == 0:
        path.unlink(missing_ok=True)
    elif what == 1:
        key = f"carl/new{number}.jpg"
        (root / key).write_bytes(new)
        states[key] = [new]
    elif what == 2:  # As cp does it: half of it can be read.
        with open(path, "wb") as file:
            file.write(new[: len(new) // 2])
            file.flush()
            time.sleep(0.02)
            file.write(new[len(new) // 2 :])
        states[key].append(new)
    elif what == 3:  # As rsync does it.
        half = path.with_name(f".{number}")
        half.write_bytes(new)
        half.rename(path)
        states[key].append(new)
    elif path.exists():
        with open(path, "ab") as file:
            file.write(b"more")
        states[key].append(path.read_bytes())


def _require_no_mix(output: Path, states: dict[str, list[bytes]]) -> None:
    """Requires that each record holds the picture of the bytes whose digest the ledger has."""
    found = manifest.load(output)
    rows = {row["key"]: row for row in ledger.read(output).to_pylist()}
    by_digest = {
        hashlib.sha256(data).hexdigest(): data for each in states.values() for data in each
    }
    for split in found.splits:
        for shard in split.shards:
            for payload in framing.read_records(str(output / shard.filename)):
                record = example.decode(payload)
                if record.copy:
                    continue
                row = rows[record.id]
                data = by_digest.get(row["sha256"])
                if data is None or data not in states[record.id]:
                    raise Lost(f"{record.id} is baked from bytes that it never had")
                made = canonicalise.canonicalise(data, found.image, canonicalise.PixelLimits())
                if made.data != record.image:
                    raise Lost(f"{record.id} is not the picture whose digest the ledger has")
    kept = sum(row["status"] == KEPT for row in rows.values())
    if kept != found.statuses.get(KEPT):
        raise Lost("the ledger and the manifest differ")


KINDS = (
    Kind("two-bakes", "two bakes into one directory", 1, two_bakes),
    Kind("two-trainings", "two trainings in one run", 1, two_trainings),
    Kind("bake-and-verify", "verify while the data set is baked anew", 1, bake_and_verify),
    Kind("changing", "files changed, added, removed under the bake", 2, changing),
)
