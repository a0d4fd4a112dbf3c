"""What people call the columns of a table of pictures."""

from __future__ import annotations

import re

# In each, the earlier name wins where two columns say the same.
PATH_NAMES = (
    "path", "paths", "filepath", "file_path", "filepaths", "file_paths", "image_path",
    "image_paths", "img_path", "imagepath", "relative_path", "full_path", "file_name", "filename",
    "filenames", "file_names", "file", "files", "fname", "image_name", "image_names", "imagename",
    "img_name", "image_file", "image_filename", "image", "images", "img", "picture", "pictures",
    "photo", "image_id", "imageid", "img_id", "image_ids", "file_id", "photo_id", "id", "ids",
    "key", "name",
)  # fmt: skip

LABEL_NAMES = (
    "label", "labels", "class", "classes", "class_name", "classname", "class_label", "label_name",
    "category", "category_name", "categories", "target", "targets", "expected", "species", "breed",
    "variety", "genus", "diagnosis", "dx", "character", "emotion", "tag", "cls", "y",
    "ground_truth", "class_id", "classid", "label_id", "category_id", "target_id", "class_index",
    "label_index",
)  # fmt: skip

SPLIT_NAMES = (
    "split", "splits", "set", "subset", "data_set", "dataset", "data_split", "split_name",
    "partition", "usage", "phase",
)  # fmt: skip

# Columns that say something of splits in a form that is not read: a mark of one, or folds.
SPLIT_MARKS = (
    "is_train", "is_training", "is_training_image", "is_test", "is_testing", "is_test_image",
    "is_val", "is_valid", "is_validation", "in_train", "in_test", "train", "training", "test",
    "train_test", "train_test_split", "train_val_test", "fold", "folds", "fold_id", "fold_no",
    "kfold", "k_fold", "cv_fold", "cv",
)  # fmt: skip

_BETWEEN = re.compile(r"[\s_.\-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def normalised(name: str) -> str:
    """Returns a column's name in lower case, with `_` between its words."""
    return _BETWEEN.sub("_", _CAMEL.sub("_", name.strip())).strip("_").lower()
