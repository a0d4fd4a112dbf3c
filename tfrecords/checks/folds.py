"""The invariants of a train split with folds: each is what its own bake would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tfrecords import manifest
from tfrecords.checks.shards import NO_LABEL, Problem
from tfrecords.folds import FoldRanks
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, VALIDATION


def check_folds(found: Manifest, facts: Mapping[str, np.ndarray]) -> Iterator[Problem]:
    """Checks that the train split of each fold has ranks 0, 1, 2… in every class.

    Args:
      found: the manifest of a data set with folds.
      facts: shard file name → `FACTS`[records], of all shards of train.
    """
    names = [shard.filename for shard in found.split(TRAIN).shards]
    rows = np.concatenate([facts[name] for name in names])
    shard = np.repeat(np.arange(len(names)), [len(facts[name]) for name in names])
    kept = rows["label"] != NO_LABEL
    rows, shard = rows[kept], shard[kept]
    for fold in range(len(found.folds)):
        held_out = {each.filename for each in found.shards_of_fold(fold)}
        in_fold = np.array([name in held_out for name in names])[shard]
        if what := _fault_of_fold(found, fold, rows, in_fold):
            yield Problem(manifest.MANIFEST, f"fold {fold}: {what}")


def _fault_of_fold(found: Manifest, fold: int, rows: np.ndarray, in_fold: np.ndarray) -> str | None:
    label, rank, copy = (rows[name].astype(np.int64) for name in ("label", "rank", "copy"))
    is_original = copy == 0
    try:
        ranks = FoldRanks.of(
            label[is_original], rank[is_original], in_fold[is_original], validation=False
        )
    except ValueError as error:
        return str(error)
    view = found.of_fold(fold)
    train, validation = view.split(TRAIN), view.split(VALIDATION)
    classes = len(found.classes)
    of_fold = np.bincount(label[in_fold & is_original], minlength=classes)
    if of_fold.tolist() != list(validation.originals):
        return "its shards hold other numbers of originals of a class than the manifest says"
    here = np.flatnonzero(~in_fold)
    if len(here) and label.max() >= len(ranks.totals):
        return "a class has copies and no original"
    within = ranks.ranks(label[here], rank[here], copy[here])
    size = np.add(train.originals, train.copies)
    chosen = within < size[label[here]]
    order = np.lexsort((within[chosen], label[here][chosen]))
    expected = np.concatenate([np.arange(count) for count in size.tolist()])
    if not np.array_equal(within[chosen][order], expected):
        return "the ranks of its train split are not 0, 1, 2… once each in every class"
    copies = np.bincount(label[here][chosen & (copy[here] > 0)], minlength=classes)
    if copies.tolist() != list(train.copies):
        return "its train split has other numbers of copies of a class than the manifest says"
    return None
