"""The error of a model that was handed in: what it raised, and where."""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = ["ModelError"]

_PACKAGE = Path(__file__).parents[1]


class ModelError(ValueError):
    """Code that was handed in as a model raised an error: the message names the model, the error and its place."""

    @classmethod
    def of(cls, what: str, error: BaseException) -> ModelError:
        """What happened, in words that name the model, and the error that it raised."""
        text = " ".join(str(error).split())
        return cls(f"{what}: it raised {type(error).__name__}{f': {text}' if text else ''}{_place(error)}")


def _place(error: BaseException) -> str:
    """File and line of the innermost frame that is not of this package, in parentheses; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE not in Path(frame.filename).parents
    ]
    own = [frame for frame in frames if "site-packages" not in frame.filename and "importlib" not in frame.filename]
    if not own:
        return ""
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"
