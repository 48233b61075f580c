"""The command line.

One file a command. What they share: :mod:`.options` (every option, once), :mod:`.signature` (commands that take option objects),
:mod:`.parsing`, :mod:`.loading`, :mod:`.console`, :mod:`.errors` (exit codes), :mod:`.output` and :mod:`.run` (results).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from .._version import __version__
from .completion_files import write_completion_whole
from .encoding import write_every_character
from .errors import DEBUG_VARIABLE, EXIT_CODES, ExitCode, Terminated, exit_code, reader_is_gone
from .lazy_group import command_in, lazy_group
from .parsing import SizesCommand

__all__ = ["app", "main"]

write_completion_whole()

validate = typer.Typer(
    cls=lazy_group({"linear": command_in("linear", SizesCommand), "network": command_in("network", SizesCommand)}),
    help="Compare the theory with simulations, or with networks.",
    no_args_is_help=True,
    add_completion=False,
)
app = typer.Typer(
    name="kappaflow",
    cls=lazy_group(
        {
            "predict": command_in("predict", SizesCommand),
            "diagnose": command_in("diagnose", SizesCommand),
            "plan": command_in("plan"),
            "seeds": command_in("seeds", SizesCommand),
            "pilot": command_in("pilot", SizesCommand),
            "moments": command_in("moments"),
            "lens": command_in("lens"),
            "info": command_in("info"),
            "validate": lambda: typer.main.get_command(validate),
        }
    ),
    help="Random-matrix theory of diffusion models: how much will linear models trained on n of your images agree, and do "
    "networks follow?",
    epilog=(
        "DATA is a folder of images, a file of arrays (.npy, .npz, .h5, .zarr, .pt, .safetensors), an archive (.zip, .tar), a "
        "table (.parquet, .arrow), a NIfTI volume, a folder of DICOM files, a saved population "
        "(.safetensors), or the name of a built-in dataset: see 'kappaflow info'.\n\n"
        "Exit codes:\n" + "\n".join(f"{code.value:>3}  {meaning};" for code, meaning in EXIT_CODES.items()) + "\n\n"
        f"With {DEBUG_VARIABLE}=1 in the environment, errors also show where they were raised. The exit codes stay the same."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kappaflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Options that stand before the command."""


@validate.callback()
def _validate() -> None:  # without a docstring: the help stands above
    pass


def _heed_signals() -> list[int]:
    """Let signals that end the program unwind it as Ctrl-C does, except those that the caller ignores, as nohup does.

    Returns the list that takes the numbers of those that come.
    """
    numbers: list[int] = []

    def end(number: int, _frame: object) -> None:
        numbers.append(number)
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)
    return numbers


def main() -> None:
    """Entry point of the command ``kappaflow``. SIGTERM and SIGHUP unwind as Ctrl-C does, so no half-written file is left."""
    write_every_character(sys.stdout, sys.stderr)
    signals = _heed_signals()
    try:
        try:
            app(prog_name="kappaflow")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        sys.exit(exit_code(error))
    except (SystemExit, BrokenPipeError) as error:
        if signals and isinstance(error, SystemExit) and error.code == ExitCode.INTERRUPTED:
            sys.exit(128 + signals[-1])  # it came while the options were read
        if not reader_is_gone(error):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):  # what is still buffered
            os.dup2(nowhere, descriptor)
        sys.exit(ExitCode.PIPE_CLOSED)
