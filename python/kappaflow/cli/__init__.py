"""The command line.

One file a command. What they share: :mod:`.options` (every option, once), :mod:`.signature` (commands that take option objects),
:mod:`.parsing`, :mod:`.loading`, :mod:`.console`, :mod:`.errors` (exit codes), :mod:`.output` and :mod:`.run` (results).
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from .._version import __version__
from . import diagnose, info, lens, linear, moments, network, plan, predict, seeds
from .errors import DEBUG_VARIABLE, EXIT_CODES, ExitCode
from .parsing import SizesCommand

__all__ = ["app", "main"]

app = typer.Typer(
    name="kappaflow",
    help="Random-matrix theory of diffusion models: how much will models trained on n of your images agree?",
    epilog=(
        "DATA is a folder of images, a .npy, .npz, .h5 or .zarr file, a saved population (.safetensors), or the name "
        "of a built-in data set: see 'kappaflow info'.\n\n"
        "Exit codes:\n" + "\n".join(f"{code.value:>3}  {meaning};" for code, meaning in EXIT_CODES.items()) + "\n\n"
        f"With {DEBUG_VARIABLE}=1 in the environment, errors also show where they were raised. Exit codes stay the same."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
validate = typer.Typer(
    help="Compare the theory with simulations, or with networks.", no_args_is_help=True, pretty_exceptions_enable=False
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


app.command("predict", cls=SizesCommand)(predict.command)
app.command("diagnose", cls=SizesCommand)(diagnose.command)
app.command("plan")(plan.command)
app.command("seeds", cls=SizesCommand)(seeds.command)
app.command("moments")(moments.command)
app.command("lens")(lens.command)
app.command("info")(info.command)
validate.command("linear", cls=SizesCommand)(linear.command)
validate.command("network", cls=SizesCommand)(network.command)
app.add_typer(validate, name="validate")


def _terminated(_signal: int, _frame: object) -> None:
    sys.exit(ExitCode.TERMINATED)


def main() -> None:
    """Entry point of the command ``kappaflow``; SIGTERM unwinds as Ctrl-C does, so that no half-written file stays."""
    signal.signal(signal.SIGTERM, _terminated)
    app(prog_name="kappaflow")
