"""What a person may tell about an input, where the names of its files do not say enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Values of `InputRules.splits_from`.
AUTO, FOLDERS, NO_FOLDERS = "auto", "folders", "none"


@dataclass(frozen=True, slots=True)
class InputRules:
    """Which files of a folder or an archive are read, and what their folders mean.

    Attributes:
      include: globs; () for every file.
      exclude: globs of what is left out, whatever `include` says.
      splits_from: "auto" takes folders for splits where names and shape leave no doubt; "folders"
        believes the names alone; "none" takes no folder for a split.
      split_folders: folder → the split that it is; stands above `splits_from`.
      class_level: which folder of a path is the class, 1 for the top one; None to find it.
      class_from: regular expression on a path; what it captures is the class, whatever the folders
        are. None to go by them.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    splits_from: str = AUTO
    split_folders: Mapping[str, str] = field(default_factory=dict)
    class_level: int | None = None
    class_from: str | None = None
