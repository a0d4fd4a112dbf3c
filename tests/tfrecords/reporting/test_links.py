"""Links between reports: relative, to files that are there, once each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.reporting import links

DIGEST = "0a1b"
NAMES = ("a", "a b", "50% <of> it & 'more'", "näme", "..x")


def page(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<ul>{links.block(DIGEST, text)}</ul> <a href='x'>", encoding="utf-8")
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return page(tmp_path / "shards" / "report" / "index.html")


@pytest.mark.parametrize("name", NAMES)
def test_a_link_is_added_once_kept_while_its_file_is_there_and_then_dropped(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    run = page(tmp_path / "runs" / name / "report" / "index.html")
    assert links.add(dataset, DIGEST, run, name, "macro-F1 0.5")
    assert links.add(dataset, DIGEST, run, name, "macro-F1 0.6")
    assert dataset.read_text(encoding="utf-8").count("<li>") == 1
    assert "0.6" in links.kept(dataset, DIGEST)
    assert links.kept(dataset, "ff") == ""  # It was replaced by another data set.
    run.unlink()
    assert links.kept(dataset, DIGEST) == ""


def test_the_last_runs_are_kept(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST", 2)
    for name in "abc":
        links.add(dataset, DIGEST, page(tmp_path / name / "index.html"), name, "")
    text = links.kept(dataset, DIGEST)
    assert ">a</a>" not in text and ">b</a></li>" in text and ">c</a></li>" in text


def test_what_cannot_be_linked_is_left(dataset: Path, tmp_path: Path) -> None:
    assert not links.add(dataset, DIGEST, tmp_path / "absent.html", "absent", "")
    run = page(tmp_path / "run" / "index.html")
    assert not links.add(tmp_path / "absent" / "index.html", DIGEST, run, "a", "")
    assert not links.add(dataset, "ff", run, "a", "")
    dataset.write_text("a page of an earlier version")
    assert not links.add(dataset, DIGEST, run, "a", "")
    assert dataset.read_text() == "a page of an earlier version"


def test_the_way_follows_the_real_folders(dataset: Path, tmp_path: Path) -> None:
    run = page(tmp_path / "disk" / "deep" / "run" / "index.html")
    (tmp_path / "runs").symlink_to(tmp_path / "disk" / "deep")
    way = links.relative(tmp_path / "runs" / "run" / "report.html", dataset)
    assert (run.parent / way).resolve() == dataset
