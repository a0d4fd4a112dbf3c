"""Sweeps of trials that do not train: who runs when, what is carried on, what is written."""

from __future__ import annotations

import csv
import html.parser
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.datasets import fakes
from tests.support.runs import train_configs
from tfrecords import manifest as manifests
from tfrecords.errors import UsageError
from tfrecords.system.locks import LockedError
from trainer.sweep import __main__ as sweep
from trainer.sweep import leaderboard_page, resources, run, trial_status, trials
from trainer.sweep.config import SweepConfig
from trainer.sweep.grid import Trial
from trainer.sweep.run import SweepResult

GRID = """
base: {epochs: 9}
grid: {per_class: [4, 8, 6, 2]}
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    counts = {"train": (12, 8, 5), "validation": (4, 3, 2), "test": (1, 1, 1)}
    fakes.write_dataset(folder, counts, copies=2)
    return folder


@pytest.fixture(autouse=True)
def quick_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "CHILD", "tests.support.processes.fake_child")
    monkeypatch.setattr(trials, "_POLL_SECONDS", 0.02)


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing one takes longer than all trials together; a few tests look at it."""

    def write(config: SweepConfig, *of_sweep: object) -> Path:
        return Path(config.runs_dir) / leaderboard_page.PAGE

    monkeypatch.setattr(leaderboard_page, "write_page", write)


def config(data_dir: Path, folder: Path, grid: str = GRID, **changes: object) -> SweepConfig:
    path = folder / "grid.yaml"
    path.write_text(grid)
    fields: dict[str, object] = {
        "data_dir": str(data_dir),
        "runs_dir": str(folder / "runs"),
        "grid": str(path),
        "progress": "none",
        "parallel": 2,
    }
    return SweepConfig(**(fields | changes))  # type: ignore[arg-type]  # Checked by the class.


def statuses(result: SweepResult) -> dict[str, str]:
    return {entry.name: entry.status for entry in result.entries}


def board(folder: Path) -> list[dict[str, str]]:
    with open(folder / "runs" / "leaderboard.csv", newline="") as file:
        return list(csv.DictReader(file))


def attempts(folder: Path) -> dict[str, int]:
    """Returns how often each trial was started."""
    logs = sorted((folder / "runs").glob("*/train.log"))
    return {log.parent.name: log.read_text().count("cores ") for log in logs}


@pytest.mark.usefixtures("without_page")
def test_all_trials_run_and_are_compared(data_dir: Path, tmp_path: Path) -> None:
    result = run.run(config(data_dir, tmp_path))
    assert result.complete and set(statuses(result).values()) == {"done"}
    rows = board(tmp_path)
    assert [row["trial"] for row in rows] == [f"per_class={n}" for n in (8, 6, 4, 2)]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    best = rows[0]
    assert float(best["val_macro_f1"]) == pytest.approx(1 - 1 / 8 - 1 / 100)
    assert (best["best_epoch"], best["epochs"], best["--per_class"]) == ("9", "9", "8")
    assert (best["pictures"], best["num_classes"], best["height"]) == ("23", "3", "16")
    assert best["judged_classes"] == "3"
    assert float(best["seconds"]) == 9 * 1.5
    assert float(best["images_per_second"]) == pytest.approx(23 / 1.5, abs=0.05)
    # Each of the two at once had cores of its own.
    shares = resources.assign(2, (), resources.usable_cores())
    wanted = {f"cores {','.join(map(str, p.cores))} of {len(p.cores)}" for p in shares}
    said = {log.read_text().splitlines()[0] for log in (tmp_path / "runs").glob("*/train.log")}
    assert said == wanted


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("grid: {seed: [1, 2]}", []),
        (
            "grid: {focal_gamma: [1, 3]}",
            ["--focal_gamma=1.0 changes nothing", "--focal_gamma=3.0 changes nothing",
             "focal_gamma=3 is the same run as focal_gamma=1"],
        ),
        ("grid: {learning_rate: [1e-3, 0.001]}", ["learning_rate=0.001 is the same run as"]),
        ("base: {mixup_alpha: 1}\ngrid: {augment: [mixup, flip]}", []),
        ("base: {mixup_alpha: 1}\ngrid: {augment: [crop, flip]}", ["--mixup_alpha=1.0 changes"]),
        (
            "grid: {loss: [focal, cross_entropy], focal_gamma: [1, 3]}",
            ["focal_gamma=3 is the same run as loss=cross_entropy,focal_gamma=1"],
        ),
    ],
)  # fmt: skip
def test_what_makes_no_difference_is_said_whatever_is_shown(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], grid: str, said: list[str]
) -> None:
    run.run(config(data_dir, tmp_path, grid, plan_only=True, progress="none"))
    notes = [each for each in capsys.readouterr().err.splitlines() if each.startswith("note: ")]
    assert len(notes) == len(said)
    for note, text in zip(notes, said, strict=True):
        assert text in note


