"""Figures of runs: drawn at every size without a warning, and showing what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import fake_run
from tfrecords.reporting import figures as base
from trainer.metrics import metrics
from trainer.report import curves, figures
from trainer.runs import history


@pytest.mark.parametrize("classes", [2, 42, 121])
def test_draws_any_number_of_classes(classes: int) -> None:
    case = fake_run.predictions([1 + i % 3 for i in range(classes)])
    counts = [1 + 17 * i for i in range(classes)]
    names = fake_run.class_names(classes)
    found = metrics.evaluate(case, counts)
    for figure in (
        figures.confusion(found.confusion, names, counts),
        figures.f1_against_size(found.per_class, names, counts),
        figures.calibration(case, found.temperature),
    ):
        assert base.to_png(figure).startswith(b"\x89PNG")
        assert str(base.to_svg(figure, "x", "y")).startswith("<svg role")


def test_the_matrix_is_ordered_by_size_and_blue_where_right() -> None:
    matrix = np.array([[1, 0], [3, 6]])
    figure = figures.confusion(matrix, ["small", "large"], [5, 500])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["large", "small"]
    (image,) = axes.images
    pixels = np.asarray(image.get_array())
    right, wrong, nothing = pixels[0, 0], pixels[0, 1], pixels[1, 0]
    assert tuple(right[:3]) == (0x00, 0x72, 0xB2)
    assert tuple(wrong[:3]) == (0xD5, 0x5E, 0x00)
    assert right[3] > wrong[3] > 0
    assert nothing[3] == 0
    assert [text.get_text() for text in axes.texts] == ["6", "3", "·", "1"]


def test_one_mistake_among_many_is_seen() -> None:
    matrix = np.array([[999, 1], [0, 1]])
    (axes,) = figures.confusion(matrix, ["a", "b"], [9, 9]).axes
    assert np.asarray(axes.images[0].get_array())[0, 1, 3] >= 25


def test_equal_sizes_and_empty_classes_are_drawn() -> None:
    case = fake_run.predictions([3, 3, 0])
    found = metrics.evaluate(case, [155, 155, 155])
    figure = figures.f1_against_size(found.per_class, ["a", "b", "c"], [155, 155, 155])
    (axes,) = figure.axes
    assert len(axes.collections[0].get_offsets()) == 2
    base.to_png(figure)
    zero = figures.f1_against_size(found.per_class, ["a", "b", "c"], [0, 0, 1])
    base.to_png(zero)


def test_names_the_class_that_stands_out() -> None:
    results = [metrics.ClassResult(0.8, 0.8, 0.8, 9) for _ in range(40)]
    results[20] = metrics.ClassResult(0.1, 0.1, 0.1, 9)
    names = [f"class{i}" for i in range(40)]
    (axes,) = figures.f1_against_size(results, names, [10 * (i + 1) for i in range(40)]).axes
    assert [text.get_text() for text in axes.texts] == ["class20"]


@pytest.mark.parametrize(("classes", "every"), [(14, True), (15, False)])
def test_of_few_classes_all_are_named_and_the_caption_says_so(classes: int, every: bool) -> None:
    results = [metrics.ClassResult(1.0, 1.0, 1.0, 9) for _ in range(classes)]
    results.append(metrics.ClassResult(None, None, None, 0))
    results[0] = metrics.ClassResult(0.9, 0.9, 0.9, 9)  # Not far below the others.
    names = [f"c{i}" for i in range(classes + 1)]
    counts = [10 * (i + 1) ** 2 for i in range(classes + 1)]
    (axes,) = figures.f1_against_size(results, names, counts).axes
    assert bool(axes.texts) is figures.names_all(results) is every


@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_draws_any_number_of_epochs(tmp_path: Path, epochs: int) -> None:
    epochs_of = history.load(fake_run.write_history(tmp_path / "metrics.csv", epochs))
    best = epochs_of.best("val_macro_f1")
    assert best is not None
    figure = curves.curves(epochs_of, best)
    assert base.to_png(figure).startswith(b"\x89PNG")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [f"best: epoch {best + 1}"]
    for drawn in (curves.speed(epochs_of), curves.input_wait(epochs_of)):
        base.to_svg(drawn, "x", "y")


def test_draws_the_epochs_before_a_fork_and_where_it_is(tmp_path: Path) -> None:
    own = history.load(fake_run.write_history(tmp_path / "metrics.csv", 3))
    before = history.load(fake_run.write_history(tmp_path / "before.csv", 5))
    figure = curves.loss(own.after(before, [(2, "a"), (5, "b")]), 5)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["fork of a", "fork of b", "best: epoch 1"]
    assert list(axes.lines[0].get_xdata()) == [-4, -3, -2, -1, 0, 1, 2, 3]
    base.to_png(figure)


def test_draws_a_history_that_knows_little() -> None:
    bare = history.History({"epoch": np.array([1.0, 2.0]), "loss": np.array([np.nan, np.nan])})
    base.to_png(curves.curves(bare, None))
    assert not curves.has_groups(bare)
