"""What of a step could not run on a GPU, as the kernels say that TensorFlow was built with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tests.support.runs.train_configs import config
from trainer.data.augment import Augmenter
from trainer.data.on_device import ON_DEVICE, Chooser, augmented
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import build_network
from trainer.train import losses, optim
from trainer.train.step import Stepper

# Names of the attribute that says of which type an operation's values are.
TYPES = ("T", "element_dtype", "Tparams", "dtype")


def gpu_types(operation: str) -> set[int] | None:
    """Returns the types that an operation's kernels on a GPU take; None for any."""
    found = kernels.get_registered_kernels_for_op(operation).kernel
    constraints = [
        one.constraint for one in found if one.device_type in ("GPU", "DEFAULT")
    ]  # fmt: skip
    allowed = [c for each in constraints for c in each if c.name in TYPES]
    if constraints and not allowed:
        return None
    return {type_ for constraint in allowed for type_ in constraint.allowed_values.list.type}


def on_the_host_only(graph: tf.compat.v1.GraphDef) -> Iterator[str]:
    """Yields the operations on pixels, uint8, that no GPU has a kernel for."""
    for function in (graph, *graph.library.function):
        for node in getattr(function, "node", None) or function.node_def:
            types = {node.attr[name].type for name in TYPES if name in node.attr}
            if tf.uint8.as_datatype_enum not in types or node.op == "Placeholder":
                continue
            allowed = gpu_types(node.op)
            if allowed is not None and tf.uint8.as_datatype_enum not in allowed:
                yield node.op


@pytest.mark.parametrize("flags", [{}, {"steps_per_execution": 3}, {"grad_accum": 2}], ids=str)
def test_pixels_never_go_back_to_the_host(flags: dict[str, int]) -> None:
    if not gpu_types("Conv2D"):
        pytest.skip("this TensorFlow was built without kernels for a GPU")
    asked = config(model="tests.support.networks.tiny:network", batch_size="4", **flags)
    plan = optim.build(asked, 10)
    stepper = Stepper(
        build_network(asked, (16, 16), 3),
        optim.build_optimizer(asked, plan),
        losses.build(asked, [1] * 3, 10),
        asked,
        Devices("gpu", ("GPU",), "float32", tf.distribute.get_strategy(), deterministic=False),
    )
    shape = (*([3] if "steps_per_execution" in flags else []), 4)
    labels, ones = tf.zeros(shape, tf.int32), tf.ones(shape)
    batch = Batch(tf.zeros((*shape, 16, 16, 3), tf.uint8), labels, labels, ones, ones)
    graph = stepper._run.get_concrete_function(batch).graph.as_graph_def()
    assert not list(on_the_host_only(graph))


def test_augmenting_needs_no_pixels_on_the_host() -> None:
    if not gpu_types("Conv2D"):
        pytest.skip("this TensorFlow was built without kernels for a GPU")
    pixels = tf.zeros((4, 16, 16, 3), tf.uint8)
    chooser = Chooser(Augmenter(ON_DEVICE))
    *_, choices = chooser(pixels, tf.zeros([4], tf.int32), tf.constant([1, 2]))
    function = tf.function(augmented).get_concrete_function(pixels, choices)
    assert not list(on_the_host_only(function.graph.as_graph_def()))
