"""From ids, rows and mistakes back to source files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.datasets import fakes, ledgers
from tests.support.runs import fake_run, run_configs
from tfrecords import example, framing, manifest
from trainer import lineage
from trainer.metrics import mistakes, predictions
from trainer.report import page

ORIGINAL = "lisa/validation001.png"


@pytest.fixture
def run(tmp_path: Path) -> page.RunFiles:
    files = fake_run.files(tmp_path, [4, 3, 2])
    ledgers.write(files.data_dir, manifest.load(files.data_dir))
    predictions.write(files.run_dir / predictions.FILENAME, files.predictions, files.classes)
    described = run_configs.describe(files.flags, manifest.load(files.data_dir))
    run_configs.write(files.run_dir, described)
    return files


def _ask(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict]:
    assert lineage.COMMAND.run([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_id_leads_to_its_file_and_its_record(
    run: page.RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = _ask(capsys, f"--data_dir={run.data_dir}", f"--id={ORIGINAL}")
    assert found["source"]["key"] == ORIGINAL
    assert (found["source"]["width"], found["source"]["bytes"]) == (640, 12_345)
    with (run.data_dir / found["shard"]).open("rb") as file:
        records = list(framing.read_frames(file, found["shard"]))
    offset, payload = records[found["position"]]
    assert offset == found["offset"]
    assert example.decode(payload).id == ORIGINAL


def test_a_copy_leads_to_the_file_it_was_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledgers.write(tmp_path, fakes.write_dataset(tmp_path, copies=4, shards=3))
    (found,) = _ask(capsys, f"--data_dir={tmp_path}", "--id=lisa/train001.png#1")
    assert (found["source"]["key"], found["copy"]) == ("lisa/train001.png", 1)
    payloads = list(framing.read_records(str(tmp_path / found["shard"])))
    assert example.decode(payloads[found["position"]]).id == "lisa/train001.png#1"


def test_rows_and_mistakes_come_with_their_prediction(
    run: page.RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = _ask(capsys, f"--run_dir={run.run_dir}", "--row=5")
    assert row["id"] == run.predictions.ids[5]
    assert row["prediction"]["label"] == run.classes[run.predictions.labels[5]]
    worst = mistakes.worst(run.predictions, 2)
    assert worst
    found = _ask(capsys, f"--run_dir={run.run_dir}", "--mistakes=2")
    assert [origin["id"] for origin in found] == [mistake.id for mistake in worst]
    assert found[0]["prediction"]["probability"] == pytest.approx(worst[0].probability, rel=1e-5)


def test_one_picture_of_a_run_leads_to_its_worst_mistakes(
    run: page.RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"--row=5": 1, "--mistakes=2": 0}
    for argument, lines in asked.items():
        assert lineage.COMMAND.run([f"--run_dir={run.run_dir}", argument]) == 0
        said = capsys.readouterr().out
        command = f"next: evenshard lineage --run_dir={run.run_dir} --mistakes=10\n"
        assert said.count(command) == lines


def test_names_near_duplicates_with_their_splits(
    run: page.RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    mates = {ORIGINAL: {"group": 77}, "lisa/validation000.png": {"group": 77}}
    ledgers.write(run.data_dir, manifest.load(run.data_dir), mates)
    assert lineage.COMMAND.run([f"--data_dir={run.data_dir}", f"--id={ORIGINAL}"]) == 0
    text = capsys.readouterr().out
    assert "near-duplicates: lisa/validation000.png (validation)" in text
    assert "640×480 JPEG RGB, 12.1 KiB" in text


def test_a_rejected_file_is_in_no_shard(
    run: page.RunFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    none = dict.fromkeys(("shard", "position", "split", "rank", "group", "width", "phash"))
    gone = none | {"status": "rejected", "reason": "truncated", "detail": "ends at byte 7"}
    ledgers.write(run.data_dir, manifest.load(run.data_dir), {ORIGINAL: gone})
    assert lineage.COMMAND.run([f"--data_dir={run.data_dir}", f"--id={ORIGINAL}"]) == 0
    text = capsys.readouterr().out
    assert "rejected truncated ends at byte 7" in text
    assert "in none" in text


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--id=no/such.png", "--data_dir={data}"], 1, "has no source 'no/such.png'"),
        (["--id=x"], 2, "--id needs --data_dir or --run_dir"),
        (["--row=99", "--run_dir={run}"], 2, "--row must be 0 to 8, not 99"),
        (["--row=-1", "--run_dir={run}"], 2, "--row must be 0 to 8, not -1"),
        (["--row=1", "--id=x", "--run_dir={run}"], 2, "in one way"),
        (["--mistakes=0", "--run_dir={run}"], 2, "1 or more"),
        (["--row=1", "--run_dir={data}"], 1, "neither a run nor an evaluation"),
        (["--id=x", "--data_dir={run}"], 1, "no manifest.json"),
    ],
)
def test_says_what_is_wrong(
    run: page.RunFiles,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    code: int,
    message: str,
) -> None:
    places = {"data": run.data_dir, "run": run.run_dir}
    assert lineage.COMMAND.run([argument.format(**places) for argument in argv]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
