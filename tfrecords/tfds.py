"""TFDS metadata, so that `tfds.builder_from_directory(dir)` reads a data set.

Written without TFDS: it needs TensorFlow, which a bake never imports. The forms are those
of tensorflow_datasets/core/proto/{dataset_info,feature}.proto in protobuf's JSON.
"""

from __future__ import annotations

import json
from typing import Any

from tfrecords import schema
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.schema import Encoding, ImageSpec

DATASET_INFO = "dataset_info.json"
FEATURES = "features.json"
LABELS = "label.labels.txt"
VERSION = "1.0.0"

_FEATURES_MODULE = "tensorflow_datasets.core.features"


def metadata_files(manifest: Manifest) -> dict[str, str]:
    """Returns file name → text of the files that make a data set readable by TFDS."""
    return {
        DATASET_INFO: _dump(_dataset_info(manifest)),
        FEATURES: _dump(_features(manifest)),
        LABELS: "".join(f"{_one_line(name)}\n" for name in manifest.classes),
    }


def _dataset_info(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": VERSION,
        "description": f"Baked by evenshard; digest {manifest.digest}.",
        "fileFormat": "tfrecord",
        "moduleName": "",
        "splits": [_split(split) for split in manifest.splits],
        "supervisedKeys": {
            "tuple": {"items": [{"featureKey": schema.IMAGE}, {"featureKey": schema.LABEL}]}
        },
    }


def _split(split: SplitInfo) -> dict[str, Any]:
    return {
        "name": split.name,
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "shardLengths": [str(shard.records) for shard in split.shards],
        "numBytes": str(split.bytes),
    }


def _features(manifest: Manifest) -> dict[str, Any]:
    features = {
        schema.IMAGE: _image_feature(manifest.image),
        schema.LABEL: {
            "pythonClassName": f"{_FEATURES_MODULE}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": str(len(manifest.classes))},
        },
        schema.ID: {
            "pythonClassName": f"{_FEATURES_MODULE}.text_feature.Text",
            "text": {},
        },
        schema.RANK: _scalar_feature(),
        schema.COPY: _scalar_feature(),
    }
    return {
        "pythonClassName": f"{_FEATURES_MODULE}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def _image_feature(spec: ImageSpec) -> dict[str, Any]:
    sides = (spec.height, spec.width) if spec.fixed_size else (-1, -1)
    shape = {"dimensions": [str(side) for side in (*sides, 3)]}
    if spec.encoding is Encoding.RAW:
        return {
            "pythonClassName": f"{_FEATURES_MODULE}.tensor_feature.Tensor",
            "tensor": {"shape": shape, "dtype": "uint8", "encoding": "bytes"},
        }
    return {
        "pythonClassName": f"{_FEATURES_MODULE}.image_feature.Image",
        "image": {"shape": shape, "dtype": "uint8", "encodingFormat": spec.encoding.value},
    }


def _scalar_feature() -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURES_MODULE}.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
    }


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False) + "\n"
