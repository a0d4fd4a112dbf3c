"""A function of TensorFlow as a graph of ONNX."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

# onnxruntime 1.14 and later read it; tf2onnx writes up to 18.
ONNX_OPSET = 18


def frozen(function: tf.types.experimental.ConcreteFunction) -> Any:
    """Returns a function with its variables as constants.

    TensorFlow 2.21's LiteRT converter turns the variables of Keras 3 into READ_VARIABLE ops that
    nothing initialises: every probability is NaN. And tf2onnx 1.17 leaves the constants that
    EfficientNet's normalisation captures as inputs.
    """
    return convert_variables_to_constants_v2(function)


def convert(function: tf.types.experimental.ConcreteFunction, source: str, result: str) -> Any:
    """Returns an onnx.ModelProto of a function with one input and one output, named so."""
    import tf2onnx

    constant = frozen(function)
    with _quiet("tensorflow"):  # Functions that tf2onnx calls are deprecated.
        model, _ = tf2onnx.convert.from_graph_def(
            constant.graph.as_graph_def(),
            input_names=[constant.inputs[0].name],
            output_names=[constant.outputs[0].name],
            opset=ONNX_OPSET,
        )
    _rename(model.graph, source, result)
    return model


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Holds back a logger's warnings."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _rename(graph: Any, source: str, result: str) -> None:
    """Renames the only input and the only output of an onnx.GraphProto."""
    names = {graph.input[0].name: source, graph.output[0].name: result}
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    graph.input[0].name, graph.output[0].name = source, result
