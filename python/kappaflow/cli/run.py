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
from .output import OutputDirectory, check_file, claimed, to_json, unwritten, write_json, write_or_keep
from .scope import anything_was_written

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


def results_directory(
    default: str, options: Mapping[str, Any], result: FolderResult, *, runs: Path | None = None
) -> OutputDirectory:
    """The folder ``--out``, checked and claimed; a line on stderr announces what it replaces.

    Parameters
    ----------
    default : its name, unless the user gives one
    options : see :class:`~.output.OutputDirectory`
    result : of the command
    runs : folder of networks that the command trains, which is claimed too. It may lie in ``--out``

    Raises
    ------
    ValueError
        `runs` is a file, or the folder ``--out``.
    OSError
        Another process writes there, or nothing can be written.
    """
    out = Path(default) if result.out is None else result.out
    if runs is not None and runs.exists() and not runs.is_dir():
        raise ValueError(f"--runs must name a folder, got {str(runs)!r}, which is a file")
    if runs is not None and os.path.realpath(runs) == os.path.realpath(out):
        raise ValueError(f"--out and --runs must name two folders, got {str(runs)!r} for both")
    directory = OutputDirectory(out, options, overwrite=result.overwrite, beside=runs)
    if runs is not None:  # two commands that train into it would disturb each other
        with writing(f"--runs: {str(runs)!r}"):
            Path(os.path.realpath(runs)).parent.mkdir(parents=True, exist_ok=True)
        claimed("--runs", runs, "use another --runs")
    if directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    return directory


@dataclass(kw_only=True)
class ReportRun:
    """A run of a command while it computes.

    Attributes
    ----------
    command : its name
    directory : the folder of results
    staging : folder that takes the files; it is moved into place at the end
    display : progress
    machine : facts of the machine
    resolved : the resolved options, for options.json
    summary : prints the results on a console; not called if the user asked for quiet
    """

    command: str
    directory: OutputDirectory
    staging: Path
    display: ProgressDisplay
    machine: Mapping[str, str]
    resolved: dict[str, Any] = field(default_factory=dict)
    summary: Callable[[Console], None] | None = None

    def write(self, write: Callable[[Path], None]) -> None:
        """Write the results by a function that gets the folder; if that fails, it writes them into a temporary folder.

        Raises
        ------
        WritingError
            The results are not in `staging`; the message says where they are instead.
        """
        self.display("writing the report", 1.0)
        try:
            write(self.staging)
        except OSError as error:
            raise unwritten("the report", error, self.directory.elsewhere(write, self.facts())) from error

    def facts(self) -> dict[str, Any]:
        """What options.json holds beside the options as given."""
        facts: dict[str, Any] = {"command": self.command, "machine": self.machine}
        return facts | ({"resolved": self.resolved} if self.resolved else {})


@contextmanager
def report_run(
    command: str,
    directory: OutputDirectory,
    *,
    quiet: bool,
    machine: Mapping[str, str],
    kept: Callable[[], str] | None = None,
) -> Iterator[ReportRun]:
    """Run a block that computes and writes results; then print its tables and the path of the report.

    An exception leaves the folder of results unchanged. After Ctrl-C, or a signal that ends the program, `kept` describes what is
    left elsewhere.
    """
    facts: dict[str, Any] = {}
    try:
        with directory.staged(facts) as staging, ProgressDisplay(quiet=quiet) as display:
            run = ReportRun(command=command, directory=directory, staging=staging, display=display, machine=machine)
            yield run
            facts |= run.facts()
    except KeyboardInterrupt as error:
        if kept is None or anything_was_written():
            raise
        raise interrupted(error, kept()) from None
    console = output_console()
    if run.summary is not None and not quiet:
        run.summary(console)
    plain_line(console, str(directory.given / "report.html"))


# --- tables and JSON --------------------------------------------------------------------------------------------------


def json_to_stdout(result: JsonResult) -> bool:
    """Whether ``--json -`` was given: then standard output is for the JSON alone."""
    return result.json == _STDOUT


def check_json(result: JsonResult) -> None:
    """Claim the file before any work; raise OSError if it cannot be written."""
    if result.json is not None and not json_to_stdout(result):
        check_file("--json", result.json, overwrite=result.overwrite)


def print_result(result: JsonResult, content: Mapping[str, Any], tables: Callable[[Console], None]) -> None:
    """Write the numbers where ``--json`` says, and print the tables and the path."""
    on_stdout = json_to_stdout(result)
    if result.json is not None and not on_stdout:
        write_or_keep("--json", result.json, lambda path: write_json(path, content))
    if not result.quiet:
        tables(errors_console() if on_stdout else output_console())
    if on_stdout:
        print(to_json(content), end="")
    elif result.json is not None:
        plain_line(output_console(), str(result.json))
