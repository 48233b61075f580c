"""Errors of models that users provide, and of models that cannot be trained."""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = ["ModelError", "TrainingError"]

_PACKAGE = Path(__file__).parents[1]


class ModelError(ValueError):
    """User code that serves as a model raised an error: the message names the model, the error and where it was raised."""

    @classmethod
    def of(cls, what: str, error: BaseException) -> ModelError:
        """The error for a model described by `what`, which raised `error`."""
        text = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
        if isinstance(error, ValueError) and _is_ours(
            error
        ):  # a check of an output, whose message describes the problem
            return cls(f"{what}: {text}")
        return cls(f"{what}: it raised {type(error).__name__}{f': {text}' if text else ''}{_place(error)}")


class TrainingError(RuntimeError):
    """Networks could not be trained: they diverged, or their saved files are damaged."""


def _is_ours(error: BaseException) -> bool:
    """Whether code of this package raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _PACKAGE in Path(frames[-1].filename).parents


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
