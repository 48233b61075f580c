"""Exit codes of the command line, the exit code of each error, and the line that a user reads."""

from __future__ import annotations

import errno
import functools
import os
import re
import select
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import ParamSpec, TypeVar

import typer

from .._core import ConvergenceError
from ..models.errors import TrainingError
from .console import errors_console, plain_line
from .scope import CommandScope

__all__ = [
    "DEBUG_VARIABLE",
    "EXIT_CODES",
    "ExitCode",
    "Terminated",
    "WritingError",
    "describe_error",
    "exit_code",
    "guarded",
    "interrupted",
    "naming",
    "options_as_typed",
    "reader_is_gone",
    "without_python",
    "writing",
]

#: With the value 1 in the environment, errors show where they were raised. It changes no exit code.
DEBUG_VARIABLE = "KAPPAFLOW_DEBUG"

P = ParamSpec("P")
R = TypeVar("R")


class ExitCode(IntEnum):
    """The exit codes of the commands."""

    SUCCESS = 0
    FAILURE = 1
    WRONG_USE = 2
    HANGUP = 129
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


#: What each code means, for ``kappaflow --help`` and the documentation.
EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.SUCCESS: "success",
    ExitCode.FAILURE: "failure: out of memory, results not written, a number not certified, a bug",
    ExitCode.WRONG_USE: "wrong use: options, data or models that cannot be used; a missing package",
    ExitCode.HANGUP: "ended by SIGHUP, as when the terminal is closed",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
    ExitCode.PIPE_CLOSED: "nobody reads the output any more, as when it is piped into head",
    ExitCode.TERMINATED: "ended by SIGTERM",
}

