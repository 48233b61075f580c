"""Numbers as words: ticks, rounded values, percentages, lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..provenance import Provenance

__all__ = [
    "NO_BREAK",
    "capital",
    "count",
    "counted",
    "full_stop",
    "joined",
    "number",
    "percent",
    "percent_setting",
    "percent_tick",
    "plain_number",
    "power_of_ten",
    "provenance_rows",
    "ratio_text",
    "short",
]

NO_BREAK = "\N{NO-BREAK SPACE}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float) -> str:
    """``10⁻³``, ``2·10⁻³``: short text of a tick on a wide logarithmic axis."""
    if not value > 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = value / 10.0**exponent
    power = "10" + str(exponent).translate(_SUPERSCRIPT)
    return power if abs(mantissa - 1) < 1e-6 else f"{mantissa:.3g}·{power}"


def plain_number(value: float) -> str:
    """``0.02``, ``50``, ``1,000``: short text of a tick without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def number(value: float, digits: int = 3) -> str:
    """A number for people: `digits` significant digits, a power of ten only where it is needed."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def short(value: float, digits: int = 3) -> str:
    """As :func:`number`, without trailing zeros: for settings, which are exact, such as σ = 0.1."""
    text = number(value, digits)
    if "." not in text:
        return text
    mantissa, dot, power = text.partition("·")
    return mantissa.rstrip("0").rstrip(".") + dot + power


def percent(fraction: float) -> str:
    """A fraction as a percentage, about two significant digits: ``12 %``, ``0.34 %``, ``below 0.01 %``."""
    if not math.isfinite(fraction):
        return "–"
    value = 100 * fraction
    if 0 < value < 0.01:
        return f"below 0.01{NO_BREAK}%"
    for bound, decimals in ((0.095, 3), (0.995, 2), (9.95, 1)):
        if 0 < value < bound:
            return f"{value:.{decimals}f}{NO_BREAK}%"
    return f"{value:,.0f}{NO_BREAK}%"


def percent_setting(fraction: float) -> str:
    """As :func:`percent`, exact and without trailing zeros: for a tolerance that somebody chose."""
    return f"{short(100 * fraction)}{NO_BREAK}%"


def count(n: int) -> str:
    """A whole number with thousands separated; from a million on rounded to three digits, ``2.35 million``."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if n >= size:
            value = n / size
            return f"{value:,.0f} {word}" if value >= 1000 else f"{value:.3g} {word}"
    return f"{n:,}"


def ratio_text(value: float) -> str:
    """``0.5``, ``20``, ``10⁻⁴``."""
    return f"{value:.4g}" if 1e-3 <= value < 1e4 else power_of_ten(value)


def capital(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]


def full_stop(text: str) -> str:
    """The text with a full stop at its end, unless it ends a sentence already or is empty."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def joined(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def percent_tick(value: float) -> str:
    """``12 %``."""
    return f"{100 * value:.3g} %"


def counted(n: int, word: str) -> str:
    """``1 mode``, ``2 modes``."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def provenance_rows(provenance: Provenance) -> list[tuple[str, str]]:
    """Where the images come from, as label and text."""
    return [(capital(label), text) for label, text in provenance.lines()]
