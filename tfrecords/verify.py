"""`python -m tfrecords.verify DIR`: reads every byte of a data set and names what is damaged."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import MISSING, dataclass
from pathlib import Path

from tfrecords import manifest, sizes
from tfrecords.checks import folds, ledger
from tfrecords.checks import shards as checks
from tfrecords.checks.shards import Images, Problem, ShardReport
from tfrecords.cli import flags, following, values
from tfrecords.cli.flags import flag
from tfrecords.cli.progress import Progress
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import EvenshardError
from tfrecords.manifest import SOURCES, Manifest, ShardInfo, SplitInfo
from tfrecords.schema import TRAIN
from tfrecords.system import cores, processes

# Below this a pool's start (0.2 s a process) costs more than it saves.
_POOL_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found.

    Attributes:
      manifest: of the data set.
      splits: those that were read.
      problems: all that is wrong, shard by shard; empty for a sound data set.
    """

    manifest: Manifest
    splits: tuple[SplitInfo, ...]
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def covers_all(self) -> bool:
        """Whether damage to any file is found: else an earlier version baked the data set."""
        return self.manifest.covers_itself


def verify(
    data_dir: str | Path,
    split: str | None = None,
    images: Images = Images.SAMPLE,
    workers: int = 1,
    advance: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Reads each shard once and compares it with the manifest and the ledger.

    Memory is that of one record, plus 28 bytes for each record read.

    Args:
      data_dir: the data set.
      split: the only one to read, or None for all.
      images: which are decoded.
      workers: processes that read shards; the result does not depend on it.
      advance: called with the bytes of each shard that is done.

    Raises:
      ManifestError: there is no readable manifest, or no such split.
    """
    root = Path(data_dir)
    found = manifest.load(root)
    splits = found.splits if split is None else (found.split(split),)
    reports = []
    for shard, report in _read_shards(root, found, splits, images, workers):
        reports.append(report)
        advance(shard.bytes)
    problems = [*checks.check_manifest(found), *checks.check_directory(root, found)]
    problems += [problem for report in reports for problem in report.problems]
    problems += _check_together(root, found, splits, reports)
    problems += checks.check_files(root, found, {problem.file for problem in problems})
    return Verdict(found, splits, tuple(problems))


def _read_shards(
    root: Path, found: Manifest, splits: Iterable[SplitInfo], images: Images, workers: int
) -> Iterator[tuple[ShardInfo, ShardReport]]:
    shards = [shard for split in splits for shard in split.shards]
    check = functools.partial(
        checks.check_shard, root, classes=len(found.classes), spec=found.image, images=images
    )
    if workers <= 1:
        yield from zip(shards, map(check, shards), strict=True)
        return
    # Spawned: a fork of a process with threads (Arrow's) may deadlock.
    with ProcessPoolExecutor(workers, mp_context=processes.spawn_context()) as pool:
        try:
            yield from zip(shards, pool.map(check, shards), strict=True)
        except BrokenProcessPool as error:
            raise EvenshardError(
                "a reading process was killed, most likely for lack of memory: "
                "try again with --workers=1"
            ) from error


def _check_together(
    root: Path, found: Manifest, splits: Iterable[SplitInfo], reports: Iterable[ShardReport]
) -> Iterator[Problem]:
    """Checks what spans shards. A split with a damaged shard has no counts worth a line."""
    intact = {report.filename: report.facts for report in reports if report.intact}
    complete = [
        split for split in splits if all(shard.filename in intact for shard in split.shards)
    ]
    for split in complete:
        folded = bool(found.folds) and split.name == TRAIN
        yield from checks.check_split(split, found.classes, intact, folded=folded)
        if folded:
            yield from folds.check_folds(found, intact)
    yield from checks.check_ids(root, intact)
    names = {split.name for split in splits}
    yield from ledger.check_ledger(root, found, intact, names)


_READ, _SPEED = "What to read", "How fast"


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """A verification. Fields are the flags of `evenshard verify`.

    Raises:
      UsageError: a value out of range.
    """

    data_dir: str = flag(
        MISSING, _READ, "A data set that `evenshard bake` wrote.", metavar="DIR", positional=True
    )
    split: str | None = flag(None, _READ, "Read this split only, e.g. train.", metavar="NAME")
    images: Images = flag(
        Images.SAMPLE, _READ, f"Images to decode; sample is one in {checks.SAMPLE_EVERY}."
    )
    workers: int | str = flag(
        "auto",
        _SPEED,
        "Processes that read shards; auto: one for each core if the data set is large.",
        metavar="auto|N",
        parse=values.number_or_word("auto", 1),
    )

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def run(config: VerifyConfig) -> Verdict:
    """Verifies a data set and shows how far it is; raises as `verify`."""
    found = manifest.load(config.data_dir)
    splits = found.splits if config.split is None else (found.split(config.split),)
    total = sum(split.bytes for split in splits)
    workers = (
        config.workers
        if isinstance(config.workers, int)
        else _auto_workers(total, sum(len(split.shards) for split in splits))
    )
    with Progress("verify", total, "B") as progress:
        return verify(config.data_dir, config.split, config.images, workers, progress.advance)


def main(config: VerifyConfig) -> int:
    """Runs the command; prints problems to standard output.

    Raises:
      EvenshardError: there are some.
    """
    verdict = run(config)
    for line in problem_lines(verdict.problems):
        print(line)
    if verdict.problems:
        raise EvenshardError(_failure(config.data_dir, verdict))
    print(_success(config.data_dir, verdict))
    if not verdict.covers_all:
        print(
            f"note: an earlier version baked it: the manifest has no digest of {SOURCES} and of "
            "itself, where damage may go unseen; baking again with --overwrite adds them"
        )
    print(following.training(config.data_dir, folded=bool(verdict.manifest.folds)))
    return DONE


def problem_lines(problems: Iterable[Problem]) -> Iterator[str]:
    """Yields a line for each problem, the first few of each file in full."""
    shown: Counter[str] = Counter()
    for problem in problems:
        shown[problem.file] += 1
        if shown[problem.file] <= checks.MAX_PROBLEMS_PER_FILE:
            yield str(problem)
    for file, count in shown.items():
        if count > checks.MAX_PROBLEMS_PER_FILE:
            yield f"{file}: and {count - checks.MAX_PROBLEMS_PER_FILE} more like these"


def _failure(data_dir: str, verdict: Verdict) -> str:
    count = len(verdict.problems)
    files = len({problem.file for problem in verdict.problems})
    return (
        f"{count} {'problem' if count == 1 else 'problems'} in {files} "
        f"{'file' if files == 1 else 'files'} of {data_dir}: copy the named files again from a "
        "sound data set, or bake again with --overwrite"
    )


def _success(data_dir: str, verdict: Verdict) -> str:
    records = sum(split.records for split in verdict.splits)
    shards = sum(len(split.shards) for split in verdict.splits)
    total = sum(split.bytes for split in verdict.splits)
    names = ", ".join(split.name for split in verdict.splits)
    return (
        f"{data_dir}: sound. {records:,} records in {shards:,} shards ({names}), "
        f"{sizes.readable(total)}, digest {verdict.manifest.digest[:12]}"
    )


def _auto_workers(total_bytes: int, shards: int) -> int:
    if total_bytes < _POOL_BYTES:
        return 1
    return min(cores.usable(), shards)


COMMAND = Command(
    module="tfrecords.verify",
    summary=(
        "Reads every shard of a data set once and checks it: the CRCs, size, sha256 and number of "
        "records; each record's label, id, rank and copy; counts per class; sources.parquet and "
        "the files for TFDS; digests; left-over files. Prints one line for each thing that is "
        "wrong. The report is not part of the data."
    ),
    arguments="DIR",
    config=VerifyConfig,
    main=main,
    notes="Exit code: 0 the data set is sound, 1 it is not (or cannot be read), 2 usage.",
    examples="evenshard verify out --images=all --workers=4",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
