"""Nothing is changed before it is checked and locked, and what is replaced is moved aside."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.runs.runs import assert_same_end, config, final_state
from tfrecords.errors import EvenshardError, TrainerError, UsageError
from tfrecords.system.locks import LockedError
from trainer.report import model_card
from trainer.runs import checkpoints, directory, opening, resuming, tensorboard, trained_on
from trainer.runs.checkpoints import DamagedCheckpointWarning, Store
from trainer.runs.load import load_run
from trainer.train import loop
from trainer.train import run as training
from trainer.train.loop import RunResult
from trainer.train.prepare import prepare
from trainer.train.run import run
from trainer.train.state import State, resume


@pytest.fixture(scope="module")
def finished(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(config(data_dir, tmp_path_factory.mktemp("run") / "r", keep_checkpoints=3))


@pytest.fixture
def copied(finished: RunResult, tmp_path: Path) -> Path:
    """A finished run that a test may damage."""
    return Path(shutil.copytree(finished.run_dir, tmp_path / "copied"))


def contents(folder: Path) -> dict[str, str]:
    """Returns path → sha256 of every file below a folder, its lock apart."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != directory.LOCK
    }


def test_noresume_deletes_nothing_while_another_process_trains(
    data_dir: Path, copied: Path
) -> None:
    before = contents(copied)
    with directory.locked(copied), pytest.raises(LockedError, match="another process trains"):
        run(config(data_dir, copied, resume=False), report=False)
    assert contents(copied) == before
    assert not list(copied.parent.glob("copied.old*"))


@pytest.mark.parametrize("model", ["springfield_cn", "tests.support.networks.tiny:nothing"])
def test_noresume_with_a_wrong_model_deletes_nothing(
    data_dir: Path, copied: Path, model: str
) -> None:
    before = contents(copied)
    with pytest.raises(UsageError):
        run(config(data_dir, copied, resume=False, model=model), report=False)
    assert contents(copied) == before
    assert not list(copied.parent.glob("copied.old*"))


def test_a_first_run_with_a_wrong_model_leaves_nothing(data_dir: Path, tmp_path: Path) -> None:
    wrong = config(data_dir, tmp_path / "r", model="tests.support.networks.tiny:nothing")
    with pytest.raises(UsageError):
        run(wrong, report=False)
    assert not (tmp_path / "r").exists()


def test_a_run_that_never_trained_a_step_does_not_refuse_the_mended_command(
    data_dir: Path, tmp_path: Path
) -> None:
    diverging = config(
        data_dir, tmp_path / "r", model="tests.support.networks.tiny:diverging", epochs=1
    )
    with pytest.raises(TrainerError, match="the loss became"):
        run(diverging, report=False)
    mended = dataclasses.replace(diverging, model="tests.support.networks.tiny:network")
    assert run(mended, report=False).status == "completed"


def test_what_a_run_was_trained_on_is_that_of_its_own_flags(data_dir: Path, tmp_path: Path) -> None:
    few = config(
        data_dir,
        tmp_path / "r",
        model="tests.support.networks.tiny:diverging",
        epochs=1,
        per_class=2,
    )
    with pytest.raises(TrainerError, match="the loss became"):
        run(few, report=False)
    many = dataclasses.replace(few, model="tests.support.networks.tiny:network", per_class=None)
    run(many, report=False)
    found = trained_on.read(tmp_path / "r")
    assert found is not None and found.pictures.num_rows == 12 + 8 + 5


def test_a_data_set_without_a_ledger_is_trained_on_and_said(data_dir: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(data_dir, tmp_path / "data"))
    (bare / "sources.parquet").unlink()
    with pytest.warns(opening.UnknownPicturesWarning, match="will not be able to tell"):
        run(config(bare, tmp_path / "r", epochs=1), report=False)
    assert trained_on.read(tmp_path / "r") is None


def test_noresume_keeps_the_old_run_until_the_new_one_has_a_checkpoint(
    data_dir: Path, copied: Path, finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copied)
    aside = copied.with_name("copied.old-1")
    real = loop._train_epoch

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_train_epoch", stop)
    anew = config(data_dir, copied, resume=False, seed=3)
    for _ in range(2):  # The second attempt has nothing of its own to move aside.
        with pytest.raises(KeyboardInterrupt):
            run(anew, report=False)
        assert contents(aside) == before
    monkeypatch.setattr(loop, "_train_epoch", real)
    seen: list[bool] = []
    save = Store.save

    def watched(store: Store, checkpoint: checkpoints.Checkpoint) -> Path:
        seen.append(aside.exists())
        return save(store, checkpoint)

    monkeypatch.setattr(Store, "save", watched)
    run(dataclasses.replace(anew, resume=True), report=False)
    assert seen == [True, False, False]
    assert not (copied / "model.keras").stat().st_size == 0 and not aside.exists()
    again = config(data_dir, copied, resume=False)
    run(again, report=False)
    assert_same_end(finished.run_dir, copied)
    assert not list(copied.parent.glob("copied.old*"))


