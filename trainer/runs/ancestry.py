"""What a run began with, where it is a fork of another, and what it was extended by.

Both are part of config.json; reading them needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig


@dataclass(frozen=True)
class Extension:
    """A run at its end that was given more to do.

    Attributes:
      epochs: --epochs before.
      early_stopping: --early_stopping before.
      at: epochs that it had trained.
    """

    epochs: int
    early_stopping: int
    at: int

    @classmethod
    def of(cls, document: object, early_stopping: int) -> Extension:
        """Returns what config.json holds; a number, as it had once, is of --epochs alone.

        Raises:
          TypeError, ValueError: it has another form.
        """
        if isinstance(document, int):
            return cls(document, early_stopping, document)
        if not isinstance(document, dict):
            raise ValueError(f"an object expected, not {document!r}")
        return cls(**{each.name: int(document[each.name]) for each in dataclasses.fields(cls)})

    def before(self, flags: TrainConfig) -> TrainConfig:
        """Returns the flags that a run had before it was extended to `flags`."""
        return dataclasses.replace(
            flags.spelled_out(),
            epochs=self.epochs,
            early_stopping=self.early_stopping,
            unfreeze_epochs=self.epochs - 1 if flags.fits_head else flags.unfreeze_epochs,
        )


@dataclass(frozen=True)
class Fork:
    """The state of another run that a run began with.

    Attributes:
      run: name of the other run's directory.
      path: where it was.
      which: "last" or "best".
      epoch: epochs that it had finished.
      step: optimizer steps that it had done.
      fingerprint: of its configuration.
      before: epochs of history that come before this run: the other run's, and before them those
        that it began with itself.
      optimizer: why the optimizer starts anew; empty where its state was taken.
      optimizer_steps: that the optimizer had counted where its state was taken, else 0: this
        run's schedule begins there.
      changes: how the flags and the data set differ, a text each.
      parent: what the other run began with, if that was a fork, too.
    """

    run: str
    path: str
    which: str
    epoch: int
    step: int
    fingerprint: str
    before: int
    optimizer: str = ""
    optimizer_steps: int = 0
    changes: tuple[str, ...] = ()
    parent: Fork | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Fork:
        """Returns the fork that `to_dict` gave.

        Raises:
          KeyError, TypeError, ValueError: it has another form.
        """
        parent = document.get("parent")
        return cls(
            run=str(document["run"]),
            path=str(document["path"]),
            which=str(document["which"]),
            epoch=int(document["epoch"]),
            step=int(document["step"]),
            fingerprint=str(document["fingerprint"]),
            before=int(document["before"]),
            optimizer=str(document["optimizer"]),
            optimizer_steps=int(document["optimizer_steps"]),
            changes=tuple(map(str, document["changes"])),
            parent=None if parent is None else cls.of(parent),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns it, ready for JSON."""
        return dataclasses.asdict(self) | {
            "changes": list(self.changes),
            "parent": None if self.parent is None else self.parent.to_dict(),
        }

    @property
    def id(self) -> str:
        """Identifies the state that the run began with, wherever the other run lies now."""
        return f"{self.fingerprint} {self.which} {self.step} {self.optimizer_steps}"

    def is_of(self, run_dir: str, which: str) -> bool:
        """Returns whether --fork_from and --fork_epoch ask for this fork."""
        return which == self.which and os.path.abspath(run_dir) == self.path

    @property
    def marks(self) -> tuple[tuple[int, str], ...]:
        """(epochs that come before, name of the run until there) of each fork, the first first."""
        earlier = () if self.parent is None else self.parent.marks
        return (*earlier, (self.before, self.run))

    def describe(self) -> str:
        """Returns one line: from what, what of it was taken, and what differs."""
        state = f"fresh since {self.optimizer}" if self.optimizer else "taken"
        epochs = "no epoch" if not self.epoch else f"epochs 1–{self.epoch}"
        others = self.before - self.epoch
        more = f", and {others} of the runs that it began with" if others else ""
        parts = [
            f"forked from {self.run} at its {self.which} epoch: {epochs} of it{more} come before",
            f"optimizer state {state}",
            *self.changes,
        ]
        return "; ".join(parts)


def path_of(run_dir: str) -> tuple[str, str]:
    """Returns (name, absolute path) of a run's directory, as a `Fork` has them."""
    return Path(run_dir).resolve().name, os.path.abspath(run_dir)
