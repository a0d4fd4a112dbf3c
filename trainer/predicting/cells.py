"""The fields of a CSV: quoted where they must be, harmless to spreadsheets where that is asked."""

from __future__ import annotations

import numpy as np

# What a spreadsheet takes for the begin of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

# Digits behind the point. float32 has 7 digits of its own; log loss asks for small ones too.
DIGITS = 9
_UNITS = 10**DIGITS


def field(text: str, separator: str = ",", *, quoted: bool = False) -> str:
    """Returns a text as a field of a line, in double quotes where it must be or `quoted` says."""
    special = (separator, '"', "\r", "\n")
    if quoted or any(character in text for character in special):
        return '"' + text.replace('"', '""') + '"'
    return text


def is_formula(text: str) -> bool:
    """Returns whether a spreadsheet takes a text for a formula."""
    return text.startswith(_FORMULA)


def escaped(text: str) -> str:
    """Returns a text as a spreadsheet shows it: an apostrophe stands before a formula."""
    return f"'{text}" if is_formula(text) else text


def decimals(probabilities: np.ndarray) -> list[str]:
    """Returns probabilities with `DIGITS` decimals whose sum, as they are written, is exactly 1.

    What rounding down leaves over goes to those that lost most by it.

    Args:
      probabilities: float[classes], not negative, with a sum above 0.
    """
    exact = np.asarray(probabilities, np.float64)
    exact = exact / exact.sum() * _UNITS
    units = np.floor(exact).astype(np.int64)
    left = int(_UNITS - units.sum())
    # Stable, so that equal ones are served in order on every machine.
    order = np.argsort(units - exact, kind="stable")
    units[order[:left]] += 1
    return [decimal(int(value)) for value in units]


def decimal(units: int) -> str:
    """Returns so many units of the last digit as a decimal number, 0 to 1."""
    return f"{units // _UNITS}.{units % _UNITS:0{DIGITS}d}"


def one_decimal(probability: float) -> str:
    """Returns one probability with `DIGITS` decimals."""
    return f"{min(max(float(probability), 0.0), 1.0):.{DIGITS}f}"