def test_an_older_copy_beside_the_run_is_left_alone(data_dir: Path, copied: Path) -> None:
    other = copied.with_name("copied.old-1")
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    run(config(data_dir, copied, resume=False, epochs=1), report=False)
    assert (other / "mine.txt").read_text() == "mine"
    assert not copied.with_name("copied.old-2").exists()


def test_what_a_killed_save_left_is_removed_under_the_lock(data_dir: Path, copied: Path) -> None:
    for name in (".tmp-1-model.keras", "report/.tmp-2-index.html", "checkpoints/.tmp-3-best.ckpt"):
        (copied / name).write_bytes(b"half")
    with directory.locked(copied), pytest.raises(LockedError):
        run(config(data_dir, copied, keep_checkpoints=3))
    assert len(list(copied.rglob(".tmp-*"))) == 3
    run(config(data_dir, copied, keep_checkpoints=3))
    assert not list(copied.rglob(".tmp-*"))


def test_a_link_to_a_run_stays_one(data_dir: Path, copied: Path) -> None:
    link = copied.with_name("link")
    link.symlink_to(copied)
    run(config(data_dir, link, resume=False, epochs=1), report=False)
    assert link.is_symlink() and (copied / "model.keras").exists()


def test_a_finished_run_without_its_best_checkpoint_ends_with_the_last(
    data_dir: Path, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "checkpoints" / "best.ckpt").unlink()
    flags = config(data_dir, copied, keep_checkpoints=3, progress="lines")
    result = run(flags, report=False)
    assert (result.status, result.weights) == ("completed", "last")
    assert "no best checkpoint: the weights of the last epoch are used" in capsys.readouterr().err
    saved = keras.saving.load_model(copied / "model.keras")
    last = final_state(copied)
    for i, variable in enumerate(saved.trainable_variables):
        names = [
            name for name in last if name.startswith("model/") and name.endswith(variable.name)
        ]
        assert any(np.array_equal(last[name], variable.numpy()) for name in names), i
    with pytest.warns(UserWarning, match="no best checkpoint"):
        load_run(copied)
    run(flags)
    card = (copied / model_card.CARD).read_text(encoding="utf-8")
    assert "of the last epoch: the checkpoint of the best one is gone" in card


def rewrite(path: Path, **changes: Any) -> None:
    checkpoints.write(path, dataclasses.replace(checkpoints.read(path), **changes))


