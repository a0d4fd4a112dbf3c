"""What commands leave on disk that can be made again, or is wanted no more: found and removed.

A thing is listed only where its contents show that this distribution wrote it; a name alone is
not enough. Nothing that a process holds is listed as free to go.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import UsageError
from tfrecords.system import atomic, locks

# Of a data set. The names are those of `beam_pipelines.cache.layout`, `trainer.features.store`,
# `trainer.runs.directory` and `trainer.runs.replaced`, which a test compares: importing those
# would bring Beam's and TensorFlow's side in.
CACHE, CACHE_LOCK = ".cache", "lock"
FEATURES, LOCK = ".features", ".lock"
OLD, REPLACES = ".old-", ".replaces"

# Seconds without a change after which a temporary file is nobody's any more: writers of ours end
# within seconds, exports within minutes.
_ABANDONED_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that may go.

    Attributes:
      path: of it.
      what: it is, and what follows from removing it.
      bytes: on disk.
      kept_for: why it must stay for now; "" if it may go.
      lock: that is held while it is removed; None for none.
    """

    path: Path
    what: str
    bytes: int
    kept_for: str = ""
    lock: Path | None = None


def find(root: Path, now: float | None = None) -> list[Leftover]:
    """Returns what may go below a folder, by path; symbolic links are not followed.

    Args:
      root: a data set, a run, or any folder above them.
      now: seconds since the epoch; the clock's by default.

    Raises:
      UsageError: the folder is absent.
    """
    if not root.is_dir():
        raise UsageError(
            f"{root} is not a folder: a data set, a run or a folder above them is expected"
        )
    return sorted(_walk(root, time.time() if now is None else now), key=lambda found: found.path)


def remove(found: Leftover) -> None:
    """Removes what was found.

    Raises:
      LockedError: a process has taken it since.
      OSError: it cannot be removed.
    """
    if found.lock is None or not found.lock.exists():
        _delete(found.path)
        return
    with locks.locked(found.lock, taken=f"{found.path} has come into use", advice="left alone"):
        _delete(found.path)
    if found.path.parent.name == FEATURES and not any(found.path.parent.iterdir()):
        found.path.parent.rmdir()


def size(path: Path) -> int:
    """Returns the bytes that a file or folder takes on disk; sparse files take what is written."""
    if path.is_symlink() or not path.is_dir():
        return _blocks(path)
    return sum(_blocks(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _walk(root: Path, now: float) -> Iterator[Leftover]:
    for name, folders, files in os.walk(root):
        folder = Path(name)
        held = _held(folder)
        for each in list(folders):
            found = list(_of_folder(folder / each, now, held))
            if found or os.path.islink(folder / each):
                folders.remove(each)  # Its inside is part of what was found.
            yield from found
        for each in files:
            if atomic.is_ours(each):
                yield from _temporary(folder / each, now, held)


def _of_folder(path: Path, now: float, held: str) -> Iterator[Leftover]:
    if path.is_symlink():
        return
    if path.name == CACHE and locks.holder(path / CACHE_LOCK) is not None:
        yield _cache(path)
    elif path.name == FEATURES:
        yield from _features(path)
    elif OLD in path.name and _is_run(path):
        yield from _old_run(path)
    elif atomic.is_ours(path.name):
        yield from _temporary(path, now, held)


def _cache(path: Path) -> Leftover:
    is_complete = (path.parent / "manifest.json").is_file()
    what = (
        "cache of a bake; without it the next bake decodes the pictures again"
        if is_complete
        else "work of a bake that is not finished; without it that bake starts again"
    )
    return _lockable(path, what, path / CACHE_LOCK)


def _features(path: Path) -> Iterator[Leftover]:
    for each in sorted(path.iterdir()):
        if each.is_dir() and not each.is_symlink() and locks.holder(each / LOCK) is not None:
            yield _lockable(each, f"features of {_network(each)}; computed again", each / LOCK)


def _network(folder: Path) -> str:
    """Returns of which network and split features are, as far as they say."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        words = [str(about[name]) for name in ("model", "split") if about.get(name)]
    except (OSError, ValueError, AttributeError):
        words = []
    return ", ".join(words) or "a frozen network"


def _old_run(path: Path) -> Iterator[Leftover]:
    """Yields a run that --noresume moved aside, where the run that took its place is there."""
    newer = path.with_name(path.name.rpartition(OLD)[0])
    if not newer.is_dir() or not path.name.rpartition(OLD)[2].isdigit():
        return
    found = _lockable(path, f"run that {newer.name} has replaced (--noresume)", path / LOCK)
    try:
        is_wanted = (newer / REPLACES).read_text(encoding="utf-8").strip() == path.name
    except (OSError, UnicodeDecodeError):
        is_wanted = False
    if is_wanted and not found.kept_for:
        reason = f"{newer.name} has no checkpoint of its own yet"
        found = Leftover(found.path, found.what, found.bytes, reason, found.lock)
    yield found


def _is_run(path: Path) -> bool:
    try:
        written = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(written, dict) and {"flags", "dataset"} <= written.keys()


def _temporary(path: Path, now: float, held: str) -> Iterator[Leftover]:
    try:
        age = now - os.lstat(path).st_mtime
    except OSError:
        return  # Renamed to its name since it was listed.
    kept_for = held or ("" if age > _ABANDONED_AFTER else "changed within the last hour")
    yield Leftover(path, "half-written by a command that was killed", size(path), kept_for)


def _lockable(path: Path, what: str, lock: Path) -> Leftover:
    return Leftover(path, what, size(path), _in_use(lock), lock)


def _held(folder: Path) -> str:
    """Returns why temporary files in a folder stay: it, or one above it, is in use."""
    for each in (folder, folder.parent, folder.parent.parent):
        for lock in (each / LOCK, each / CACHE / CACHE_LOCK, each / CACHE_LOCK):
            if lock.is_file() and (why := _in_use(lock)):
                return why
    return ""


def _in_use(lock: Path) -> str:
    if not lock.exists():
        return ""
    try:
        is_locked = locks.is_locked(lock)
    except OSError:
        return "cannot tell whether it is in use"
    return f"in use by {locks.holder(lock) or 'another process'}" if is_locked else ""


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _blocks(path: Path) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
