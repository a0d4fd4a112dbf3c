"""What people call the columns of a table of pictures."""

from __future__ import annotations

import re

# In each, the earlier name wins where two columns say the same.
PATH_NAMES = (
    "path", "paths", "filepath", "file_path", "filepaths", "file_paths", "image_path",
    "image_paths", "img_path", "imagepath", "relative_path", "full_path", "file_name", "filename",
    "filenames", "file_names", "file", "files", "fname", "image_name", "image_names", "imagename",
    "img_name", "image_file", "image_filename", "image", "images", "img", "picture", "pictures",
    "photo", "image_id", "imageid", "img_id", "image_ids", "file_id", "photo_id", "id_code", "id",
    "ids", "key", "name",
)  # fmt: skip

LABEL_NAMES = (
    "label", "labels", "class", "classes", "class_name", "classname", "class_label", "label_name",
    "category", "category_name", "categories", "target", "targets", "expected", "species", "breed",
    "variety", "genus", "diagnosis", "dx", "character", "emotion", "tag", "cls", "y",
    "choice", "ground_truth", "class_id", "classid", "label_id", "category_id", "target_id",
    "landmark_id", "class_index", "label_index",
)  # fmt: skip

# Ends of longer names of columns of classes, as of "Finding Labels" and "noisy_labels_0".
_LABEL_END = re.compile(
    r".*_(?:labels?|class(?:es)?|category|categories|species|breed|diagnosis|tags?)(?:_\d+)?\Z"
)

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

# What several pictures are of or from: a split should not divide it.
_GROUP = re.compile(
    r"(?:(?:.*_)?(?:patient|lesion|subject|participant|donor|person|individual|animal|specimen|"
    r"study|case|sequence|seq|track|video|clip|session|photographer|driver|group)|location|site)"
    r"(?:_?(?:id|ids|no|nr|number|name|index))?\Z"
)

# Whether what another column of the row says is so.
TRUTH_NAMES = ("confidence", "present", "is_present", "verified", "is_verified", "correct")

# Columns of the pixels of a picture, as MNIST is written in tables: pixel0, 1x1, x0_y0.
_PIXEL = re.compile(r"(?:pixel|px|p)_?\d+\Z|\d+x\d+\Z|pixels?\Z")

_BETWEEN = re.compile(r"[\s_.\-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def normalised(name: str) -> str:
    """Returns a column's name in lower case, with `_` between its words."""
    return _BETWEEN.sub("_", _CAMEL.sub("_", name.strip())).strip("_").lower()


def ends_as_label(name: str) -> bool:
    """Returns whether a normalised name ends with a word for a class."""
    return _LABEL_END.match(name) is not None


def is_group(name: str) -> bool:
    """Returns whether a normalised name is that of what several pictures are of: a patient."""
    return _GROUP.match(name) is not None


def is_pixel(name: str) -> bool:
    """Returns whether a normalised name is that of a pixel's column."""
    return _PIXEL.match(name) is not None
