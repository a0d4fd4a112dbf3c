"""`evenshard clean`: what may go is found and removed; what is in use or not ours stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from beam_pipelines.cache.layout import Layout
from evenshard import clean
from evenshard.machine import leftovers
from tfrecords.errors import EvenshardError
from tfrecords.system import locks
from trainer.features import store
from trainer.runs import replaced

TEMPORARY = ".tmp-0123456789abcdef-submission.csv"
TWO_HOURS_AGO = 7200.0


def lock(path: Path) -> None:
    """Leaves a lock's file as a process that has ended leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locks.locked(path, "taken", "wait"):
        pass


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def cache(root: Path) -> Path:
    write(root / "shards" / "manifest.json", "{}")
    lock(root / "shards" / ".cache" / "lock")
    return write(root / "shards" / ".cache" / "canonical-1" / "pack").parents[1]


def features(root: Path) -> Path:
    folder = root / "shards" / ".features" / "ab"
    lock(folder / ".lock")
    write(folder / "about.json", json.dumps({"split": "train"}))
    return write(folder / "rows").parent


def old_run(root: Path) -> Path:
    (root / "runs" / "a").mkdir(parents=True)
    old = root / "runs" / "a.old-1"
    lock(old / ".lock")
    return write(old / "config.json", json.dumps({"flags": {}, "dataset": {}})).parent


def temporary(root: Path) -> Path:
    path = write(root / "answers" / TEMPORARY)
    then = path.stat().st_mtime - TWO_HOURS_AGO
    os.utime(path, (then, then))
    return path


EVERY = (cache, features, old_run, temporary)


def test_the_names_are_those_of_their_writers(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "p", "c")
    assert Path(layout.cache_dir).name == leftovers.CACHE
    assert store.FOLDER == leftovers.FEATURES
    assert replaced.MARKER == leftovers.REPLACES
    (tmp_path / "r").mkdir()
    assert replaced.move_aside(tmp_path / "r").name == f"r{leftovers.OLD}1"


@pytest.mark.parametrize("make", EVERY)
def test_each_is_listed_and_goes_only_with_yes(
    make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert clean.COMMAND.run([str(tmp_path)]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    printed = capsys.readouterr().out
    assert str(path) in printed
    assert printed.endswith(f"1 place can be removed: evenshard clean {tmp_path} --yes\n")
    assert clean.COMMAND.run([str(tmp_path), "--yes"]) == 0
    assert not path.exists()
    assert "removed " in capsys.readouterr().out
    others = [each for each in before if path not in (each, *each.parents)]
    assert [each for each in others if not each.exists() and each.name != ".features"] == []


@pytest.mark.parametrize(
    ("make", "held"),
    [
        (cache, "shards/.cache/lock"),
        (features, "shards/.features/ab/.lock"),
        (old_run, "runs/a.old-1/.lock"),
        (temporary, "answers/.lock"),
        (temporary, ".cache/lock"),
    ],
)
def test_what_a_process_holds_stays(
    make: Callable[[Path], Path], held: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    (tmp_path / held).parent.mkdir(exist_ok=True)
    with locks.locked(tmp_path / held, "taken", "wait"):
        assert clean.COMMAND.run([str(tmp_path), "--yes"]) == 0
    assert path.exists()
    assert f"stays: in use by process {os.getpid()} on" in capsys.readouterr().out


def test_what_is_taken_between_the_list_and_the_removal_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cache(tmp_path)
    found = leftovers.find(tmp_path)
    monkeypatch.setattr(leftovers, "find", lambda root: found)
    with locks.locked(path / "lock", "taken", "wait"):
        assert clean.COMMAND.run([str(tmp_path), "--yes"]) == 1
    assert path.exists()
    assert "has come into use" in capsys.readouterr().err


def test_what_is_not_ours_is_not_listed(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "pip" / "wheel")  # Another program's.
    write(tmp_path / "shards" / ".cache" / "lock", "not a lock of ours")
    write(tmp_path / ".features" / "mine" / "notes.txt")
    write(tmp_path / "a.old-1" / "config.json", json.dumps({"flags": {}, "dataset": {}}))
    (tmp_path / "b").mkdir()
    write(tmp_path / "b.old-1" / "picture.jpg")
    write(tmp_path / ".tmp-notes.txt")
    with ExitStack() as stack:
        (tmp_path / "elsewhere").mkdir()
        cache(tmp_path / "elsewhere")
        (tmp_path / "here").mkdir()
        os.symlink(tmp_path / "elsewhere", tmp_path / "here" / "link")
        assert leftovers.find(tmp_path / "here") == []
        stack.close()
    found = [each.path for each in leftovers.find(tmp_path)]
    assert found == [tmp_path / "elsewhere" / "shards" / ".cache"]


def test_the_only_copy_of_a_run_stays(tmp_path: Path) -> None:
    """A run that was moved aside is all there is until its successor has a checkpoint."""
    old = old_run(tmp_path)
    replaced.remember(tmp_path / "runs" / "a", old)
    (found,) = leftovers.find(tmp_path)
    assert found.kept_for == "a has no checkpoint of its own yet"


def test_a_file_that_was_just_written_stays(tmp_path: Path) -> None:
    write(tmp_path / TEMPORARY)
    (found,) = leftovers.find(tmp_path)
    assert found.kept_for == "changed within the last hour"


def test_the_work_of_an_unfinished_bake_is_named_as_such(tmp_path: Path) -> None:
    path = cache(tmp_path)
    (path.parent / "manifest.json").unlink()
    (found,) = leftovers.find(tmp_path)
    assert "starts again" in found.what


def test_an_absent_folder_a_url_and_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EvenshardError, match="is not a folder"):
        leftovers.find(tmp_path / "absent")
    assert clean.COMMAND.run(["gs://bucket/shards"]) == 2
    assert clean.COMMAND.run([]) == 2
    assert "error: DIR is required: A data set, a run, or a folder above them." in (
        capsys.readouterr().err
    )
    assert clean.COMMAND.run([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"nothing to remove in {tmp_path}\n"