#: System errors that other input would not avoid: no space, quota, input/output error, read-only, too many files.
_SYSTEM_ERRORS = frozenset(
    {errno.ENOSPC, errno.EIO, errno.EROFS, errno.EFBIG, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
    | ({errno.EDQUOT} if hasattr(errno, "EDQUOT") else set())
)


class Terminated(KeyboardInterrupt):
    """A signal that ends the program, other than Ctrl-C: whatever Ctrl-C saves or removes, it saves or removes too.

    Attributes
    ----------
    number : of the signal
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class WritingError(RuntimeError):
    """Results could not be written."""


def describe_error(error: BaseException) -> str:
    """One line for the reader, without errno."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # that of torch's devices


def _is_failure(error: BaseException) -> bool:
    """Whether other input would not have avoided the error, although the program is correct."""
    system = isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS
    return system or _out_of_memory(error) or isinstance(error, (WritingError, ConvergenceError, TrainingError))


def exit_code(error: BaseException) -> int:
    """The exit code of an error; for a signal that ends the program, 128 and its number.

    Bad values (ValueError, TypeError), data that cannot be read (OSError) and missing packages (ImportError) are wrong use.
    Running out of memory or disk space, results that cannot be written, numbers that cannot be certified and networks that
    diverge are failures, as is every other error, which is a bug.
    """
    if isinstance(error, Terminated):
        return 128 + error.number
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if not _is_failure(error) and isinstance(error, (ValueError, TypeError, OSError, ImportError)):
        return ExitCode.WRONG_USE
    return ExitCode.FAILURE


def error_line(error: BaseException, options: Mapping[str, str] | None = None) -> str:
    """The message that a user reads: options are named as they are typed, and bugs are called internal.

    `options` maps arguments of the library, whose messages begin with their names, to options of the command.
    """
    text = describe_error(error)
    if exit_code(error) == ExitCode.FAILURE and not _is_failure(error):
        return f"internal, {type(error).__name__}: {text} ({DEBUG_VARIABLE}=1 shows where)"
    if _out_of_memory(error) and text == type(error).__name__:
        return "out of memory"
    return options_as_typed(text, options or {})


#: Where messages of the library name an argument: at their beginning, or after that of what named a file or a model.
_SUBJECT = re.compile(r"(?:(?<=^)|(?<=: ))(\w+)(?:=True)?(?= must |=| does not apply| needs )")
#: Arguments with a value, anywhere in a message; True and pairs are not what users type.
_VALUE = re.compile(r"(?<![-\w])(\w{2,})( = |=)(?:(True\b|(?=\s|$))|\((\d+(?:, \d+)*),?\)|(?=\S))")
#: What a message says of Python, at its end or in parentheses, which may hold two further levels of them.
_PYTHON = re.compile(r"; in Python: .*$| \(in Python(?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")


def without_python(text: str) -> str:
    """A message of the library without what it says of Python."""
    return _PYTHON.sub("", text)


def options_as_typed(text: str, options: Mapping[str, str]) -> str:
    """A message of the library with the options of the command in place of its arguments, without what it says of Python."""
    text = without_python(text)
    text = _VALUE.sub(lambda found: _typed_value(found, options), text)
    text = _SUBJECT.sub(lambda found: options.get(found[1], found[0]), text)
    return re.sub(r"(?<=, got )None$", "none", text)


def _typed_value(found: re.Match[str], options: Mapping[str, str]) -> str:
    """An argument with its value, or with what stands before it, as an option.

    size=(6, 9) is --size=6x9, shape=(6, 9) is --shape=6,9, and grey=True and a bare grey= are --grey.
    """
    name, sign, alone, sides = found.groups()
    if name not in options:
        return found[0]
    if sides is not None:
        return f"{options[name]}{sign}{sides.replace(', ', 'x' if name == 'size' else ',')}"
    return options[name] if alone is not None else options[name] + sign


def interrupted(error: KeyboardInterrupt, what: str) -> typer.Exit:
    """Print what Ctrl-C, or a signal that ends the program, leaves behind, and return the exception to raise."""
    with suppress(OSError):  # the terminal may have gone
        plain_line(errors_console(), f"interrupted: {what}", "bold red")
    return typer.Exit(int(exit_code(error)))


def guarded(function: Callable[P, R], options: Mapping[str, str] | None = None) -> Callable[P, R]:
    """A command whose errors are one red line on stderr and an exit code, see :func:`exit_code`."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        scope = CommandScope()
        try:
            with scope:
                return function(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt as error:
            raise interrupted(error, scope.what_was_written()) from None
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _output_is_closed():
                raise
            if os.environ.get(DEBUG_VARIABLE) == "1":
                errors_console().print(traceback.format_exc(), markup=False, soft_wrap=True)
            plain_line(errors_console(), f"error: {error_line(error, options)}", "bold red")
            raise typer.Exit(int(exit_code(error))) from None

    return run


def _output_is_closed() -> bool:
    """Whether the reader of standard output or standard error has gone; other pipes break too, such as those of workers."""
    if not hasattr(select, "poll"):  # Windows
        return True
    watched = select.poll()
    for descriptor in (1, 2):
        watched.register(descriptor, 0)  # errors are reported in any case
    return bool(watched.poll(0))


def reader_is_gone(error: BaseException) -> bool:
    """Whether the program ends because it cannot write its output: rich and typer turn a broken pipe into an exit code."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, BrokenPipeError):
        cause = None if cause.__suppress_context__ else cause.__context__
    return cause is not None


@contextmanager
def naming(option: str) -> Iterator[None]:
    """A block that reads the file or model that an option names: its errors begin with the option."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        text = describe_error(error)
        if text.startswith(option):
            raise
        match = re.match(r"(path|model) (?=must )", text)
        named = f"{option}: {text}" if match is None else f"{option} {text[match.end() :]}"
        raise type(error)(named) from error


@contextmanager
def writing(what: str) -> Iterator[None]:
    """A block that writes `what`: an OSError in it is a failure, not wrong use."""
    try:
        yield
    except OSError as error:
        raise WritingError(f"{what} could not be written: {error.strerror or describe_error(error)}") from error
