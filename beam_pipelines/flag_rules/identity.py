"""What a bake is known by: the values that determine the bytes of its data set and of its cache."""

from __future__ import annotations

import enum
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tfrecords import manifest
from tfrecords.images import decoder_setup
from tfrecords.images.canonicalise import PIXELS_VERSION
from tfrecords.inputs import table_names

if TYPE_CHECKING:
    from beam_pipelines.config import PrepareConfig

# Raise it when files of the cache change their form, or images their bytes and not their pixels:
# those of an earlier form are then made anew.
_CACHE_VERSION = 4

# Raise it in place of that when only files of rare kinds change, and let `cache.outdated` tell
# them: all others are taken from earlier packs.
#   1: of JPEGs with over 4 MiB of metadata and of TIFFs, the orientation of XMP is applied; of
#      TIFFs, other pages are noted, and a thumbnail is not taken for the picture; nearly black
#      pictures of 16 bits are noted.
RULES = 1


def for_manifest(config: PrepareConfig) -> dict[str, Any]:
    """Returns what determines the bytes of the data set, as JSON values."""
    least, most = config.records_per_class
    # A data set without folds, groups of a table, splits of tables or classes by a pattern says
    # nothing of them, as before there were any.
    folds = {} if config.folds is None else {"folds": config.folds}
    groups = {"group_column": config.group_column} if config.group_column else {}
    # Not the paths: a data set is the same wherever its input lies.
    of_tables = table_names.splits(config.input_csv)
    split_tables = {"table_splits": of_tables} if of_tables else {}
    captured = {} if config.class_from is None else {"class_from": config.class_from}
    return {
        key: _json_value(value)
        for key, value in {
            "name": config.name,
            "splits_from": config.splits_from,
            "class_level": config.class_level,
            "include": config.include,
            "exclude": config.exclude,
            "class_order": config.class_order,
            "classes_map": config.classes_map,
            "image": asdict(config.image),
            "limits": asdict(config.limits),
            "max_file_mb": config.max_file_mb,
            "path_column": config.path_column,
            "label_column": config.label_column,
            "split_column": config.split_column,
            "csv_separator": config.csv_separator,
            "csv_encoding": config.csv_encoding,
            "zip_encoding": config.zip_encoding,
            "splits": config.splits,
            "seed": config.seed,
            "min_per_class": least,
            "max_per_class": most,
            "balance": config.balance,
            "augment": config.augment,
            "near_duplicates": config.near_duplicates,
            "near_distance": config.near_distance,
            "label_conflicts": config.label_conflicts,
            "group_by": config.group_by,
            "group_within": config.group_within,
            "split_by": config.split_by,
            "num_shards": config.num_shards,
            "pixels_version": PIXELS_VERSION,
            **folds,
            **groups,
            **split_tables,
            **captured,
        }.items()
    }


def pixels_digest(config: PrepareConfig) -> str:
    """Returns what determines the bytes of a canonical image, as 12 hex digits."""
    return manifest.digest_of_config(
        {
            "image": _json_value(asdict(config.image)),
            "limits": _json_value(asdict(config.limits)),
            "version": PIXELS_VERSION,
            "cache": _CACHE_VERSION,
            # A picture that was rejected for want of a decoder is tried again with it.
            "decoders": decoder_setup.installed_extras(),
        }
    )[:12]


def _json_value(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value
