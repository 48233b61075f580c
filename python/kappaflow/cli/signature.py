"""Commands that take option objects: typer sees a signature that is built from their fields."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from ..memory import memory_limit, memory_size
from .completion import complete_paths
from .errors import guarded
from .numerals import typed_number, typed_whole_number

__all__ = ["REQUIRED", "Changed", "changed", "takes_options"]

#: Default of an option that a command cannot do without.
REQUIRED: Any = inspect.Parameter.empty
_UNCHANGED: Any = object()
#: What is typed as an option; "-" and "-1,1" are values.
_OPTION = re.compile(r"--?[^\W\d_][\w-]*(=.*)?", re.DOTALL)
#: Arguments of the library, and what all commands call them.
_ARGUMENTS = {"images": "the images of DATA"}


@dataclass(frozen=True)
class Changed:
    """Changes that one command makes to one option: its default, and attributes of typer's declaration."""

    option: str
    default: Any
    words: Mapping[str, Any]


def changed(option: str, *, default: Any = _UNCHANGED, shown: str | bool | None = None, **words: Any) -> Changed:
    """A note for ``Annotated[Options, changed("field", help=…)]`` in the signature of a command.

    Parameters
    ----------
    option : name of the field
    default : in place of the declared one; :data:`REQUIRED` for none
    shown : the default in words
    words : help, metavar, rich_help_panel or another attribute of the declaration
    """
    return Changed(option, default, words if shown is None else {**words, "show_default": shown})


def _own_first(group: type) -> list[Field[Any]]:
    """Fields of a dataclass, its own before those that it inherits."""
    own = inspect.get_annotations(group)
    return sorted(fields(group), key=lambda field: field.name not in own)


@dataclass(frozen=True)
class _Number:
    """The values of a numeric option. Typer passes its text, because typer's messages name neither the value nor the range."""

    kind: type[int] | type[float]
    least: float | None
    most: float | None

    @property
    def range(self) -> str:
        """The range in words; empty if every number is allowed."""
        if self.most is not None:
            return f"from {_plain(self.least or 0)} to {_plain(self.most)}"
        return "" if self.least is None else f"of at least {_plain(self.least)}"

    @property
    def sentence(self) -> str:
        """The range for the help text."""
        return f"{self.range.capitalize()}." if self.most is not None else f"{_plain(self.least or 0)} or more."

    def parse(self, option: str, text: str) -> int | float:
        """The number; ValueError names the option, what is allowed and what was given."""
        try:
            number = typed_whole_number(text) if self.kind is int else typed_number(text)
        except ValueError:
            number = math.nan
        low = -math.inf if self.least is None else self.least
        high = sys.float_info.max if self.most is None else self.most
        if not low <= number <= high:
            noun = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"{option} must be {noun} {self.range}".rstrip() + f", got {text!r}")
        return number


def _plain(number: float) -> str:
    """A limit in digits, without an exponent or a fraction of zero."""
    return f"{number:.8f}".rstrip("0").rstrip(".")


def _number(kind: Any, declared: Any) -> _Number | None:
    """The values of a field of this type, or None if it is not a number."""
    kinds = set(get_args(kind) or (kind,)) - {type(None)}
    return _Number(kinds.pop(), declared.min, declared.max) if kinds in ({int}, {float}) else None


def _option(field: Field[Any], hint: Any, changes: tuple[Any, ...]) -> _Object:
    """One option as typer wants it, and its value."""
    kind, declared = get_args(hint)
    declared = copy.copy(declared)
    default = REQUIRED if field.default is MISSING else field.default
    for change in changes:
        if change.option == field.name:
            default = default if change.default is _UNCHANGED else change.default
            for name, value in change.words.items():
                if not hasattr(declared, name):
                    raise TypeError(f"changed({field.name!r}) has no attribute {name!r}")
                setattr(declared, name, value)
    number, flag = _number(kind, declared), _flag(declared)
    if number is None:
        path = Path in (get_args(kind) or (kind,))
        if path:  # as a text, because an empty one would become the current folder
            kind, declared.autocompletion = str | None, declared.autocompletion or complete_paths
        parameter = _parameter(field.name, default, kind, declared)
        return _Object((parameter,), lambda values: _text_or_path(flag, values[field.name], path, default))
    if number.range:
        declared.help = f"{declared.help} {number.sentence}"
    declared.min = declared.max = None
    parameter = _parameter(field.name, None if default is None else str(default), str | None, declared)
    return _Object(
        (parameter,), lambda values: None if values[field.name] is None else number.parse(flag, values[field.name])
    )


