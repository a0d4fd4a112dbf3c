"""L-BFGS against functions whose minimum is known, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.features.lbfgs import minimize


def bowl(numbers: int, seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the curvatures and the bottom of a quadratic function."""
    rng = np.random.default_rng(seed)
    return 10 ** rng.uniform(-spread, spread, numbers), rng.normal(size=numbers)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), numbers=st.integers(1, 60))
def test_the_bottom_of_a_bowl_is_found(seed: int, numbers: int) -> None:
    curvature, bottom = bowl(numbers, seed, spread=1)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = curvature * (x - bottom)
        return float((x - bottom) @ gradient) / 2, gradient

    found = minimize(function, np.zeros(numbers), 300)
    assert function(found)[0] < 1e-6 * max(1.0, function(np.zeros(numbers))[0])


def test_it_comes_as_far_as_scipy_with_as_many_calls() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    curvature, bottom = bowl(400, seed=1, spread=2)
    calls = [0, 0]

    def function(x: np.ndarray, which: int) -> tuple[float, np.ndarray]:
        calls[which] += 1
        away = x - bottom
        value = np.sqrt(1 + curvature * away**2)
        return float(value.sum()), curvature * away / value

    own = minimize(lambda x: function(x, 0), np.zeros(400), 40)
    theirs = optimize.minimize(
        function, np.zeros(400), args=(1,), jac=True, method="L-BFGS-B", options={"maxiter": 40}
    )
    assert function(own, 0)[0] < theirs.fun * 1.02
    assert calls[0] < 1.3 * calls[1]


def test_a_start_at_the_bottom_stays() -> None:
    start = np.zeros(3)
    assert minimize(lambda x: (0.0, np.zeros(3)), start, 10) is start


def test_never_higher_where_numbers_are_not_finite() -> None:
    def cliff(x: np.ndarray) -> tuple[float, np.ndarray]:
        return (np.nan, np.full(1, np.nan)) if x[0] > 1 else (float(-x[0]), np.array([-1.0]))

    assert 0 <= minimize(cliff, np.zeros(1), 30)[0] <= 1
