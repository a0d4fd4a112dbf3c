"""Commands that read a run, each of whose files is removed or cut in turn: one line or sound."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.runs import tiny_run
from trainer import lineage
from trainer import predict as predicting
from trainer.evaluate import __main__ as evaluate
from trainer.evaluate import run as evaluation
from trainer.runs.checkpoints import DamagedCheckpointWarning
from trainer.runs.load import MissingBestWarning

READ = (
    "config.json", "metrics.csv", "trained_on.parquet", "predictions.parquet", "MODEL_CARD.md",
    "checkpoints/best.ckpt", "model.keras", "evaluation/validation/evaluation.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tiny_run.train(data_dir, tmp_path_factory.mktemp("run") / "tiny")
    assert evaluate.COMMAND.run([f"--run_dir={run}", "--split=validation"]) == 0
    return run


@pytest.mark.parametrize("cut", [False, True], ids=["removed", "cut"])
@pytest.mark.parametrize("name", READ)
def test_a_torn_run_is_read_or_named_in_one_line(
    data_dir: Path, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], name: str, cut: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(evaluation.page, "write", lambda run: run.run_dir / "index.html")
    torn = Path(shutil.copytree(run_dir, tmp_path / "torn"))
    data = (torn / name).read_bytes()
    (torn / name).unlink()
    if cut:
        (torn / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "apu.png").write_bytes(fakes.picture_bytes("apu", "PNG"))
    commands = (
        (evaluate.COMMAND, [f"--run_dir={torn}", "--split=test"]),
        (lineage.COMMAND, [f"--run_dir={torn}", "--mistakes=1"]),
        (lineage.COMMAND, [f"--run_dir={torn / 'evaluation' / 'validation'}", "--row=0"]),
        (
            predicting.COMMAND,
            [f"--run_dir={torn}", f"--input={tmp_path}/*.png", f"--output={tmp_path}/o.csv"],
        ),
    )
    for command, argv in commands:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedCheckpointWarning)
            warnings.simplefilter("ignore", MissingBestWarning)
            code = command.run(argv)
        error = capsys.readouterr().err
        assert "unexpected" not in error, (argv, error)
        assert "Traceback" not in error and code in (0, 1), (argv, error)
        if code:
            assert error.count("error: ") == 1 and str(torn) in error, (argv, error)
