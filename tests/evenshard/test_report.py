"""`evenshard report`, and bakes and trainings whose report could not be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenshard import __main__ as program
from evenshard import report
from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.support.runs import runs
from tfrecords import verify


def bake(folder: Path, *flags: str) -> int:
    return program.main(
        ["bake", f"--input_dir={folder / 'in'}", f"--output_dir={folder / 'o'}", "--image_size=16",
         "--workers=0", *flags]
    )  # fmt: skip


def test_a_bake_whose_report_fails_is_complete_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.write_folders(tmp_path / "in", {"apu": 20, "bart": 20})
    (tmp_path / "o").mkdir()
    blocked = tmp_path / "o" / "report"
    blocked.write_text("in the way")
    assert bake(tmp_path) == 1
    told = capsys.readouterr().err
    line = told.splitlines()[-1]
    assert line.startswith(
        f"error: the data set in {tmp_path / 'o'} is complete, but its report is"
    )
    assert line.endswith(f"Then `evenshard report {tmp_path / 'o'}` writes it")
    assert "Traceback" not in told and "digest " in told
    assert not (tmp_path / "o" / ".cache").exists()
    before = commands.digests(tmp_path / "o")
    assert bake(tmp_path) == 1
    assert "is complete, but its report is not written: " in capsys.readouterr().err
    blocked.unlink()
    assert not verify.verify(tmp_path / "o").problems
    assert program.main(["report", str(tmp_path / "o")]) == 0
    assert capsys.readouterr().out == f"report: {blocked / 'index.html'}\n"
    assert (blocked / "class_balance.png").exists()
    del before["report"]
    assert commands.digests(tmp_path / "o") == before


def test_the_report_of_a_bake_is_the_same_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.write_folders(tmp_path / "in", {"apu": 20, "bart": 20})
    assert bake(tmp_path) == 0
    page = tmp_path / "o" / "report" / "index.html"
    first = page.read_text()
    page.unlink()
    assert program.main(["report", str(tmp_path / "o")]) == 0
    assert page.read_text() == first
    assert "note:" not in capsys.readouterr().err.split("next: ")[1]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("", "is neither a data set nor a run: it has no manifest.json and no config.json"),
        ("leaderboard.csv", "is a sweep: its command, given again"),
        ("evaluation.json", "is an evaluation: `evenshard evaluate` writes its report again"),
    ],
)
def test_what_has_no_report_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    if file:
        (tmp_path / file).write_text("")
    assert program.main(["report", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err


def test_the_directory_may_be_named_for_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_of_dataset", lambda directory: f"data {directory}")
    monkeypatch.setattr(report, "_of_run", lambda config: f"run {config.asked}")
    data, run = str(tmp_path / "d"), str(tmp_path / "r")
    for folder, name in ((data, "manifest.json"), (run, "config.json")):
        Path(folder).mkdir()
        Path(folder, name).write_text("{}")
    for argv, said in (
        ([data], f"report: data {data}"),
        ([run], f"report: run {run}"),
        ([f"--data_dir={data}"], f"report: data {data}"),
        ([f"--run_dir={run}"], f"report: run {run}"),
        ([f"--directory={run}"], f"report: run {run}"),
        ([f"--data_dir={run}"], f"evenshard report --run_dir={run}"),
        ([f"--run_dir={data}"], f"evenshard report --data_dir={data}"),
        ([data, f"--run_dir={run}"], f"not DIR {data!r}, --run_dir {run!r}: give one"),
        ([f"--data_dir={data}", f"--run_dir={run}"], "one directory at a time is expected"),
        ([], "DIR is required, as in: evenshard report shards"),
        ([f"--dir={data}"], "unknown flag --dir; did you mean --directory?"),
        ([f"--data_dir={tmp_path}"], "is neither a data set nor a run"),
    ):
        code = program.main(["report", *argv])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "") if said.startswith("report:") else code == 2
        assert said in (out or err), argv


def test_a_training_whose_report_fails_is_trained_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    import errno

    from trainer.report import page
    from trainer.train.__main__ import COMMAND

    fakes.write_dataset(tmp_path / "d")
    settings = runs.config(tmp_path / "d", tmp_path / "r", epochs=1)
    argv = [flag for flag in runs.command(settings) if flag.startswith("--")]
    real = page.write

    def full(run: page.RunFiles) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(run.run_dir / "confusion.png"))

    monkeypatch.setattr(page, "write", full)
    assert COMMAND.run(argv) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {tmp_path / 'r'} has finished training, but its report is not")
    assert f"`evenshard report {tmp_path / 'r'}`, or the same command, writes it" in line
    assert program.main(["report", str(tmp_path / "r")]) == 1  # The disk is still full.
    assert "confusion.png: No space left on device" in capsys.readouterr().err
    monkeypatch.setattr(page, "write", real)
    assert program.main(["report", str(tmp_path / "r")]) == 0
    written = tmp_path / "r" / "report" / "index.html"
    assert capsys.readouterr().out == f"report: {written}\n"
    again = written.read_text()
    assert COMMAND.run(argv) == 0
    assert written.read_text() == again


def test_a_run_that_is_not_finished_has_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    (tmp_path / "config.json").write_text("{}")
    assert program.main(["report", str(tmp_path)]) == 1
    assert "has not finished training: the command that trains it" in capsys.readouterr().err


def test_a_run_that_was_given_more_epochs_has_no_report_until_their_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network and the report in it are of fewer epochs than its metrics."""
    fakes.write_dataset(tmp_path / "data", {"train": (6, 6), "validation": (3, 3)})
    argv = [
        "train", f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'r'}", "--batch_size=8",
        "--model=tests.support.networks.tiny:network", "--progress=none",
    ]  # fmt: skip
    report = ["report", str(tmp_path / "r"), "--trust_run_code"]
    assert program.main([*argv, "--epochs=1"]) == 0 == program.main(report)
    assert program.main([*argv, "--epochs=3", "--stop_after_epoch=2"]) == 0
    capsys.readouterr()
    assert program.main(report) == 1
    assert "has not finished training: the command that trains it" in capsys.readouterr().err
    assert program.main([*argv, "--epochs=3"]) == 0 == program.main(report)
