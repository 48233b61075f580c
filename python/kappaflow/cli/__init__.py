"""The command line: one file a command, :mod:`.common` for what they share, :mod:`.output` for what they write."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from .._version import __version__
from . import diagnose, info, lens, moments, network, plan, predict, seeds, validate
from .common import SizesCommand

__all__ = ["app", "main"]

app = typer.Typer(
    name="kappaflow",
    help="Random-matrix theory of diffusion models: how consistent will models trained on n of your images be?",
    epilog=(
        "DATA is a folder of images, a .npy, .npz, .h5 or .zarr file, a saved population (.safetensors), or the name "
        "of a built-in set: see 'kappaflow info'. With KAPPAFLOW_DEBUG=1 in the environment, errors show where they "
        "were raised."
    ),
    no_args_is_help=True,
    add_completion=False,
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


app.command("predict", cls=SizesCommand)(predict.command)
app.command("moments")(moments.command)
app.command("seeds")(seeds.command)
app.command("plan")(plan.command)
app.command("diagnose")(diagnose.command)
app.command("info")(info.command)
app.command("lens")(lens.command)
validate.app.command("network", cls=SizesCommand)(network.command)
app.add_typer(validate.app, name="validate")


def _terminated(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Entry point of the command ``kappaflow``; SIGTERM unwinds as Ctrl-C does, so that no half-written file stays."""
    signal.signal(signal.SIGTERM, _terminated)
    app(prog_name="kappaflow")
