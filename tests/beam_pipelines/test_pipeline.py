"""What the graph of the bake promises to any engine, read off its portable form."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

beam = pytest.importorskip("apache_beam")
from apache_beam.internal import pickler

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.pipeline import BakeDataset
from beam_pipelines.planning import bundles
from beam_pipelines.similarity import partitioned
from beam_pipelines.steps import canonicalise
from beam_pipelines.tasks import BundleTask, CopyTask, ShardTask
from tests.support.bakes.prepare_configs import config_of
from tests.support.datasets import fakes
from tfrecords.images.decode_pool import Watch

# Types that could hold pixels.
OPAQUE = {bytes, bytearray, memoryview, object, Any, beam.typehints.Any}

GROUP_BY_KEY = "beam:transform:group_by_key:v1"


def config(*flags: str) -> PrepareConfig:
    return config_of("--workers=0", *flags)


def pipeline_of(bundles_in_all: int) -> beam.Pipeline:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    bundles = [
        BundleTask(f"0000{i}-of-00002-0", "l", "c", (), config().image, config().limits)
        for i in range(2)
    ]
    (
        pipeline
        | "ListBundles" >> beam.Create(bundles, reshuffle=True)
        | BakeDataset(config(), bundles_in_all)
    )
    return pipeline


@pytest.fixture(scope="module")
def root() -> beam.Pipeline:
    return pipeline_of(2)


@pytest.fixture(scope="module")
def large_root() -> beam.Pipeline:
    """The graph of millions of pictures on an engine: all workers look for near duplicates."""
    return pipeline_of(partitioned.LEAST_BUNDLES)


def shuffled(root: beam.Pipeline) -> dict[str, Any]:
    """Returns the name of each GroupByKey → the type of what it is given."""
    found = {}

    class Visitor(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node: Any) -> None:
            if isinstance(node.transform, beam.GroupByKey):
                found[node.full_label] = node.inputs[0].element_type

        enter_composite_transform = visit_transform

    root.visit(Visitor())
    return found


def parts(kind: Any) -> Iterator[Any]:
    """Yields a type and all that it is made of, through tuples and dataclasses."""
    yield kind
    for part in (*getattr(kind, "tuple_types", ()), *getattr(kind, "union_types", ())):
        yield from parts(part)
    for part in typing.get_args(kind):
        yield from parts(part)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        for hint in typing.get_type_hints(kind).values():
            yield from parts(hint)


def test_the_portable_graph_has_no_other_shuffles(root: beam.Pipeline) -> None:
    """The proto is what engines get; the types below are Python's and not in it."""
    components = root.to_runner_api().components
    in_proto = {
        transform.unique_name
        for transform in components.transforms.values()
        if transform.spec.urn == GROUP_BY_KEY
    }
    steps = {"ListBundles", "SpreadCopies", "SpreadShards", "GroupFacts"}
    assert in_proto == shuffled(root).keys()
    assert {step for step in steps for name in in_proto if step in name} == steps
    assert len(in_proto) == len(steps)


# What the search for near duplicates sends → the bytes of a picture in it.
JOIN_STEPS = {
    "MeetEqual": partitioned.LABELLED_MARK.itemsize,
    "MeetUnderSampledMasks": 8,
    "MeetUnderMasks": partitioned.MARK.itemsize,
    "MeetAgain": partitioned.PAIR.itemsize,
}


def test_the_graph_of_millions_has_four_more_shuffles_and_they_carry_numbers(
    root: beam.Pipeline, large_root: beam.Pipeline
) -> None:
    transforms = large_root.to_runner_api().components.transforms.values()
    in_proto = {t.unique_name for t in transforms if t.spec.urn == GROUP_BY_KEY}
    assert in_proto == shuffled(large_root).keys()
    more = in_proto - shuffled(root).keys()
    assert {step for step in JOIN_STEPS for name in more if name.endswith(step)} == set(JOIN_STEPS)
    assert len(more) == len(JOIN_STEPS)
    for name in more:
        key, value = shuffled(large_root)[name].tuple_types
        # Keys are numbers of parts; blocks are arrays of a fixed size for each picture.
        assert set(parts(key)) - {int} == ({key} if key is not int else set())
        assert value is bytes
    assert max(JOIN_STEPS.values()) <= 80


def test_no_shuffle_carries_pixels(root: beam.Pipeline) -> None:
    kinds = {name: list(parts(kind)) for name, kind in shuffled(root).items()}
    for name, found in kinds.items():
        if name.endswith("GroupFacts"):
            # Arrow blocks; the test below bounds them.
            assert shuffled(root)[name] == beam.typehints.Tuple[None, bytes]
        elif name.startswith("ListBundles"):
            # Create's own encoding of the bundle tasks that the command listed.
            assert not set(parts(BundleTask)) & OPAQUE
        else:
            # A task names files; no field of it, at any depth, can hold a picture.
            assert {CopyTask, ShardTask} & set(found), name
            assert not set(found) & OPAQUE, name


@pytest.mark.parametrize("size", ["16", "256"])
def test_facts_are_small_whatever_the_size_of_the_pictures(tmp_path: Path, size: str) -> None:
    """The one shuffle of bytes carries Arrow blocks of facts: a few hundred bytes a picture."""
    from beam_pipelines.inputs import sources

    fakes.write_folders(tmp_path / "in", {"apu": 40, "bart": 8}, side=256)
    baked = config(f"--image_size={size}", "--encoding=raw")
    baked = dataclasses.replace(
        baked, input_dir=str(tmp_path / "in"), output_dir=str(tmp_path / "out")
    )
    layout = Layout.of(baked)
    for directory in layout.directories:
        Path(directory).mkdir(parents=True, exist_ok=True)
    rows = sources.list_sources(baked.input_dir).rows
    for task in bundles.bundle_tasks(rows, baked, layout):
        facts = canonicalise.canonicalise_bundle(task, Watch()).facts
        block = facts_table.facts_block(facts)
        # 130 bytes a picture and a schema of about 2 KB a block.
        assert len(block) < 4_000 + 300 * len(facts)


@pytest.mark.parametrize("graph", ["root", "large_root"])
def test_every_step_pickles(graph: str, request: pytest.FixtureRequest) -> None:
    steps = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node: Any) -> None:
            if isinstance(node.transform, beam.ParDo):
                steps.append(node.transform.fn)

        enter_composite_transform = visit_transform

    request.getfixturevalue(graph).visit(Visitor())
    assert len(steps) > 8
    for step in steps:
        assert type(pickler.loads(pickler.dumps(step))) is type(step)
