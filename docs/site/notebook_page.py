"""A page of the site from a Jupyter notebook: its text as it is, its code in blocks."""

from __future__ import annotations

import json


def markdown(notebook: str) -> str:
    """Returns the cells of a notebook as Markdown, with a link to the notebook itself on top.

    Args:
      notebook: the text of an `.ipynb` file of format 4.
    """
    title, *cells = [_cell(cell) for cell in json.loads(notebook)["cells"]]
    link = "[Download this notebook](notebook.ipynb) and open it in Jupyter, Kaggle or Colab."
    return "\n\n".join([title, link, *cells]) + "\n"


def _cell(cell: dict[str, object]) -> str:
    source = cell["source"]
    # A notebook's source is text or a list of lines; JSON has no type that says so.
    text = source if isinstance(source, str) else "".join(map(str, source))  # type: ignore[call-overload]
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
