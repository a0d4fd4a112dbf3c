from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from tfrecords import manifest as manifests
from tfrecords.errors import EvenshardError, TrainerError, UsageError
from tfrecords.manifest import Manifest
from tfrecords.system.locks import LockedError
from trainer.config import TrainConfig
from trainer.runs.config_file import DatasetIdentity
from trainer.sweep import trial_status
from trainer.sweep.grid import Trial


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    counts = {"train": (12, 8, 5), "validation": (4, 3, 0), "test": (1, 1, 1)}
    fakes.write_dataset(folder, counts, copies=2)
    return folder


@pytest.fixture
def manifest(data_dir: Path) -> Manifest:
    return manifests.load(data_dir)


def config(data_dir: Path, **changes: object) -> TrainConfig:
    start = TrainConfig(data_dir=str(data_dir), run_dir=str(data_dir / "runs" / "a"))
    return dataclasses.replace(start, **changes)  # type: ignore[arg-type]  # Checked by the class.


@pytest.mark.parametrize(
    ("changes", "classes", "pictures"),
    [
        ({}, 3, 31),
        ({"per_class": 9}, 3, 9 + 9 + 7),
        ({"per_class": 14}, 3, 31),
        ({"originals_only": True, "per_class": 12}, 3, 25),
        ({"num_classes": 2, "per_class": 4}, 2, 8),
    ],
)
def test_the_training_set_is_what_would_be_trained_on(
    data_dir: Path, manifest: Manifest, changes: dict[str, object], classes: int, pictures: int
) -> None:
    found = trial_status.training_set(config(data_dir, **changes), manifest)
    assert (found.classes, found.pictures, found.size) == (classes, pictures, (16, 16))
    assert found.per_class == pictures / classes
    assert found.judged_classes == 2  # One has no validation picture, and comes last by size.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"per_class": 15}, "--per_class=15 is above the bake's 14 records a class"),
        ({"per_class": 13, "originals_only": True}, "above the bake's 12 originals a class"),
        ({"per_class": 11, "classes": ("bart", "lisa")}, "above the bake's 10 records"),
        ({"image_size": "17"}, "larger than the stored 16x16"),
        ({"num_classes": 4}, "the data set has 3 classes"),
        ({"classes": ("apu", "homer")}, "no class 'homer'"),
        ({"validation_split": "dev"}, "dev"),
        ({"validation_split": "train"}, "is what the run trains on: .* name a --validation_split"),
        ({"train_split": "test", "validation_split": "test"}, "is what the run trains on"),
    ],
)
def test_what_the_data_set_cannot_serve_is_refused(
    data_dir: Path, manifest: Manifest, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(EvenshardError, match=said):
        trial_status.training_set(config(data_dir, **changes), manifest)


def test_a_run_of_this_configuration_is_carried_on(
    data_dir: Path, manifest: Manifest, tmp_path: Path
) -> None:
    wanted = config(data_dir, run_dir=str(tmp_path), batch_size="auto", epochs=2)
    trial = Trial("a", wanted)
    trial_status.check_unclaimed(trial, manifest)
    flags = dataclasses.replace(wanted.with_batch_size(48), device="cpu", stop_after_epoch=1)
    stored = run_configs.describe(flags, manifest)
    run_configs.write(tmp_path, stored)
    trial_status.check_unclaimed(trial, manifest)
    other = Trial("a", dataclasses.replace(wanted, batch_size="32"))
    trial_status.check_unclaimed(other, manifest)  # Nothing has been trained there yet.
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    with pytest.raises(UsageError, match=r"--batch_size was 48, is now 32"):
        trial_status.check_unclaimed(other, manifest)
    moved = DatasetIdentity(manifest.name, "0" * 64)
    run_configs.write(tmp_path, dataclasses.replace(stored, dataset=moved))
    with pytest.raises(UsageError, match="the data set was 000000000000, is now "):
        trial_status.check_unclaimed(trial, manifest)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(TrainerError, match=r"config.json is damaged"):
        trial_status.check_unclaimed(trial, manifest)


def test_how_far_a_trial_is(data_dir: Path, tmp_path: Path) -> None:
    trial = Trial("a", config(data_dir, run_dir=str(tmp_path), epochs=3))
    assert trial_status.read(trial).epochs == 0 and not trial_status.read(trial).reached(0)
    (tmp_path / "metrics.csv").write_text("epoch,val_top1\n1,0.5\n2,0.6\n3,")
    found = trial_status.read(trial)
    assert (found.epochs, found.finished) == (3, False)
    assert found.reached(3) and not found.reached(4) and not found.reached(0)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("")
    assert trial_status.read(trial).reached(0) and trial_status.read(trial).reached(9)


@pytest.mark.parametrize(
    ("epochs", "early_stopping", "finished"),
    [(3, 0, True), (4, 0, False), (9, 0, False), (9, 2, True), (9, 3, False)],
)
def test_a_trial_that_was_given_more_epochs_is_not_done_by_the_report_of_before(
    data_dir: Path, tmp_path: Path, epochs: int, early_stopping: int, finished: bool
) -> None:
    flags = config(data_dir, run_dir=str(tmp_path), epochs=epochs, early_stopping=early_stopping)
    (tmp_path / "metrics.csv").write_text(
        "epoch,val_macro_f1,val_loss\n1,0.6,1\n2,0.5,2\n3,0.5,2\n"
    )
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("")
    run_configs.write(tmp_path, run_configs.describe(flags, manifests.load(data_dir)))
    assert trial_status.read(Trial("a", flags)).finished == finished


def test_a_lock_is_seen_and_let_go(tmp_path: Path) -> None:
    assert not trial_status.busy(tmp_path / "none")
    with trial_status.locked(tmp_path / "runs"):
        assert trial_status.busy(tmp_path / "runs")
        with pytest.raises(LockedError, match="another sweep runs in"):
            with trial_status.locked(tmp_path / "runs"):
                pass
    assert not trial_status.busy(tmp_path / "runs")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="cannot write in --runs_dir"):
        with trial_status.locked(tmp_path / "file" / "runs"):
            pass


def test_a_trial_starts_on_the_data_set_that_the_sweep_began_with(tmp_path: Path) -> None:
    manifest = fakes.write_dataset(tmp_path)
    assert trial_status.replaced_data(str(tmp_path), manifest.digest) is None
    assert trial_status.replaced_data(str(tmp_path), "") is None
    fakes.write_dataset(tmp_path, shards=1)
    reason = trial_status.replaced_data(str(tmp_path), manifest.digest)
    assert reason is not None and "was replaced while the sweep ran" in reason
    (tmp_path / "manifest.json").unlink()
    assert "no manifest.json" in (trial_status.replaced_data(str(tmp_path), "") or "")
