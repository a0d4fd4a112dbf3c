"""Damages of a data set on disk, each of which verify must find."""

from __future__ import annotations

import shutil

from tests.support.datasets import damages, fakes
from tests.torture.case import Case, Kind, Lost


def damage(attempt: Case) -> str:
    """Damages one file of a data set, or swaps two, and asks verify."""
    source = attempt.bench / "damaged"
    if not source.exists():
        counts = {"train": (6, 4, 2), "validation": (2, 1, 1), "test": (2, 1, 1)}
        half = attempt.folder / "half"
        fakes.write_dataset(half, counts, copies=3)
        try:
            half.rename(source)
        except OSError:  # A case beside this one was quicker.
            shutil.rmtree(half)
    data_dir = attempt.folder / "d"
    shutil.copytree(source, data_dir)
    files = sorted(path for path in data_dir.iterdir() if path.is_file())
    what = damages.damage(files, attempt.seed)
    if not damages.is_found(data_dir):
        raise Lost(f"verify does not find it: {what}")
    return what.split(" ")[1]


KINDS = (
    Kind("damage", "a bit flipped, bytes cut or blanked, files swapped or deleted: verify",
         1, damage, most=1000),
)  # fmt: skip
