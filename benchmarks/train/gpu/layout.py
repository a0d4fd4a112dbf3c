"""In which layout convolutions run without XLA: Grappler may change them to NCHW, with transposes.

Keras' convolutions are NHWC. Tensor cores want NHWC of half precision and TensorFlow's layout
optimizer decides by the card and the type, so the graph that ran is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tensorflow.python.eager import context

# In the name of every convolution and its gradients, those that a CPU has of its own too.
_CONVOLUTION = "Conv2D"


def of_first_run(run: Callable[[], object]) -> str:
    """Returns how many convolutions are in each layout, and transposes, after Grappler.

    Args:
      run: traces and runs a step for the first time, when its graph is optimised.
    """
    context.enable_run_metadata()
    try:
        run()
        metadata = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
    counted: Counter[str] = Counter()
    for traced in metadata.function_graphs:
        graph = traced.post_optimization_graph
        for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
            for node in nodes:
                if _CONVOLUTION in node.op and node.attr["data_format"].s:
                    counted[node.attr["data_format"].s.decode()] += 1
                elif node.op == "Transpose":
                    counted["transposes"] += 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
