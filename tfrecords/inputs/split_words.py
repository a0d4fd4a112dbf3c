"""The words that people use for the splits of a data set, in folder names and in tables."""

from __future__ import annotations

import re

from tfrecords.schema import TRAIN

VALIDATION, TEST = "validation", "test"

_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), TRAIN),
    **dict.fromkeys(
        ("val", "valid", "validation", "validate", "validating", "valset", "dev", "devset"),
        VALIDATION,
    ),
    # `eval` is the test split in Hugging Face's table of such words, too.
    **dict.fromkeys(
        ("test", "testing", "testset", "tst", "eval", "evaluation", "holdout", "heldout"), TEST
    ),
}

# Words that say nothing about which split it is: "training_set", "seg_train", "Test images".
_FILLERS = frozenset(
    "set sets data dataset split splits subset folder image images img imgs picture pictures pic "
    "public private pics photo photos sample samples file files x seg raw new final all".split()
)

# The size of pictures: "val_256", "train_64x64", "test-224px".
_SIZE = re.compile(
    r"(?:28|32|48|64|80|96|112|128|160|192|200|224|227|240|256|299|300|320|384|400|448|480|500|512|"
    r"600|640|768|800|1024)(?:px)?\Z|\d{2,4}x\d{2,4}(?:px)?\Z"
)

# "train2017", and "testSet" as two words.
_YEAR = re.compile(r"(?<=[a-z])(?:19|20)\d\d\Z")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN = re.compile(r"[\W_]+")


def split_of(word: str) -> str | None:
    """Returns the split that a word stands for, or None: "Testing", "val_set" and "X_train" do.

    Capitals, separators and words such as "set" or "images" make no difference; a word that is
    not understood whole, such as "train_station", is no split.
    """
    spelled = _CAMEL.sub(" ", word.strip()) if not word.isupper() else word.strip()
    parts = [_YEAR.sub("", part) for part in _BETWEEN.split(spelled.lower()) if part]
    meant = [_WORDS[part] for part in parts if part in _WORDS]
    rest = [
        part
        for part in parts
        if part not in _WORDS and part not in _FILLERS and not _SIZE.match(part)
    ]
    if rest or not meant:
        # "hold-out" and "held out" are one word in the table above.
        return _WORDS.get("".join(parts))
    return meant[0] if len(set(meant)) == 1 else None
