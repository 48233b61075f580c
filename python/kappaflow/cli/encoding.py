"""Output in encodings that lack some characters: every character is written, as a plain one if need be."""

from __future__ import annotations

import codecs
import io
import unicodedata
from typing import TextIO

__all__ = ["write_every_character"]

_HANDLER = "kappaflow.plain"
#: What formulas, units and tables use, in ASCII. What is not listed is decomposed (é is e) or escaped.
_PLAIN = {
    "×": "x",
    "·": "*",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "‐": "-",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "≠": "!=",
    "→": "->",
    "↑": "^",
    "↓": "v",
    "√": "sqrt ",
    "∞": "inf",
    "±": "+-",
    "∝": "~",
    "Σ": "Sigma",
    "σ": "sigma",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "τ": "tau",
    "ψ": "psi",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "ρ": "rho",
    "‖": "||",
    "′": "'",
    "″": "''",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "•": "*",
    "⁻": "^-",
    "│": "|",
    "─": "-",
    "━": "-",
    "█": "#",
    "°": " deg",
}


def _plain(text: str) -> str:
    """ASCII for a few characters; a run of raised digits after the first is not marked again."""
    parts, raised = [], False
    for character in text:
        known = _PLAIN.get(character)
        decomposed = unicodedata.normalize("NFKD", character)
        is_raised = "<super>" in unicodedata.decomposition(character) or character == "⁻"
        if known is not None:
            parts.append(known)
        elif is_raised:
            parts.append(decomposed if raised else f"^{decomposed}")
        elif character.isspace():
            parts.append(" ")
        else:
            kept = decomposed.encode("ascii", "ignore").decode("ascii")
            parts.append(kept or character.encode("ascii", "backslashreplace").decode("ascii"))
        raised = is_raised
    return "".join(parts)


def _handle(error: UnicodeError) -> tuple[str, int]:
    """The error handler of codecs: what cannot be encoded is written in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _plain(error.object[error.start : error.end]), error.end


def write_every_character(*streams: TextIO) -> None:
    """Make streams write what their encoding lacks in ASCII, so that no text ends a command after its work is done."""
    codecs.register_error(_HANDLER, _handle)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