@pytest.mark.usefixtures("without_page")
def test_a_second_run_starts_nothing_that_is_done(data_dir: Path, tmp_path: Path) -> None:
    run.run(config(data_dir, tmp_path))
    more = GRID.replace("2]", "2, 3]")
    result = run.run(config(data_dir, tmp_path, more, metric="val_loss"))
    assert result.complete
    assert attempts(tmp_path) == {f"per_class={n}": 1 for n in (2, 3, 4, 6, 8)}
    assert [row["trial"] for row in board(tmp_path)][0] == "per_class=8"


def test_failures_are_recorded_and_the_rest_goes_on(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = """
        trials:
          fails: {model: "fake:fails"}
          killed: {model: "fake:killed"}
          many: {per_class: 15}
          large: {image_size: 17}
          good: {per_class: 14, epochs: 2}
        """
    asked = config(data_dir, tmp_path, grid, progress="lines")
    assert sweep.main(asked) == 1
    found = {row["trial"]: row for row in board(tmp_path)}
    assert {name: row["status"] for name, row in found.items()} == {
        "good": "done",
        "fails": "failed",
        "killed": "failed",
        "many": "refused",
        "large": "refused",
    }
    assert found["fails"]["reason"] == "it went wrong"
    assert found["killed"]["reason"].startswith("killed by SIGKILL; out of memory? (last line: ")
    assert found["many"]["reason"].startswith("--per_class=15 is above the bake's 14 records")
    said = capsys.readouterr()
    opening = said.err[: said.err.index("started")]
    assert "many: refused, --per_class=15" in opening and "large: refused" in opening
    assert "fails: failed, it went wrong" in said.out
    page = (tmp_path / "runs" / "report" / "index.html").read_text()
    assert "it went wrong" in page


@pytest.mark.usefixtures("without_page")
def test_a_failed_trial_is_tried_again(data_dir: Path, tmp_path: Path) -> None:
    grid = 'trials: {a: {model: "fake:fails"}, b: {epochs: 1}}'
    asked = config(data_dir, tmp_path, grid)
    for _ in range(2):
        assert statuses(run.run(asked)) == {"a": "failed", "b": "done"}
    assert attempts(tmp_path) == {"a": 2, "b": 1}


@pytest.mark.usefixtures("without_page")
def test_other_flags_in_the_same_place_are_refused(data_dir: Path, tmp_path: Path) -> None:
    run.run(config(data_dir, tmp_path, "trials: {a: {epochs: 1}}"))
    with pytest.raises(UsageError, match=r"runs/a holds .* \(--epochs was 1, is now 2\)"):
        run.run(config(data_dir, tmp_path, "trials: {a: {epochs: 2}}"))


def test_nothing_to_run_is_misuse(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no trial can run; a: --per_class=99 is above"):
        run.run(config(data_dir, tmp_path, "trials: {a: {per_class: 99}}"))
    assert not (tmp_path / "runs").exists()


def test_plan_only_trains_nothing(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(config(data_dir, tmp_path, plan_only=True)) == 0
    assert capsys.readouterr().out.split()[:2] == ["waiting", "per_class=4"]
    assert not (tmp_path / "runs").exists()


def test_a_second_sweep_is_kept_out(data_dir: Path, tmp_path: Path) -> None:
    with trial_status.locked(tmp_path / "runs"), pytest.raises(LockedError, match="another sweep"):
        run.run(config(data_dir, tmp_path))


@pytest.mark.usefixtures("without_page")
def test_halving_drops_the_same_trials_whatever_runs_first(data_dir: Path, tmp_path: Path) -> None:
    results = {}
    for parallel in (1, 2):
        folder = tmp_path / str(parallel)
        folder.mkdir()
        asked = config(data_dir, folder, halving=2, rungs=2, parallel=parallel)
        results[parallel] = statuses(run.run(asked))
        epochs = {row["trial"]: int(row["epochs"]) for row in board(folder)}
        # 9 epochs: rungs after 3 and 5; 4 trials, then 2, then 1.
        assert epochs == {
            "per_class=8": 9, "per_class=6": 5, "per_class=4": 3, "per_class=2": 3,
        }  # fmt: skip
    assert results[1] == results[2]
    again = run.run(config(data_dir, folder, halving=2, rungs=2))
    assert statuses(again) == results[1] and again.complete
    assert sum(attempts(folder).values()) == 4 + 2 + 1
    # What was dropped can be had after all.
    assert run.run(config(data_dir, folder)).complete
    assert {row["epochs"] for row in board(folder)} == {"9"}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


SLOW = 'trials: {a: {model: "fake:slow", epochs: 3}, b: {epochs: 2}, c: {epochs: 2}}'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("without_page")
def test_a_signal_lets_trials_stop_and_a_second_run_carries_on(
    data_dir: Path, tmp_path: Path, number: int
) -> None:
    metrics = tmp_path / "runs" / "a" / "metrics.csv"

    def interrupt() -> None:
        wait_for(metrics.exists)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = run.run(config(data_dir, tmp_path, SLOW, parallel=1))
    thread.join()
    assert result.stopped_by == number and not result.complete
    assert statuses(result) == {"a": "interrupted", "b": "waiting", "c": "waiting"}
    assert {row["trial"]: row["epochs"] for row in board(tmp_path)}["a"] == "1"
    quick = SLOW.replace("fake:slow", "fake:quick")
    stored = tmp_path / "runs" / "a" / "config.json"
    stored.write_text(stored.read_text().replace("fake:slow", "fake:quick"))
    assert run.run(config(data_dir, tmp_path, quick)).complete
    assert attempts(tmp_path) == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("stopped_by", "status", "code"),
    [(0, "done", 0), (15, "done", 0), (0, "failed", 1), (2, "waiting", 130), (15, "waiting", 143)],
)
def test_the_exit_code_tells_what_is_to_be_run_again(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    stopped_by: int, status: str, code: int,
) -> None:  # fmt: skip
    entry = trials.Entry(Trial("a", train_configs.config()), status=status)
    ended = SweepResult((entry,), stopped_by, tmp_path)
    monkeypatch.setattr(run, "run", lambda config: ended)
    assert sweep.main(config(data_dir, tmp_path, SLOW)) == code


@pytest.mark.usefixtures("without_page")
def test_a_second_signal_kills(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deaf = tmp_path / "runs" / "a" / "deaf"
    said = ""

    def interrupt() -> None:
        nonlocal said
        wait_for(deaf.exists)
        os.kill(os.getpid(), signal.SIGINT)

        def asked() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return "stopping: 1 trial to save first" in said

        wait_for(asked)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    grid = 'trials: {a: {model: "fake:stubborn"}}'
    result = run.run(config(data_dir, tmp_path, grid, progress="lines"))
    thread.join()
    assert statuses(result) == {"a": "interrupted"}


KILLABLE = """
import sys
from trainer.sweep import trials
from trainer.sweep.__main__ import COMMAND
trials.CHILD = "tests.support.processes.fake_child"
sys.exit(COMMAND.run())
"""


def test_a_killed_sweep_leaves_no_orphan(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tmp_path, SLOW)
    flags = [f"--{n}={getattr(asked, n)}" for n in ("data_dir", "runs_dir", "grid", "parallel")]
    process = subprocess.Popen([sys.executable, "-c", KILLABLE, *flags], stderr=subprocess.DEVNULL)
    folder = tmp_path / "runs"
    wait_for(lambda: (folder / "a" / "metrics.csv").exists())
    orphans = _children(process.pid)
    assert orphans
    process.kill()
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    # Nothing holds the directory any more: a second sweep may begin.
    with trial_status.locked(folder):
        pass


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_held_run_directory_is_waited_for(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    release = threading.Event()
    entered = threading.Event()

    def hold() -> None:
        with trial_status.locked(folder):
            entered.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(30)
    try:
        waits: list[str] = []
        assert trial_status.busy(folder)
        entries, _ = run.prepare(
            config(data_dir, tmp_path, "trials: {a: {epochs: 1}, b: {epochs: 1}}"),
            manifests.load(data_dir),
        )

        class Listener:
            def started(self, entry: trials.Entry) -> None:
                del entry

            def ended(self, entry: trials.Entry) -> None:
                if entry.name == "b":
                    release.set()

            def waits(self, entry: trials.Entry) -> None:
                waits.append(entry.name)

            def stopping(self, running: int) -> None:
                del running

            def tick(self) -> None:
                pass

        trials.run(
            entries, lambda trial: 0, resources.assign(1, (), (0,)), Listener(), trials.Stop()
        )
    finally:
        release.set()
        thread.join()
    assert waits == ["a"]
    assert [entry.status for entry in entries] == ["done", "done"]


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []  # type: ignore[list-item]  # Checked.
        self.links += [found["href"] or ""] if tag == "a" and "href" in found else []
        if tag in ("img", "script", "link", "iframe"):
            self.loaded += [found.get("src") or found.get("href") or ""]


def test_the_page_is_one_file_that_finds_its_trials(data_dir: Path, tmp_path: Path) -> None:
    grid = """
        base: {epochs: 3}
        grid: {per_class: [2, 4, 8], image_size: [12, 16]}
        trials: {"odd=50+,x": {wide: true}, none: {per_class: 99}}
        """
    result = run.run(config(data_dir, tmp_path, grid))
    assert result.page == tmp_path / "runs" / "report" / "index.html"
    text = result.page.read_text()
    page = _Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(not source or source.startswith("data:") for source in page.loaded)
    trials_found = [link for link in page.links if link.endswith("index.html")]
    assert len(trials_found) == 7
    for link in trials_found:
        assert (result.page.parent / unquote(link)).resolve().is_file()
    # Each of the seven that trained is in two curves, two comparisons and two figures of cost.
    for index in range(7):
        assert sum(id_.endswith(f"-t{index}") for id_ in page.ids) == 6
    assert "Against pictures a class" in text and "Against picture size" in text
    assert not re.search(r"\bnan\b", text.split("<script>")[0])


def test_results_are_current_while_trials_run(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_PAGE_SECONDS", 0.0)
    seen: list[tuple[int, bool]] = []
    refresh = run.Results.refresh

    def watched(self: run.Results) -> None:
        refresh(self)
        done = sum(row["status"] == "done" for row in board(tmp_path))
        seen.append((done, (tmp_path / "runs" / "report" / "index.html").exists()))

    monkeypatch.setattr(run.Results, "refresh", watched)
    grid = "grid: {epochs: [1, 2]}"
    assert run.run(config(data_dir, tmp_path, grid, parallel=1)).complete
    assert seen == [(1, True), (2, True)]


def test_a_sweep_of_one_trial_has_a_page_too(data_dir: Path, tmp_path: Path) -> None:
    result = run.run(config(data_dir, tmp_path, "trials: {a: {epochs: 1}}"))
    assert result.page is not None and "Against" not in result.page.read_text()


def test_importing_a_sweep_imports_no_tensorflow() -> None:
    code = "import sys, trainer.sweep.run; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 0}, "--scale must be"),
        ({"parallel": 0}, "--parallel must be"),
        ({"halving": 1}, "--halving must be 2 to 100, or 0"),
        ({"rungs": 0}, "--rungs must be"),
    ],
)
def test_misuse_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SweepConfig(data_dir="d", runs_dir="r", grid="g", **changes)  # type: ignore[arg-type]  # The point.
