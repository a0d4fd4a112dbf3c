"""The snippets of a page of documentation, and how they are run.

Fenced blocks of these languages are snippets, run from the top of the page to its end:

* `console`: lines that begin with "$ " are commands; those of `evenshard` run in this process,
  others by the shell.
* `python`: run in one namespace for the page; `pycon`: a doctest, in the same.
* `yaml` and `python` below `<!-- file: NAME -->`: written to that file.

`<!-- not run: WHY -->` above a block leaves it out, `<!-- needs: MODULE -->` where that is absent.
Numbers are made small: `--image_size=224` and `epochs=30` would take minutes.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LANGUAGES = ("console", "python", "pycon", "yaml")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (not run|file|needs): (.+) -->\n\Z")

# A network that trains in a second. A page that names a network has that one.
TINY = "tests.support.networks.tiny:network"

_PIXELS, _MOST_RECORDS_SHARE, _EPOCHS_SHARE, _BATCH = 32, 25, 15, 8


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Attributes:
      language: one of `console`, `python`, `pycon`, `yaml`.
      text: between the fences.
      line: of the fence, from 1.
      mark: "", or what the comment above it says: "not run", "file" or "needs".
      value: of the mark.
    """

    language: str
    text: str
    line: int
    mark: str = ""
    value: str = ""


def snippets_of(page: str) -> list[Snippet]:
    """Returns the snippets of a page's text, in order."""
    found = []
    for match in _FENCE.finditer(page):
        language, text = match.groups()
        if language in _LANGUAGES:
            mark = _MARK.search(page[: match.start()])
            name, value = mark.groups() if mark else ("", "")
            line = page.count("\n", 0, match.start()) + 1
            found.append(Snippet(language, text, line, name, value))
    return found


def commands_of(console: str) -> Iterator[str]:
    """Yields the commands of a console block.

    Raises:
      ValueError: a line is none; what a command prints stands in a `text` block.
    """
    for line in console.splitlines():
        if not line.startswith("$ "):
            raise ValueError(f"not a command, which begins with '$ ': {line!r}")
        yield line[2:]


def smaller(text: str) -> str:
    """Returns a snippet with sizes that a test has the time for; relations stay as they are."""
    least = {
        "image_size": lambda value: min(value, _PIXELS),
        "per_class": lambda value: max(2, value // _MOST_RECORDS_SHARE),
        "epochs": lambda value: max(1, value // _EPOCHS_SHARE),
        "batch_size": lambda value: min(value, _BATCH),
    }

    def replaced(match: re.Match[str]) -> str:
        name, between, value = match.groups()
        values = re.sub(r"\d+", lambda number: str(least[name](int(number[0]))), value)
        return f"{name}{between}{values}"

    names = "|".join(least)
    return re.sub(rf"\b({names})(=|: )(\d+|\[[\d, ]+\])", replaced, text)


def run_page(page: str, folder: Path) -> int:
    """Runs the snippets of a page in the working directory, and returns how many ran."""
    namespace: dict[str, Any] = {"__name__": "page"}
    ran = 0
    for snippet in snippets_of(page):
        missing = snippet.mark == "needs" and importlib.util.find_spec(snippet.value) is None
        if snippet.mark == "not run" or missing:
            continue
        if snippet.mark == "file":
            (folder / snippet.value).write_text(smaller(snippet.text), encoding="utf-8")
            continue
        try:
            _run(snippet, namespace)
        except Exception as error:
            raise AssertionError(f"the snippet at line {snippet.line} failed: {error}") from error
        ran += 1
    return ran


def _run(snippet: Snippet, namespace: dict[str, Any]) -> None:
    if snippet.language == "console":
        for command in commands_of(snippet.text):
            run_command(smaller(command))
    elif snippet.language == "pycon":
        parser = doctest.DocTestParser()
        test = parser.get_doctest(snippet.text, namespace, "page", None, snippet.line)
        said = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        result = runner.run(test, out=said.write, clear_globs=False)
        assert result.failed == 0, said.getvalue()
    elif snippet.language == "python":
        exec(compile(with_tiny(smaller(snippet.text)), f"line {snippet.line}", "exec"), namespace)


def run_command(command: str) -> None:
    """Runs a command line; those of `evenshard` in this process, which is quicker."""
    words = shlex.split(command)
    if words[0] != "evenshard":
        subprocess.run(["bash", "-ec", command], check=True)
        return
    from evenshard.__main__ import main

    if words[1] == "train":
        words = [word for word in words if word != "--recipe=scratch"]
        if not any(word.startswith(("--model", "--recipe")) for word in words):
            words.append(f"--model={TINY}")
            if not any(word.startswith("--epochs") for word in words):
                words.append("--epochs=1")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words[1:])
    assert code == 0, f"{command} ended with {code}:\n{said.getvalue()}"


def with_tiny(code: str) -> str:
    """Returns Python code whose calls of `evenshard.train` train a tiny network for an epoch."""
    if "evenshard.train(" in code and "model=" not in code:
        arguments = f'model="{TINY}"' + ("" if "epochs=" in code else ", epochs=1")
        return re.sub(r"(evenshard\.train\([^()]*)\)", rf"\1, {arguments})", code)
    return code
