"""What a person asks to be written is checked before anything is read."""

from __future__ import annotations

import pytest

from tfrecords.errors import UsageError
from trainer.predict import PredictConfig


def asked(output: str, like: str = "") -> PredictConfig:
    return PredictConfig(run_dir=("r",), input="i", output=output, like=like)


@pytest.mark.parametrize(
    "output",
    ["p.xls", "p.XLSX", "p.parquet", "p.json", "p.tsv", "out.d/p.csv.gz", "p.zip", "in/cat.PNG"],
)
def test_a_name_that_promises_another_format_is_refused(output: str) -> None:
    with pytest.raises(UsageError, match=r"promises another format.*\.csv"):
        asked(output)


@pytest.mark.parametrize("output", ["p.csv", "p.CSV", "p", "p.txt", "v1.2", "/dev/stdout"])
def test_other_names_are_the_users_choice(output: str) -> None:
    assert asked(output).output == output


def test_a_sample_decides_the_separator_and_so_the_name() -> None:
    assert asked("p.tsv", like="sample.tsv").output == "p.tsv"
    with pytest.raises(UsageError):
        asked("p.xlsx", like="sample.tsv")