NONSENSE: dict[str, dict[str, Any]] = {
    "no tally": {"arrays": {}},
    "an epoch beyond the end": {"epoch": 99},
    "a step beyond the epoch": {"step": 99},
    "a negative step": {"step": -1},
    "another step than epoch and step give": {"global_step": 3},
    "a history of fewer epochs": {"history": ()},
    "a history without numbers": {"history": ({"epoch": 1},) * 3},
    "a history of texts": {"history": ({"epoch": "x", "val_macro_f1": None, "seconds": "y"},) * 3},
    "unknown counters": {"extra": {"pictures": 1, "apples": 2}},
    "no counters": {"extra": {}},
    "counters of text": {"extra": {"pictures": "many"}},
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_checkpoint_with_sound_crcs_and_nonsense_inside_is_skipped(
    data_dir: Path, copied: Path, built: State, kind: str
) -> None:
    path = copied / "checkpoints" / "step-000000012.ckpt"
    rewrite(path, **NONSENSE[kind])
    task = prepare(config(data_dir, copied, keep_checkpoints=3))
    with pytest.warns(DamagedCheckpointWarning, match="step-000000012.ckpt is damaged and skipped"):
        resume(task, built)
    assert (built.epoch, built.step, len(built.history)) == (2, 0, 2)


@pytest.fixture(scope="module")
def built(finished: RunResult, data_dir: Path) -> State:
    """A network that states are restored into, since building one takes a second."""
    return loop.build_state(prepare(config(data_dir, finished.run_dir, keep_checkpoints=3)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_checkpoint_of_weights_that_are_not_finite_is_skipped(
    data_dir: Path, finished: RunResult, copied: Path, value: float
) -> None:
    path = copied / "checkpoints" / "step-000000012.ckpt"
    arrays = dict(checkpoints.read(path).arrays)
    name = next(name for name in arrays if name.endswith("kernel"))
    arrays[name] = np.full_like(arrays[name], value)
    rewrite(path, arrays=arrays)
    with pytest.warns(DamagedCheckpointWarning, match="is not finite"):
        run(config(data_dir, copied, keep_checkpoints=3), report=False)
    assert_same_end(finished.run_dir, copied)


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_again_unasked(
    data_dir: Path, copied: Path
) -> None:
    for path in (copied / "checkpoints").glob("step-*.ckpt"):
        path.write_bytes(path.read_bytes()[:-9])
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(TrainerError, match="none of the 3 checkpoints .* --noresume starts again"),
    ):
        run(config(data_dir, copied, keep_checkpoints=3), report=False)


# Read when a run is resumed, each removed or cut by itself.
STATE = (
    "config.json", "metrics.csv", f"tensorboard/{tensorboard.FILENAME}", "model.keras",
    f"tensorboard/train/{tensorboard.FILENAME}", f"tensorboard/validation/{tensorboard.FILENAME}",
    "trained_on.parquet",
    "checkpoints/best.ckpt", "checkpoints/step-000000008.ckpt", "checkpoints/step-000000012.ckpt",
)  # fmt: skip
# Written again from the rest, whatever became of them.
RESULTS = (
    "per_class.csv", "confusion.png", "curves.png", "f1_by_class_size.png", "calibration.png",
    "label_issues.csv",
    "predictions.parquet", "MODEL_CARD.md", "report/index.html",
)  # fmt: skip


def test_the_lists_of_files_are_whole(finished: RunResult) -> None:
    first = "checkpoints/step-000000004.ckpt"
    assert set(contents(finished.run_dir)) == {*STATE, *RESULTS, first}


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Drawing a report takes longer than all else; that it is written again is tested once."""
    monkeypatch.setattr(training, "write_report", lambda *_: Path())
    yield


@pytest.mark.parametrize("cut", [False, True], ids=["removed", "cut"])
@pytest.mark.parametrize("name", STATE)
def test_a_torn_run_is_mended_or_named_in_one_line(
    data_dir: Path, copied: Path, finished: RunResult, name: str, cut: bool, without_report: None
) -> None:
    """Each file of the run's state removed, and cut in half, in turn; then the same command."""
    path = copied / name
    data = path.read_bytes()
    path.unlink()
    if cut:
        path.write_bytes(data[: len(data) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCheckpointWarning)
        warnings.simplefilter("ignore", resuming.MendedRunWarning)
        try:
            result = run(config(data_dir, copied, keep_checkpoints=3))
        except EvenshardError as error:
            assert "\n" not in str(error) and str(copied) in str(error)
            return
    assert (result.status, result.epochs) == ("completed", 3)
    assert_same_end(finished.run_dir, copied)


@pytest.mark.parametrize("cut", [False, True], ids=["removed", "cut"])
def test_results_are_written_again(
    data_dir: Path, copied: Path, finished: RunResult, cut: bool
) -> None:
    for name in RESULTS:
        data = (copied / name).read_bytes()
        (copied / name).unlink()
        if cut:
            (copied / name).write_bytes(data[: len(data) // 2])
    run(config(data_dir, copied, keep_checkpoints=3))
    for name in set(RESULTS) - {"report/index.html", "MODEL_CARD.md"}:  # These name the directory.
        assert (copied / name).read_bytes() == (finished.run_dir / name).read_bytes(), name


@pytest.mark.parametrize("cut", [False, True], ids=["removed", "cut"])
def test_config_json_is_mended_from_the_same_flags(
    data_dir: Path, copied: Path, finished: RunResult, cut: bool
) -> None:
    path = copied / "config.json"
    text = path.read_text()
    path.unlink()
    if cut:
        path.write_text(text[: len(text) // 2])
    if cut:
        with pytest.warns(resuming.MendedRunWarning, match="config.json is damaged"):
            run(config(data_dir, copied, keep_checkpoints=3), report=False)
    else:
        run(config(data_dir, copied, keep_checkpoints=3), report=False)
    assert path.read_text().replace(str(copied), "R") == text.replace(str(finished.run_dir), "R")


def test_config_json_that_is_gone_is_not_mended_by_other_flags(
    data_dir: Path, copied: Path
) -> None:
    before = contents(copied)
    (copied / "config.json").unlink()
    with pytest.raises(UsageError, match="of another configuration"):
        run(config(data_dir, copied, seed=7), report=False)
    assert contents(copied) == {k: v for k, v in before.items() if k != "config.json"}
