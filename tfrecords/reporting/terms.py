"""What the numbers on a page mean, in a sentence each: shown where a reader points at one."""

from __future__ import annotations

TERMS = {
    # Of results.
    "macro_f1": "F1 of each class, averaged over the classes that have pictures in the split: a "
    "class of 3 pictures counts as much as one of 3,000.",
    "top1": "Share of the pictures whose most probable class is the true one.",
    "balanced_accuracy": "Recall of each class, averaged over the classes that have pictures in "
    "the split.",
    "loss": "Mean negative logarithm of the probability of the true class. Guessing among n "
    "classes gives log n.",
    "ece": "Expected calibration error: how far, on average, the confidence of a prediction is "
    "from the share of such predictions that are right. 0 is perfect.",
    "group_recall": "Recall of each class of the group, averaged over its classes.",
    "group": "Classes by their training pictures without copies: the head has the large ones, the "
    "tail the small ones.",
    "train": "Training pictures, without augmented copies.",
    "support": "Pictures of this class in the evaluated split. With few of them, the numbers of "
    "the row are uncertain.",
    "precision": "Share of the pictures predicted as this class that belong to it.",
    "recall": "Share of the pictures of this class that are predicted as it.",
    "f1": "Harmonic mean of precision and recall: high only where both are.",
    "mistaken_for": "The class that pictures of this one are most often mistaken for, and how "
    "often.",
    "label_issue": "The network, which did not train on the picture, gives another class more "
    "probability than its own, and than pictures of that class get on average.",
    "self_confidence": "Probability that the network gives to the picture's own label.",
    # Of a data set.
    "train_records": "Records of the train split: originals and the augmented copies that balance "
    "it.",
    "imbalance": "Training records of the largest class, compared with those of the smallest that "
    "has any.",
    "left_out": "Files that are in no shard, each with its reason in sources.parquet.",
    "found": "Files of this class in the input.",
    "copies": "Augmented copies of train pictures, made to reach --min_per_class.",
    "capped": "Pictures of large classes beyond --max_per_class.",
    "duplicate": "Files that are equal to one that is used.",
    "rejected": "Files that are not pictures, or are broken, too small or too large.",
    "to_train_on": "Originals and copies of the train split.",
    "near": "Held-out pictures that are much closer to a train picture of their class than usual: "
    "the network may know them from memory.",
    "optimism": "How much higher a score on this split may be than on pictures from a new source.",
}
