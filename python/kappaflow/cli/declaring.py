"""Declaring options for typer, and the panels in which the help shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

DATA_PANEL, RESULTS_PANEL = "Data", "Results"


def option(
    *names: str,
    help: str,
    metavar: str | None = None,
    panel: str | None = None,
    shown: str | bool = True,
    complete: Callable[[str], list[str]] | None = None,
    min: float | None = None,
    max: float | None = None,
) -> Any:
    """Declare an option for typer; `shown` describes the default in words if its value does not."""
    return typer.Option(
        *names,
        help=help,
        metavar=metavar,
        rich_help_panel=panel,
        show_default=shown,
        autocompletion=complete,
        min=min,
        max=max,
    )


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """Declare an option without a value for typer."""
    return option(*names, help=help, metavar="", panel=panel)
