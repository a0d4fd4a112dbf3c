"""The command `python -m evenshard.springfield_like`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evenshard.springfield_like import options
from evenshard.springfield_like.town import PICTURES, TRUTH, Town, TownError, draw_town


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the town of the flags; returns the exit code."""
    chosen, verbose = options.parse(argv)
    try:
        town = draw_town(chosen)
    except (TownError, OSError) as error:
        if verbose:
            raise
        print(f"springfield_like: error: {_told(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("springfield_like: stopped; the same command starts again", file=sys.stderr)
        return 1
    print(_summary(chosen, town))
    return 0


def _told(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    place = error.filename or "the output directory"
    return f"cannot write {place}: {error.strerror or error}; the same command starts again"


def _summary(chosen: options.Options, town: Town) -> str:
    state = "drawn" if town.drawn else "already there, nothing to do"
    where = chosen.output_dir
    odd = ", ".join(f"{n:,} {kind}" for kind, n in town.counts.items() if n and kind != "picture")
    return (
        f"{town.files:,} files of {chosen.classes} classes {state}: {where / PICTURES}\n"
        f"among them {odd or 'nothing odd'}; see {where / TRUTH}"
    )


if __name__ == "__main__":
    sys.exit(main())
