"""What determines the bytes of a data set and of its cache, and what does not."""

from __future__ import annotations

import dataclasses

import pytest

from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from tests.support.bakes.prepare_configs import config_of
from tfrecords.images.canonicalise import PIXELS_VERSION


def test_how_the_input_is_read_is_in_the_manifest() -> None:
    """Which pictures and which classes are in a data set depends on it."""
    one = config_of("--input_csv=t.csv")
    for value in ({"label_column": "breed"}, {"max_file_mb": 1}, {"zip_encoding": "gbk"}):
        assert identity.for_manifest(one) != identity.for_manifest(
            dataclasses.replace(one, **value)
        )
        assert identity.pixels_digest(one) == identity.pixels_digest(
            dataclasses.replace(one, **value)
        )


def test_the_way_to_split_is_in_the_manifest() -> None:
    assert identity.for_manifest(config_of("--split_by=appearance"))["split_by"] == "appearance"
    assert identity.for_manifest(config_of())["split_by"] == "auto"


def test_only_what_changes_bytes_is_in_the_manifest() -> None:
    one = config_of()
    same = dataclasses.replace(
        one, input_dir="j", output_dir="p", workers=5, keep_cache=True, runner="PrismRunner"
    )
    assert identity.for_manifest(one) == identity.for_manifest(same)
    assert identity.for_manifest(one) != identity.for_manifest(dataclasses.replace(one, seed=1))
    assert identity.pixels_digest(one) == identity.pixels_digest(dataclasses.replace(one, seed=1))
    other_size = dataclasses.replace(one, image_size=32)
    assert identity.pixels_digest(one) != identity.pixels_digest(other_size)


def test_the_manifest_has_every_flag_that_may_change_bytes() -> None:
    """A flag added later is either there, or named here as one that cannot change bytes."""
    elsewhere = {
        "input_dir", "output_dir", "input_csv", "overwrite", "keep_cache", "plan_only", "workers",
        "runner", "beam_options", "max_reject_fraction", "per_class", "allow_empty_splits",
        "image_size", "resize", "encoding", "jpeg_quality",  # As `image`.
        "folds", "group_column", "class_from",  # Where there are any.
        "min_source_pixels", "max_source_pixels", "truncated",  # As `limits`.
    }  # fmt: skip
    fields = {field.name for field in dataclasses.fields(PrepareConfig)}
    in_manifest = set(identity.for_manifest(config_of())) - {"image", "limits", "pixels_version"}
    assert fields - elsewhere == in_manifest


def test_another_version_of_the_pixels_reuses_none_of_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = identity.pixels_digest(config_of())
    monkeypatch.setattr("beam_pipelines.flag_rules.identity.PIXELS_VERSION", PIXELS_VERSION + 1)
    assert identity.pixels_digest(config_of()) != before


def test_splits_of_tables_are_in_the_manifest_where_there_are_any() -> None:
    """And no paths: a data set is the same wherever its tables lie."""
    plain = identity.for_manifest(config_of("--input_csv=t.csv"))
    assert plain == identity.for_manifest(config_of("--input_csv=meta/a.csv,meta/b.csv"))
    split = identity.for_manifest(config_of("--input_csv=train=a.csv,Testing=b.csv,train=c.csv"))
    assert split == {**plain, "table_splits": ["test", "train"]}


def test_a_column_of_groups_is_in_the_manifest_where_there_is_one() -> None:
    assert "group_column" not in identity.for_manifest(config_of("--input_csv=t.csv"))
    grouped = identity.for_manifest(config_of("--input_csv=t.csv", "--group_column=patient"))
    assert grouped["group_column"] == "patient"
