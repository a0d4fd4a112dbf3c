"""Numbers of bytes as people read them: one unit everywhere, powers of 1,024.

Flags that take a size in MB (`--max_file_mb`, `--shuffle_buffer_mb`) mean 1,000,000 bytes.
"""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def readable(count: float | None) -> str:
    """Returns a number of bytes, or of bytes a second, in the unit that suits it: "1.4 MiB".

    Unknown is "–".
    """
    if count is None:
        return "–"
    value = float(count)
    for unit in _UNITS:
        shown = f"{value:,.0f} {unit}" if unit == "B" or value >= 999.95 else f"{value:.1f} {unit}"
        # Rounded up to 1,024 it is one of the next unit.
        if float(shown.split()[0].replace(",", "")) < 1024:
            return shown
        value /= 1024
    return f"{value * 1024:,.0f} {_UNITS[-1]}"


def mebibytes(count: int) -> str:
    """Returns a number of bytes in MiB, without the unit, to three digits or so: for a column."""
    value = count / 2**20
    return f"{value:,.1f}" if value >= 10 else f"{value:.2g}"
