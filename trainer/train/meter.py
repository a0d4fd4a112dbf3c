"""What an epoch has come to so far: its tally, its rate and its wait for input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.train import step as steps
from trainer.train.step import Tally


@dataclass
class Meter:
    """What an epoch has come to so far; saved with a checkpoint, so that no part is lost.

    Attributes:
      tally: of all its steps.
      pictures: done.
      seconds: spent on them.
      timed_pictures, timed_seconds: without each process's first step, which compiles.
      waited: of the timed seconds, those spent waiting for input.
    """

    tally: Tally
    pictures: int = 0
    seconds: float = 0.0
    timed_pictures: int = 0
    timed_seconds: float = 0.0
    waited: float = 0.0

    def add(self, tallies: Sequence[Tally], waited: float, seconds: float, *, timed: bool) -> int:
        """Adds the steps of an execution and returns their number of pictures."""
        pictures = round(sum(float(np.sum(tally.actual)) for tally in tallies))
        for tally in tallies:
            self.tally = steps.add_tallies(self.tally, tally)
        self.pictures += pictures
        self.seconds += seconds
        if timed:
            self.timed_pictures += pictures
            self.timed_seconds += seconds
            self.waited += waited
        return pictures

    @property
    def rate(self) -> float:
        """Pictures a second."""
        if not self.timed_seconds:
            return self.pictures / max(1e-9, self.seconds)
        return self.timed_pictures / self.timed_seconds

    @property
    def input_wait(self) -> float:
        """Fraction of the time spent waiting for input."""
        return self.waited / self.timed_seconds if self.timed_seconds else 0.0

    def counters(self) -> dict[str, float]:
        """Returns everything but the tally, for a checkpoint."""
        return {k: v for k, v in vars(self).items() if k != "tally"}
