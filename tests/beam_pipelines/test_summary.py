from __future__ import annotations

import dataclasses

import pytest

from beam_pipelines import summary
from beam_pipelines.choices import SplitBy
from beam_pipelines.similarity.leak_meter import EDGES, LeakMeter
from beam_pipelines.similarity.optimism import Optimism
from tests.support.bakes.prepare_configs import config_of
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo
from tfrecords.schema import ImageSpec

SHARD = ShardInfo("d-train.tfrecord-00000-of-00001", 4, 2**20, "0" * 64)
DATASET = Manifest(
    name="d",
    classes=("apu", "bart"),
    image=ImageSpec(),
    splits=(
        SplitInfo("train", (2, 1), (0, 1), (SHARD,)),
        SplitInfo("test", (1, 0), (0, 0), (dataclasses.replace(SHARD, records=1),)),
    ),
    statuses={"kept": 4},
    config={},
    digests={"dataset": "ab" * 32},
)
LEFT_OUT = {
    "capped": {"": 1_200},
    "duplicate": {"equal file": 2, "near duplicate": 1},
    "rejected": {"corrupt": 2, "empty": 1},
}


def test_the_last_lines_of_a_bake() -> None:
    config = config_of("--output_dir=my shards", "--per_class=2")
    assert list(summary.summary_lines(config, DATASET, LEFT_OUT)) == [
        "my shards: 2 classes, 2 train records each",
        "split  originals  copies  records  shards  MiB",
        "train          3       1        4       1    1",
        "test           1       0        1       1    1",
        "total          4       1        5       2    2",
        "left out   files  why",
        "capped     1,200  pictures of large classes beyond --per_class=2: in no shard",
        "duplicate      3  of pictures that are kept: 2 equal files, 1 near duplicate",
        "rejected       3  2 corrupt, 1 empty",
        "each file's reason is in my shards/sources.parquet",
        f"digest {'ab' * 32}",
        "report my shards/report/index.html",
        "next: evenshard train '--data_dir=my shards' --run_dir=runs/first",
    ]  # fmt: skip


def test_without_anything_left_out_there_is_no_table_of_it() -> None:
    lines = list(summary.summary_lines(config_of(), DATASET, {}))
    assert not any("left out" in line or "reason" in line for line in lines)
    unequal = dataclasses.replace(
        DATASET, splits=(SplitInfo("train", (3, 1), (0, 0), (SHARD,)), *DATASET.splits[1:])
    )
    assert next(summary.summary_lines(config_of(), unequal, {})).endswith(
        "2 classes, 1 to 3 train records each"
    )


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--per_class=80", "--per_class=80"),
        ("--max_per_class=90", "--max_per_class=90"),
        ("--balance=power:0.5", "--balance=power:0.5"),
    ],
)
def test_capped_names_the_flag_that_caps(flag: str, said: str) -> None:
    (_, row) = summary.left_out_table(config_of(flag), {"capped": {"": 3}})
    assert f"beyond {said}:" in row


def meter(near: int) -> LeakMeter:
    empty = (0,) * (len(EDGES) - 1)
    return LeakMeter("validation", 100, near, near, 0, 0, empty, empty, ())


def test_a_split_that_leaks_proposes_the_command_that_mends_it() -> None:
    config = config_of("--input_dir=my fish", "--output_dir=o", "--split_by=random")
    optimism = Optimism("validation", 500, 0.93, 0.76)
    lines = list(summary.honesty_lines(config, SplitBy.RANDOM, [meter(33)], optimism))
    assert "about 0.17 too high" in lines[0]
    assert lines[1:] == [
        "to split by appearance instead: evenshard bake '--input_dir=my fish' --output_dir=o "
        "--split_by=appearance --overwrite"
    ]


def test_nothing_is_proposed_where_it_would_change_nothing() -> None:
    config = config_of("--output_dir=o")
    assert not list(summary.honesty_lines(config, SplitBy.RANDOM, [meter(13)], None))
    assert not list(summary.honesty_lines(config, SplitBy.APPEARANCE, [meter(33)], None))


def test_what_a_file_said_is_not_written_as_its_name() -> None:
    config = config_of("--output_dir=o")
    understood = dataclasses.replace(config, class_order=("apu", "bart"))
    (line,) = summary.honesty_lines(understood, SplitBy.RANDOM, [meter(33)], None)
    assert line.endswith("the same command with --split_by=appearance --overwrite")
