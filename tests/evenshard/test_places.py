"""What is opened stays open when the program goes to another directory."""

from __future__ import annotations

from pathlib import Path

import pytest

import evenshard
from evenshard.places import Place, path_of


@pytest.fixture
def elsewhere(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to go to; the working directory is that of the trained world."""
    monkeypatch.chdir(trained)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_a_data_set_opened_by_a_relative_path(
    elsewhere: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, lazy = evenshard.open("shards"), evenshard.Dataset(Path("shards"))
    assert (dataset.data_dir, str(repr(dataset))[:28]) == ("shards", "<Dataset 'dataset' in shards")
    monkeypatch.chdir(elsewhere)
    for each in (dataset, lazy):
        assert each.data_dir == str(trained / "shards")
        record = next(each.records("test"))
        assert each.find(record.id) == [record]
        assert each.sources("key").column_names == ["key"]
        assert each.verify(images="none", workers=1).sound
        assert len(list(each.tf_dataset("test", batch_size=4, shuffle=False))) > 0
    assert not list(elsewhere.iterdir())


def test_a_run_opened_by_a_relative_path(
    elsewhere: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, runs = evenshard.load_run("runs/a"), evenshard.load_run(["runs/a"])
    assert (run.run_dir, run.report) == (Path("runs/a"), Path("runs/a/report/index.html"))
    monkeypatch.chdir(elsewhere)
    assert run.run_dir == trained / "runs" / "a"
    assert run.history.num_rows == 2 and run.best and run.report.is_file()
    assert run.config.epochs == 2
    pixels = next(iter(evenshard.open(trained / "shards").records("test"))).image
    (elsewhere / "one.png").write_bytes(pixels)
    assert run.predict("one.png").classes == runs.predict("one.png").classes
    # Another run of the same relative path is another run.
    with pytest.raises(evenshard.UsageError, match="does not exist"):
        evenshard.load_run("runs/a")


def test_urls_and_homes() -> None:
    assert Place.of("data_dir", "gs://bucket/shards").now == "gs://bucket/shards"
    assert path_of("run_dir", "~/runs") == str(Path.home() / "runs")


@pytest.mark.parametrize("value", [None, 3, b"shards", "", [], 2.5, object()])
def test_what_is_no_path_is_said(value: object) -> None:
    with pytest.raises(evenshard.UsageError, match="^data_dir=.*: a path is expected, as text or"):
        evenshard.open(value)  # type: ignore[arg-type]  # It is wrong.
    if value not in ("", []):
        with pytest.raises(evenshard.UsageError, match="^run_dir=.*: a path is expected, as text"):
            evenshard.load_run(value)  # type: ignore[call-overload]  # It is wrong.
