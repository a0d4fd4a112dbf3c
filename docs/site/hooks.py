"""Hooks of mkdocs: adds the pages that are made from the code to those that lie in docs/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))  # mkdocs loads this file by its path.

from docs.site import command_pages, generated  # noqa: E402, once the path is set


def on_config(config: Any) -> Any:
    """Names each command in the navigation, and pages of docs/ that it lacks under "In depth"."""
    named = str(config.nav)
    others = sorted(page.name for page in (_ROOT / "docs").glob("*.md"))
    in_depth = next(section for section in config.nav if "In depth" in section)
    in_depth["In depth"] += [page for page in others if f"'{page}'" not in named]
    reference = next(section for section in config.nav if "Reference" in section)
    reference["Reference"][0] = {"Commands": list(command_pages.pages())}
    return config


def on_files(files: Files, config: Any) -> Files:
    """Returns the files of the site, generated pages included."""
    for path, text in generated.pages(_ROOT).items():
        files.append(File.generated(config, path, content=text))
    return files
