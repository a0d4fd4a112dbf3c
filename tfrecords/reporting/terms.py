"""What the numbers on a page mean, in a sentence each: shown where a reader points at one."""

from __future__ import annotations

TERMS = {
    # Of results.
    "macro_f1": "F1 of each class, averaged over the classes: a class of 3 pictures counts as much "
    "as one of 3,000.",
    "top1": "Share of the pictures whose most probable class is the true one.",
    "balanced_accuracy": "Recall of each class, averaged over the classes.",
    "loss": "Mean negative logarithm of the probability of the true class. Guessing among n "
    "classes gives log n.",
    "ece": "Expected calibration error: how far, on average, the confidence of a prediction is "
    "from the share of such predictions that are right. 0 is perfect.",
    "group_recall": "Recall of each class of the group, averaged over its classes.",
    "group": "By training pictures without copies: the head has the large classes, the tail the "
    "small ones.",
    "train": "Training pictures, without augmented copies.",
    "support": "Pictures of this class that the numbers of its row rest on. Few make them "
    "uncertain.",
    "precision": "Of the pictures predicted as this class, the share that are of it.",
    "recall": "Of the pictures of this class, the share that are predicted as it.",
    "f1": "Harmonic mean of precision and recall: high only where both are.",
    "mistaken_for": "The class that pictures of this one are most often predicted as, and how "
    "many are.",
    "label_issue": "The network gives another class more probability than pictures of that class "
    "are given on average, and did not train on the picture.",
    "self_confidence": "Probability that the network gives the label that the picture has.",
    # Of a data set.
    "train_records": "Records of the train split: originals and the augmented copies that balance "
    "it.",
    "imbalance": "Records to train on of the largest class, to those of the smallest that has any.",
    "left_out": "Files that are in no shard, each with its reason in sources.parquet.",
    "found": "Files of this class in the input.",
    "copies": "Augmented copies of train pictures, made to reach --min_per_class.",
    "capped": "Pictures of large classes beyond --max_per_class.",
    "duplicate": "Files equal to one that is used.",
    "rejected": "Files that are no picture, or one that is broken or out of bounds.",
    "to_train_on": "Originals and copies of the train split.",
    "near": "Held-out pictures much nearer to a train picture of their class than usual: the "
    "network may know them from memory.",
    "optimism": "How much higher a score on this split may be than on pictures of new origin.",
}
