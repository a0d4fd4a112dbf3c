"""Fields of a CSV: read back as they were, and probabilities whose sum is 1 as written."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.predicting import cells

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',;"\t\r\n= '))


@given(st.lists(TEXTS, min_size=2, max_size=4), st.sampled_from(",;\t"), st.booleans())
def test_a_line_is_read_back_as_it_was(values: list[str], separator: str, quoted: bool) -> None:
    line = separator.join(cells.field(value, separator, quoted=quoted) for value in values)
    assert next(csv.reader(io.StringIO(line, newline=""), delimiter=separator)) == values


@given(
    st.lists(st.floats(0, 1, width=32), min_size=2, max_size=200).filter(lambda p: sum(p) > 1e-3)
)
def test_written_probabilities_have_the_sum_1(values: list[float]) -> None:
    p = np.array(values, np.float32)
    written = cells.decimals(p)
    assert sum(map(Decimal, written)) == 1
    exact = p.astype(np.float64) / p.astype(np.float64).sum()
    np.testing.assert_allclose([float(value) for value in written], exact, atol=1.01e-9)
    assert all(len(value) == 11 for value in written)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1.jpg", "@a", "\tx", "\rx"])
def test_formulas_are_escaped(text: str) -> None:
    assert cells.is_formula(text) and cells.escaped(text) == f"'{text}"
    assert not cells.is_formula(cells.escaped(text))


def test_other_texts_are_left() -> None:
    assert [cells.escaped(text) for text in ("a=b", "", "1-2.jpg")] == ["a=b", "", "1-2.jpg"]
