"""What a person asks to be written is checked before anything is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from tfrecords.errors import UsageError
from trainer.predict import PredictConfig
from trainer.predicting import wish, writing
from trainer.predicting.writing import Submission


def asked(output: str, like: str = "") -> PredictConfig:
    return PredictConfig(run_dir=("r",), input="i", output=output, like=like)


@pytest.mark.parametrize(
    "output",
    ["p.xls", "p.XLSX", "p.parquet", "p.json", "p.tsv.gz", "out.d/p.csv.gz", "p.zip", "in/cat.PNG"],
)
def test_a_name_that_promises_another_format_is_refused(output: str) -> None:
    with pytest.raises(UsageError, match=r"promises another format.*\.csv"):
        asked(output)


@pytest.mark.parametrize("output", ["p.csv", "p.CSV", "p", "p.txt", "p.tsv", "v1.2", "/dev/stdout"])
def test_other_names_are_the_users_choice(output: str) -> None:
    assert asked(output).output == output


def test_a_sample_decides_the_separator_and_so_the_name() -> None:
    assert asked("p.tsv", like="sample.tsv").output == "p.tsv"
    wish.check_separator("p.tsv", "\t")
    wish.check_separator("p.csv", "\t")
    with pytest.raises(UsageError, match="promises tabs, and the sample of --like has ';'"):
        wish.check_separator("p.TSV", ";")
    with pytest.raises(UsageError):
        asked("p.xlsx", like="sample.tsv")


@pytest.mark.parametrize(("name", "separator"), [("p.csv", ","), ("p.tsv", "\t"), ("p.tab", "\t")])
def test_a_table_is_written_as_its_name_says(tmp_path: Path, name: str, separator: str) -> None:
    classes = ("a, b", "tab\there")
    found = Submission(
        ("1,2.jpg", "x\ty.jpg"), classes, np.array([[0], [1]]), np.ones((2, 1), np.float32), "a, b",
        np.array([0.5, 0.5]), (),
    )  # fmt: skip
    writing.write(found, writing.Paths.of(str(tmp_path / name)))
    with open(tmp_path / name, newline="", encoding="utf-8") as file:
        text = file.read()
    rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    assert rows == [["Id", "Expected"], ["1,2.jpg", "a, b"], ["x\ty.jpg", "tab\there"]]
    assert text.startswith(f"Id{separator}Expected\n")
