"""`Plan`: what a bake would give."""

from __future__ import annotations

import pyarrow as pa

from beam_pipelines import preview
from beam_pipelines.preview import Preview
from evenshard import notebook
from evenshard.contents import Contents
from tfrecords.manifest import Manifest


class Plan(Contents):
    """What a bake would give and take; `evenshard.plan` makes it.

    Args:
      found: by listing the sources and decoding a sample of them.
    """

    def __init__(self, found: Preview) -> None:
        self._found = found

    @property
    def manifest(self) -> Manifest:
        """The manifest that the bake would write, with empty digests."""
        return self._found.manifest

    @property
    def notes(self) -> tuple[str, ...]:
        """How the input was understood, where it could have been otherwise."""
        return self._found.notes

    @property
    def seconds(self) -> float:
        """About how long the bake would decode and augment."""
        return self._found.seconds

    def sources(self) -> pa.Table:
        """Returns what would become of each input file, in key order."""
        return self._found.sources

    def __repr__(self) -> str:
        parts = (self._summary(), preview.cost(self._found), *self.notes)
        return f"<Plan of {self._found.summary}: {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        top = notebook.heading(f"Plan of {self._found.summary}:", preview.cost(self._found))
        notes = "".join(notebook.heading("Input:", note) for note in self.notes)
        return top + notes + self._tables()
