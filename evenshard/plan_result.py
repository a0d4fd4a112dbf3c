"""`Plan`: what a bake would give."""

from __future__ import annotations

import pyarrow as pa

from beam_pipelines import preview
from beam_pipelines.preview import Preview
from evenshard import notebook
from evenshard.arguments import in_python
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
        """How the input was understood where it could have been otherwise, and what is odd."""
        return tuple(map(in_python, (*self._found.notes, *self._found.plan_notes)))

    @property
    def failure(self) -> str | None:
        """Why the bake would fail, as far as the plan can tell; None where it would not."""
        return in_python(self._found.failure) if self._found.failure else None

    @property
    def seconds(self) -> float:
        """About how long the bake would take, its start and its report included."""
        return self._found.seconds

    def sources(self) -> pa.Table:
        """Returns what would become of each input file, in key order."""
        return self._found.sources

    def __repr__(self) -> str:
        parts = (self._summary(), preview.cost(self._found), *self._remarks())
        return f"<Plan of {self._found.summary}: {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        top = notebook.heading(f"Plan of {self._found.summary}:", preview.cost(self._found))
        remarks = "".join(notebook.heading("Note:", remark) for remark in self._remarks())
        return top + remarks + self._tables()

    def _remarks(self) -> tuple[str, ...]:
        failure = (f"this bake would fail: {self.failure}",) if self.failure else ()
        return *failure, *self.notes
