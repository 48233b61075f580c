"""The skeleton of a command that writes a folder of results: options, staging, progress, facts, tables, final line."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from .._version import __version__
from .console import ProgressDisplay, errors_console, output_console, plain_line
from .errors import interrupted, writing
from .options import FolderResult, JsonResult
from .output import OutputDirectory, check_file, to_json, write_json

__all__ = ["ReportRun", "json_to_stdout", "machine_facts", "print_result", "report_run", "results_directory"]

_STDOUT = Path("-")


def machine_facts(*, torch_device: str | None = None) -> dict[str, str]:
    """The environment of the numbers: versions, platform, CPU count; no names of hosts or users.

    `torch_device` adds the version of torch, and the device if it is not empty.
    """
    import scipy

    facts = {
        "kappaflow": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": str(os.cpu_count() or "unknown"),
    }
    if torch_device is not None:
        import torch

        facts["torch"] = torch.__version__
        if torch_device:
            facts["device"] = torch_device
        if torch_device.startswith("cuda"):
            facts["gpu"] = torch.cuda.get_device_name(torch_device)
    return facts


# --- a folder of results ----------------------------------------------------------------------------------------------


def results_directory(default: str, options: Mapping[str, Any], result: FolderResult) -> OutputDirectory:
    """The folder ``--out``, checked; a line on stderr announces what it replaces."""
    out = Path(default) if result.out is None else result.out
    directory = OutputDirectory(out, options, overwrite=result.overwrite)
    if directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    return directory


@dataclass
class ReportRun:
    """A run of a command while it computes.

    Attributes
    ----------
    staging : folder that takes the files; it is moved into place at the end
    display : progress
    machine : facts of the machine
    resolved : the resolved options, for options.json
    summary : prints the results on a console; not called if the user asked for quiet
    """

    staging: Path
    display: ProgressDisplay
    machine: Mapping[str, str]
    resolved: dict[str, Any] = field(default_factory=dict)
    summary: Callable[[Console], None] | None = None

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A block that writes the results into the folder that it is given."""
        self.display("writing the report", 1.0)
        with writing("the report"):
            yield self.staging


@contextmanager
def report_run(
    command: str,
    directory: OutputDirectory,
    *,
    quiet: bool,
    machine: Mapping[str, str],
    kept: Callable[[], str] = lambda: "nothing was written",
) -> Iterator[ReportRun]:
    """Run a block that computes and writes results; then print its tables and the path of the report.

    An exception leaves the folder of results unchanged. After Ctrl-C, `kept` describes what is left elsewhere.
    """
    facts: dict[str, Any] = {"command": command, "machine": machine}
    try:
        with directory.staged(facts) as staging, ProgressDisplay(quiet=quiet) as display:
            run = ReportRun(staging, display, machine)
            yield run
            if run.resolved:
                facts["resolved"] = run.resolved
    except KeyboardInterrupt:
        raise interrupted(kept()) from None
    console = output_console()
    if run.summary is not None and not quiet:
        run.summary(console)
    plain_line(console, str(directory.given / "report.html"))


# --- tables and JSON --------------------------------------------------------------------------------------------------


def json_to_stdout(result: JsonResult) -> bool:
    """Whether ``--json -`` was given: then standard output is for the JSON alone."""
    return result.json == _STDOUT


def check_json(result: JsonResult) -> None:
    """Raise OSError, before any work, if the file cannot be written."""
    if result.json is not None and not json_to_stdout(result):
        check_file("--json", result.json, overwrite=result.overwrite)


def print_result(result: JsonResult, content: Mapping[str, Any], tables: Callable[[Console], None]) -> None:
    """Write the numbers where ``--json`` says, and print the tables and the path."""
    on_stdout = json_to_stdout(result)
    if result.json is not None and not on_stdout:
        with writing(f"--json: {str(result.json)!r}"):
            write_json(result.json, content)
    if not result.quiet:
        tables(errors_console() if on_stdout else output_console())
    if on_stdout:
        print(to_json(content), end="")
    elif result.json is not None:
        plain_line(output_console(), str(result.json))
