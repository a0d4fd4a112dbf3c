from __future__ import annotations

import os
from pathlib import Path

import pytest

from evenshard import notebook


def test_cells_are_escaped_and_numbers_are_readable() -> None:
    html = notebook.table(("<name>", "n"), [("a & b", 12345), (None, 0.25), ("x", True)])
    assert "&lt;name&gt;" in html
    assert "a &amp; b" in html
    assert ">12,345</td>" in html
    assert ">0.25</td>" in html
    assert ">True</td>" in html
    assert html.count("<tr>") == 4


CELLS = (
    "import tensorflow as tf\nassert float(tf.reduce_sum(tf.ones([2]))) == 2",
    "import evenshard\n"
    "data = evenshard.bake('pictures', 'out', image_size=16, per_class=20, workers=2)\n"
    "data",
    "run = evenshard.train(data, 'run', epochs=2, batch_size=8,\n"
    "                      model='tests.support.networks.tiny:network')\n"
    "run",
    "run.predict('unlabelled', workers=1)",
    "assert tf.random.uniform([]) is not None  # Deterministic ops would refuse it: no seed.",
    "data.counts('dev')",
)


def test_everything_works_in_a_notebook(world: Path) -> None:
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    book = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        book,
        timeout=300,
        allow_errors=True,
        resources={"metadata": {"path": str(world)}},
    )
    client.execute(env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    outputs = [cell.outputs for cell in book.cells]
    errors = [[out for out in cell if out.output_type == "error"] for cell in outputs]
    assert [len(found) for found in errors] == [0, 0, 0, 0, 0, 1], errors
    for shown, text in ((outputs[1], "<svg"), (outputs[2], "<svg"), (outputs[3], "1.jpg")):
        (result,) = [out for out in shown if out.output_type == "execute_result"]
        assert text in result.data["text/html"]
    progress = "".join(out.text for out in outputs[2] if out.output_type == "stream")
    assert "epoch 1/2:" in progress
    assert "no split 'dev'" in errors[5][0].evalue
