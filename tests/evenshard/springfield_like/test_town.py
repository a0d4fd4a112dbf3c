"""A town on disk: the same bytes with any workers, a truth that is true, nothing overwritten."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from evenshard.springfield_like.__main__ import main
from evenshard.springfield_like.options import Options
from evenshard.springfield_like.town import TownError, draw_town

SMALL = {"scale": 0.01, "classes": 3, "unlabelled": 5}


def _digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town of 52 files, drawn by one process."""
    root = tmp_path_factory.mktemp("town") / "out"
    draw_town(Options(root, **SMALL), quiet=True)
    return root


def test_workers_do_not_change_a_byte(town, tmp_path):
    draw_town(Options(tmp_path / "two", workers=2, **SMALL), quiet=True)
    assert _digests(tmp_path / "two") == _digests(town)


def test_the_truth_is_true(town):
    truth = json.loads((town / "truth.json").read_text(encoding="utf-8"))
    found = {p.relative_to(town / "pictures").as_posix() for p in town.glob("pictures/*/*")}
    assert found == set(truth["files"])
    assert truth["classes"] == {"baker_bruno": 22, "postman_percy": 15, "innkeeper_igor": 15}
    assert sum(truth["counts"].values()) == len(found)
    for key, facts in truth["files"].items():
        data = (town / "pictures" / key).read_bytes()
        match facts["kind"]:
            case "empty":
                assert data == b""
            case "not_an_image":
                assert data.startswith(b"<!DOCTYPE html>")
            case "exact_duplicate":
                assert data == (town / "pictures" / facts["of"]).read_bytes()
            case _:
                with Image.open(town / "pictures" / key) as image:
                    header = (image.format, image.mode, image.width, image.height)
                assert header == tuple(facts[k] for k in ("format", "mode", "width", "height"))


def test_the_unlabelled_answers_are_beside_the_folder(town):
    with (town / "unlabelled.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert sorted(row["Id"] for row in rows) == sorted(
        p.name for p in (town / "unlabelled").iterdir()
    )
    assert {row["Expected"] for row in rows} <= {"baker_bruno", "postman_percy", "innkeeper_igor"}


def test_the_sample_submission_tells_no_answers(town):
    truth, sample = (
        list(csv.DictReader((town / name).read_text().splitlines()))
        for name in ("unlabelled.csv", "sample_submission.csv")
    )
    assert [row["Id"] for row in sample] == [row["Id"] for row in truth]
    assert {row["Expected"] for row in sample} == {min(row["Expected"] for row in truth)}


def test_a_complete_town_is_left_alone(town):
    before = {path: path.stat().st_mtime_ns for path in town.rglob("*")}
    assert not draw_town(Options(town, **SMALL), quiet=True).drawn
    assert {path: path.stat().st_mtime_ns for path in town.rglob("*")} == before


def test_an_incomplete_or_another_town_is_drawn_again(tmp_path):
    tiny = {"scale": 0.001, "classes": 1}
    draw_town(Options(tmp_path, **tiny), quiet=True)
    first = _digests(tmp_path)
    (tmp_path / "pictures/baker_bruno/pic_0002.jpg").unlink()
    assert draw_town(Options(tmp_path, **tiny), quiet=True).drawn
    assert _digests(tmp_path) == first
    assert draw_town(Options(tmp_path, seed=1, **tiny), quiet=True).drawn
    assert _digests(tmp_path).keys() == first.keys()
    assert _digests(tmp_path) != first


def test_a_directory_of_somebody_else_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TownError, match="was not made by this command"):
        draw_town(Options(tmp_path), quiet=True)
    assert main([f"--output_dir={tmp_path}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([f"--output_dir={tmp_path / 'file' / 'town'}"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"springfield_like: error: cannot write {tmp_path / 'file' / 'town'}: ")
    assert err.count("\n") == 1


def test_the_command_says_what_it_drew(tmp_path, capsys):
    assert main([f"--output_dir={tmp_path}", "--scale=0.001", "--classes=2", "--workers=1"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("6 files of 2 classes drawn")
    assert "6 of 6 pictures" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--ouput_dir=x"], "unknown argument --ouput_dir; did you mean --output_dir?"),
        (["--output_dir=x", "--scal=1"], "did you mean --scale?"),
        (["--output_dir=x", "--zzz"], "unknown argument --zzz; see --help"),
        (["--output_dir=x", "--classes=43"], "--classes must be 1 to 42, not 43"),
        (["--output_dir=x", "--scale=0"], "--scale must be above 0 and at most 10, not 0"),
        (["--output_dir=x", "--workers=many"], "must be 'auto' or a number, not 'many'"),
        (["--output_dir=x", "--workers=0"], "--workers must be 'auto' or at least 1"),
        (["--output_dir=x", "--unlabelled=-1"], "--unlabelled must be 0 or more"),
        ([], "--output_dir is missing"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(flags, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_help_names_every_flag_and_the_counts(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("output_dir", "scale", "classes", "unlabelled", "seed", "workers", "verbose"):
        assert f"--{flag}" in text
    assert "60 exact_duplicate, 90 near_duplicate, 15 truncated, 6 empty, 9 not_an_image" in text
