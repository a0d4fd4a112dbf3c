"""Which tests are fast: told by what they import and call, so that no list has to be kept."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import evenshard
from tests.support.processes import commands

ROOT = Path(__file__).resolve().parents[2]

# Seconds to import, and tests that import them train and export; and what draws figures, of which
# a page has a second's worth.
HEAVY = frozenset({"keras", "tensorflow", "torch", "tfrecords.reporting.figures"})

# By these a test runs whole commands, which takes a second or more each.
STARTERS = (subprocess, commands, evenshard)

INTEGRATION = ROOT / "tests" / "integration"


def is_fast_file(test_file: Path) -> bool:
    """Whether a test file is no integration test, and importing it needs no heavy module."""
    return INTEGRATION not in test_file.parents and not modules_behind(test_file) & HEAVY


def is_slow_function(function: FunctionType) -> bool:
    """Whether a test or fixture starts a command or imports a heavy module.

    Itself or through functions of the tests: what ours do inside is not looked at.
    """
    seen, waiting = {function}, [function]
    while waiting:
        current = waiting.pop()
        for name in _names_in(current.__code__):
            value = current.__globals__.get(name)
            if name in HEAVY or any(value is starter for starter in STARTERS):
                return True
            if isinstance(value, FunctionType) and value.__module__.startswith("tests."):
                if value not in seen:
                    seen.add(value)
                    waiting.append(value)
    return False


def _names_in(code: CodeType) -> Iterator[str]:
    """Yields the names that a function's code mentions, and its texts, as of `importorskip`."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield constant


def modules_behind(file: Path) -> frozenset[str]:
    """Returns what importing a file imports, through our modules too: ours, and others' packages.

    Imports inside functions do not count: they happen when the function is called, if at all.
    """
    seen, waiting, found = {file}, [file], set()
    while waiting:
        for name in direct_imports(waiting.pop()):
            ours = _files_of(name)
            found.add(name if ours else name.partition(".")[0])
            waiting += [path for path in ours if path not in seen]
            seen.update(ours)
    return frozenset(found)


@functools.cache
def direct_imports(file: Path) -> frozenset[str]:
    """Returns the dotted names that a file itself imports when it is imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return frozenset(name for statement in _executed(tree) for name in _names(statement))


def _executed(node: ast.AST) -> Iterator[ast.stmt]:
    """Yields the statements inside a node that run on import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            child = ast.Module(child.orelse, [])
        elif isinstance(child, ast.stmt):
            yield child
        yield from _executed(child)


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        yield statement.module
        # What is imported from a package of ours may be a module; of others the package says all.
        if _files_of(statement.module):
            names = (f"{statement.module}.{alias.name}" for alias in statement.names)
            yield from (name for name in names if _file_of(name))
    elif isinstance(statement, ast.Expr | ast.Assign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and "importorskip" in ast.dump(node.func):
                yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


def _file_of(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _files_of(name: str) -> list[Path]:
    """Returns the files that importing a module of ours runs, its packages' too."""
    parts = name.split(".")
    prefixes = (".".join(parts[: count + 1]) for count in range(len(parts)))
    return [file for prefix in prefixes if (file := _file_of(prefix))]
