"""A run that an earlier version began is finished by this one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.datasets import fakes
from tests.support.runs.runs import assert_same_end, config
from tfrecords.errors import TrainerError, UsageError
from trainer.models import springfield_cnn
from trainer.runs import config_file
from trainer.runs.opening import SurroundingsWarning
from trainer.train.run import run

NEW = ("label_smoothing", "layer_decay")


def begin_as_an_earlier_version(data_dir: Path, run_dir: Path, patch: pytest.MonkeyPatch) -> None:
    """Trains one epoch of two, as a version would that had no flags `NEW`."""
    identity = config_file._identity

    def without(flags: Mapping[str, Any], *rest: Any) -> dict[str, Any]:
        return identity({k: v for k, v in flags.items() if k not in NEW}, *rest)

    with patch.context() as then:
        then.setattr(config_file, "_identity", without)
        run(config(data_dir, run_dir, epochs=2, stop_after_epoch=1), report=False)
    path = run_dir / config_file.CONFIG
    document = json.loads(path.read_text(encoding="utf-8"))
    for name in NEW:
        del document["flags"][name]
    path.write_text(json.dumps(document), encoding="utf-8")


def test_it_ends_as_one_that_was_begun_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, old, new = tmp_path / "data", tmp_path / "old", tmp_path / "new"
    data_dir.mkdir()
    fakes.write_dataset(data_dir, {"train": (12, 8, 5), "validation": (4, 3, 2)}, copies=2)
    begin_as_an_earlier_version(data_dir, old, monkeypatch)
    with pytest.raises(UsageError, match=r"--label_smoothing was 0\.\d+, is now 0\.5"):
        run(config(data_dir, old, epochs=2, label_smoothing=0.5), report=False)
    with pytest.warns(
        SurroundingsWarning, match="without --label_smoothing, --layer_decay, whose def"
    ):
        # Stopped again before its checkpoint is replaced: config.json knows all flags by now.
        run(config(data_dir, old, epochs=2, stop_after_epoch=1), report=False)
    run(config(data_dir, old, epochs=2), report=False)
    run(config(data_dir, new, epochs=2), report=False)
    assert_same_end(old, new)


def test_a_damaged_config_of_another_network_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoints of small pictures' first network would then be loaded into today's."""
    data_dir, run_dir = tmp_path / "data", tmp_path / "run"
    data_dir.mkdir()
    fakes.write_dataset(data_dir, {"train": (12, 8, 5), "validation": (4, 3, 2)}, copies=2)
    with monkeypatch.context() as then:
        then.setattr(springfield_cnn, "VERSION", 1)
        run(
            config(data_dir, run_dir, model="springfield_cnn", epochs=2, stop_after_epoch=1),
            report=False,
        )
    path = run_dir / config_file.CONFIG
    path.write_text("{", encoding="utf-8")
    with pytest.raises(TrainerError, match="is damaged"):
        run(config(data_dir, run_dir, model="springfield_cnn", epochs=2), report=False)
    assert path.read_text(encoding="utf-8") == "{"
