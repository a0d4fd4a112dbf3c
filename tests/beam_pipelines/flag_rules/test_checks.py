"""Flags of a bake that are out of range, or contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from beam_pipelines.config import PrepareConfig
from tfrecords.errors import UsageError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"balance": "power:2"}, "power"),
        ({"balance": "effective:1"}, "effective"),
        ({"balance": "power"}, "--balance"),
        ({"balance": "sqrt:1"}, "--balance"),
        ({"balance": "power:x"}, "--balance"),
        ({"splits": "train"}, "--splits=train: NAME:FRACTION"),
        ({"splits": "train:0.8,test:0.3"}, "add up to 1"),
        ({"splits": "test:0.5,train:0.5"}, "the first split must be"),
        ({"splits": 3}, "--splits=3"),
        ({"augment": "flop"}, "--augment=flop: .*not 'flop'"),
        ({"per_class": 3, "max_per_class": 4}, "--per_class sets both"),
        ({"per_class": 0}, "--per_class must be at least 1"),
        ({"min_per_class": 5, "max_per_class": 4}, "exceeds --max_per_class=4"),
        ({"min_per_class": 5, "augment": "none"}, "--augment must name an operation"),
        ({"name": "My set"}, "--name"),
        ({"image_size": ""}, "--image_size"),
        ({"image_size": "96x128", "resize": "short_side"}, "short_side"),
        ({"jpeg_quality": 101}, "jpeg_quality"),
        ({"min_source_pixels": 9, "max_source_pixels": 4}, "source pixels"),
        ({"group_by": "("}, "not a regular expression"),
        ({"class_from": "("}, "--class_from='\\(' is not a regular expression: missing"),
        ({"class_from": "x", "class_level": 2}, "given with --class_level, which says which"),
        ({"class_from": "x", "input_csv": "t.csv"}, "given with --input_csv, whose rows"),
        ({"class_from": "x", "label_column": "y"}, "given with --label_column, which names"),
        ({"group_within": "class"}, "--group_within=class needs --group_by"),
        ({"workers": -1}, "--workers"),
        ({"workers": "many"}, "--workers=many: auto or a whole number"),
        ({"near_duplicates": "gruop"}, "did you mean group?"),
        ({"input_dir": ""}, "--input_dir is required"),
        ({"splits_from": "x"}, "--splits_from=x: auto, folders or none is expected, or FOLDER"),
        ({"splits_from": "a:b c"}, "FOLDER:SPLIT"),
        ({"splits_from": 3}, "--splits_from=3: auto"),
        ({"class_level": 0}, "--class_level must be at least 1"),
        ({"include": "*.png,[a"}, "--include: .*bracket"),
        ({"exclude": "/"}, "--exclude: a glob such as"),
        ({"class_order": ""}, "natural or name is expected, or a file"),
        ({"class_order": 3}, "natural or name is expected, or a file"),
        ({"classes_map": 3}, "a CSV with the columns from and to"),
        ({"input_csv": "t.csv", "class_level": 2}, "--class_level is for folders and archives"),
        ({"input_csv": "t.csv", "exclude": "x"}, "--exclude is for folders and archives"),
        ({"max_file_mb": 0}, "--max_file_mb must be at least 1"),
        ({"path_column": "file"}, "--path_column is for a table: give --input_csv too"),
        ({"group_column": "patient"}, "--group_column is for a table: give --input_csv too"),
        ({"group_column": "p", "input_csv": "t", "group_within": "class"}, "needs --group_by"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_read(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        PrepareConfig(**{"input_dir": "in", "output_dir": "out", **values})
