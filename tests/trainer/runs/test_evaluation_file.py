"""evaluation.json as model cards and lineage read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfrecords.errors import TrainerError
from trainer.runs.evaluation_file import EVALUATION, StoredEvaluation


def test_unknown_metrics_stay_unknown(tmp_path: Path) -> None:
    path = tmp_path / EVALUATION
    path.write_text(json.dumps({"metrics": {"top1": 0.5, "head": None}, "leaks": 3}))
    assert StoredEvaluation.read(path) == StoredEvaluation("", {"top1": 0.5, "head": None}, 3)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"metrics": 1}', '{"metrics": {"a": "b"}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / EVALUATION
    path.write_text(text)
    with pytest.raises(TrainerError, match=r"evaluation.json is damaged"):
        StoredEvaluation.read(path)
