"""A run that --noresume replaces: moved aside, and never anything else deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.errors import TrainerError
from trainer.runs import replaced


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    return folder


def test_a_directory_without_results_was_not_trained(tmp_path: Path, run_dir: Path) -> None:
    assert replaced.was_trained(run_dir)
    assert not replaced.was_trained(tmp_path) and not replaced.was_trained(tmp_path / "absent")


def test_moved_aside_remembered_and_forgotten(run_dir: Path) -> None:
    aside = replaced.move_aside(run_dir)
    assert aside.name == "run.old-1" and (aside / "checkpoints" / "best.ckpt").exists()
    run_dir.mkdir()
    replaced.remember(run_dir, aside)
    assert replaced.kept(run_dir) == aside
    replaced.forget(run_dir)
    assert replaced.kept(run_dir) is None
    assert list(run_dir.parent.iterdir()) == [run_dir] and not list(run_dir.iterdir())
    replaced.forget(run_dir)


@pytest.mark.parametrize("result", ["report/index.html", "model.keras"])
def test_a_folder_that_may_be_somebodys_own_is_kept_aside(tmp_path: Path, result: str) -> None:
    run_dir = tmp_path / "run"
    (run_dir / result).parent.mkdir(parents=True)
    (run_dir / result).write_text("mine")
    (run_dir / "notes.txt").write_text("mine")
    aside = replaced.move_aside(run_dir)
    run_dir.mkdir()
    replaced.remember(run_dir, aside)
    replaced.forget(run_dir)
    assert (aside / result).exists() and (aside / "notes.txt").exists()
    assert replaced.kept(run_dir) is None


def test_the_next_free_name_is_taken(run_dir: Path) -> None:
    run_dir.with_name("run.old-1").symlink_to("nowhere")
    assert replaced.move_aside(run_dir).name == "run.old-2"


@pytest.mark.parametrize("text", ["", ".", "..", "/", "other", "../other", "run.old-9", "\udcff"])
def test_a_damaged_marker_deletes_nothing(run_dir: Path, text: str) -> None:
    other = run_dir.with_name("other")
    other.mkdir()
    (run_dir / replaced.MARKER).write_bytes(text.encode("utf-8", "surrogateescape"))
    replaced.forget(run_dir)
    assert other.is_dir() and (run_dir / "checkpoints" / "best.ckpt").exists()


def test_what_cannot_be_moved_is_one_line(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(source: Path, target: Path) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(replaced.os, "rename", busy)
    with pytest.raises(TrainerError, match="--noresume: cannot move .* Device or resource busy"):
        replaced.move_aside(run_dir)
