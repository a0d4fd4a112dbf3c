"""Runs one bake from start to end: lock, list, deal, carry out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from beam_pipelines import dealing
from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs import bake_input
from beam_pipelines.inputs.bake_input import BakeInput
from beam_pipelines.report.bake_facts import REPORT_DIRECTORY
from tfrecords import manifest
from tfrecords.images.decode_pool import WorkerPool
from tfrecords.system import locks


def run(
    config: PrepareConfig, beam_arguments: Sequence[str], pool: WorkerPool | None = None
) -> int:
    """Bakes a data set and returns the command's exit code.

    Args:
      config: of the bake.
      beam_arguments: options of Beam, including the runner.
      pool: of worker processes, for steps that run in this process: they decode while Beam is
        imported and the graph is built. None if the steps are to start their own.

    A data set that is complete already, of the same flags and input, is left as it is.

    Raises:
      UsageError: the input or output is not as expected.
      BakeError: the bake cannot go on; running it again resumes it.
    """
    storage.configure(beam_arguments)
    bake_input.refuse_output(config)
    is_complete = storage.exists(storage.join(config.output_dir, manifest.MANIFEST))
    if is_complete and not config.overwrite:
        from beam_pipelines import carry_out

        return carry_out.already_baked(config)
    understood = BakeInput.of(config)
    layout = Layout.of(understood.config)
    for directory in layout.directories:
        storage.make_directory(directory)
    with _locked(layout):
        _remove_temporary_files(layout)
        dealt = dealing.deal(understood, layout, pool)
        # The rows are on disk by now; of 100,000 files they are 40 MB.
        del understood
        # Arrow and the rest are imported while the workers decode.
        from beam_pipelines import carry_out

        return carry_out.carry_out(dealt, layout, beam_arguments, pool)


def _locked(layout: Layout) -> contextlib.AbstractContextManager[None]:
    """Keeps a second bake on this machine out of the output directory."""
    if storage.is_remote(layout.cache_dir):
        return contextlib.nullcontext()
    return locks.locked(
        storage.join(layout.cache_dir, "lock"),
        taken=f"another bake is writing to {layout.output_dir}",
        advice="wait for it to end, or choose another --output_dir",
    )


def _remove_temporary_files(layout: Layout) -> None:
    """Removes files that a killed bake left half written."""
    beside = (layout.cache_dir, storage.join(layout.output_dir, REPORT_DIRECTORY))
    for directory in (*layout.directories, *beside):
        for name in storage.list_names(directory):
            if storage.is_temporary(name):
                storage.remove(storage.join(directory, name))