def _text_or_path(option: str, value: Any, path: bool, default: Any) -> Any:
    """The value of an option or argument that is not a number, as a Path if it names one.

    ValueError for an empty name, which would be that of the current folder, and for another option in place of a value.
    """
    named = path or not option.startswith("--")
    for text in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(text, str) or text == default:
            continue
        if named and not text.strip():
            raise ValueError(f"{option} must not be empty, got {text!r}")
        if option.startswith("--") and _OPTION.fullmatch(text):
            ways = f"; write './{text}' if that is its name" if path else ""
            raise ValueError(f"{option} must be followed by its value, got the option {text!r}{ways}")
    return Path(value) if path and value is not None else value


def _parameter(name: str, default: Any, kind: Any, declared: Any) -> inspect.Parameter:
    """A keyword parameter; unions are written as in old Python, because typer 0.12.0 does not read ``X | None``."""
    if isinstance(kind, types.UnionType):
        kind = Union[get_args(kind)]  # noqa: UP007
    annotation = Annotated[kind, declared]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


@dataclass(frozen=True)
class _Object:
    """An option object: typer's parameters for its fields, and the function that builds it from their values."""

    parameters: tuple[inspect.Parameter, ...]
    build: Callable[[Mapping[str, Any]], Any]


@functools.cache
def _hints(group: type) -> Mapping[str, Any]:
    """Types of the fields of a dataclass, with typer's declarations. Commands share their option objects: read them once."""
    return get_type_hints(group, include_extras=True)


def _object(hint: Any) -> _Object:
    """The option object of a dataclass of options or of option objects, perhaps with :func:`changed` notes."""
    group, *changes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    hints = _hints(group)
    for change in changes:
        if change.option not in hints:
            raise TypeError(f"{group.__name__} has no option {change.option!r}")
    parts: dict[str, _Object] = {}
    for field in _own_first(group):
        kind = hints[field.name]
        inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        parts[field.name] = _object(kind) if is_dataclass(inner) else _option(field, kind, tuple(changes))
    parameters = tuple(parameter for part in parts.values() for parameter in part.parameters)
    return _Object(parameters, lambda values: group(**{name: part.build(values) for name, part in parts.items()}))


def _objects(command: Callable[..., None]) -> dict[str, _Object]:
    """The option objects of a command, by the names of its parameters."""
    hints = get_type_hints(command, include_extras=True)
    return {name: _object(hint) for name, hint in hints.items() if name != "return"}


def _flag(declared: Any) -> str:
    """The option as users type it, or the name of an argument."""
    written = (declared.default, *(declared.param_decls or ()))  # typer takes the first name for a default
    flags = [text for text in written if isinstance(text, str) and text.startswith("--")]
    return flags[0] if flags else str(declared.metavar)


def _unwrapped(text: str | None) -> str:
    """A docstring with each paragraph on one line: the terminal wraps it."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text or "").split("\n\n"))


def takes_options(arguments: Mapping[str, str] | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: typer sees one keyword parameter for each option, the command gets the option objects.

    Errors become a line and an exit code, see :func:`~.errors.guarded`. `arguments` maps arguments of the library to the
    options that set them if their names differ; messages then name the option.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        objects = _objects(command)
        parameters = [parameter for group in objects.values() for parameter in group.parameters]
        flags = {parameter.name: _flag(get_args(parameter.annotation)[1]) for parameter in parameters}

        def build_and_call(**values: Any) -> None:
            with memory_limit(None if values.get("memory") is None else memory_size("--memory", values["memory"])):
                command(**{name: group.build(values) for name, group in objects.items()})

        run = guarded(build_and_call, {**flags, **_ARGUMENTS, **(arguments or {})})
        run.__name__, run.__doc__, run.__module__ = command.__name__, _unwrapped(command.__doc__), command.__module__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        del run.__wrapped__  # type: ignore[attr-defined]
        return run

    return decorate
