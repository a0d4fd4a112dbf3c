"""The page of reject reasons: the enum, with the meanings that docs/pixels.md gives."""

from __future__ import annotations

import re

from tfrecords.images.rejects import IGNORED, RejectReason


def markdown(pixels: str) -> str:
    """Returns the page.

    Args:
      pixels: the text of docs/pixels.md, whose last table has the meanings.

    Raises:
      ValueError: the table and `RejectReason` differ.
    """
    meanings = meanings_of(pixels)
    reasons = {reason.value for reason in RejectReason}
    if meanings.keys() != reasons:
        differ = sorted(meanings.keys() ^ reasons)
        raise ValueError(f"docs/pixels.md and RejectReason differ in {differ}: mend the table")
    lines = [
        "# Reject reasons",
        "",
        "Every file of an input has a row in `sources.parquet`. Its `status` says whether it is in "
        "the data set, and `reason` why not. The list is closed: it is "
        "`tfrecords.images.rejects.RejectReason`.",
        "",
        "## Rejected",
        "",
        "They count towards `--max_reject_fraction`.",
        "",
        *_table([reason for reason in RejectReason if reason not in IGNORED], meanings),
        "",
        "## Ignored",
        "",
        "Left out on purpose; they do not count.",
        "",
        *_table([reason for reason in RejectReason if reason in IGNORED], meanings),
    ]
    return "\n".join(lines) + "\n"


def meanings_of(pixels: str) -> dict[str, str]:
    """Returns reason → meaning, from the table under the heading "Reject reasons"."""
    section = pixels.partition("\n## Reject reasons\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, flags=re.MULTILINE)
    # Links of that page start in docs/, those of this one in docs/reference/.
    return {
        reason: re.sub(r"\]\((?=\w+\.md)", "](../", meaning)
        for names, meaning in rows
        for reason in re.findall(r"`(\w+)`", names)
    }


def _table(reasons: list[RejectReason], meanings: dict[str, str]) -> list[str]:
    rows = [f"| `{reason.value}` | {meanings[reason.value]} |" for reason in reasons]
    return ["| reason | meaning |", "|---|---|", *rows]
