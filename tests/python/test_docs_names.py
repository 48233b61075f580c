"""Names in the README and the documentation resolve: modules, functions, command options, files and tests."""

from __future__ import annotations

import importlib
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import kappaflow
from kappaflow.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Options of other programs, and options that every command of typer has.
OTHER_OPTIONS = {
    "--build", "--component", "--help", "--install", "--install-completion", "--pay", "--prefix", "--show-completion"
}  # fmt: skip
#: Identifiers of other packages and of formulas.
OTHER_NAMES = {
    "DPMSolverMultistep", "DEISMultistep", "UniPCMultistep", "DeformedMarchenkoPastur", "stieltjes", "findroot",
}  # fmt: skip
#: Files that a run writes, and files of no package.
WRITTEN = {
    "clips.txt",
    "benchmarks/results.json",
    "log.txt",
    "options.json",
    "pilot.json",
    "predictions.json",
    "report.html",
    "results.json",
    "train.py",
}


def code_of(page: Path) -> list[str]:
    """The contents of every code span and every line of every code block of a page; plans of what is to come left out."""
    text = page.read_text(encoding="utf-8").partition("## What the rebuilding of the house")[0]
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [span.replace("\n", " ") for span in spans] + [line for block in fenced for line in block.splitlines()]


def resolve(name: str) -> object:
    """The module or attribute that a dotted name of the package leads to."""
    found: object = kappaflow
    path = "kappaflow"
    for part in name.split(".")[1:]:
        path += f".{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(path)
    return found


def option_names(group: Any, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """The options of each command below a group of commands, by the words that call it."""
    options: dict[tuple[str, ...], set[str]] = {}
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            options |= option_names(command, (*words, word))
        else:
            parameters = command.params
            options[(*words, word)] = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    return options


OPTIONS = option_names(typer.main.get_command(app))


@cache
def words_of_the_sources() -> frozenset[str]:
    """Every identifier of the tracked sources."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.pyi", "*.cpp", "*.hpp", "*.toml", "*.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in listed.stdout.splitlines())
    return frozenset(re.findall(r"\w+", text))


def identify(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_dotted_names_of_the_package_resolve(page: Path) -> None:
    names = {
        re.sub(r"^kf\.", "kappaflow.", name)
        for code in code_of(page)
        for name in re.findall(r"(?<![\w./-])(?:kappaflow|kf)(?:\.[A-Za-z_]\w*)+", code)
    }
    missing = []
    for name in sorted(names - {"kappaflow.kappaflow"}):
        try:
            resolve(name)
        except (ImportError, AttributeError):
            missing.append(name)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_imports_of_examples_resolve(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    imports = re.findall(r"from (kappaflow[\w.]*) import (?:\(([^)]*)\)|(.*))", text)
    missing = [
        f"{module}.{name}"
        for module, many, one in imports
        for name in re.findall(r"\w+", many or one)
        if not hasattr(importlib.import_module(module), name)
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_options_exist(page: Path) -> None:
    """In a line that calls a command, the options of that command; elsewhere, an option of any command."""
    any_command = set().union(*OPTIONS.values()) | OTHER_OPTIONS
    missing = []
    for code in code_of(page):
        called = re.search(r"(?<![\w/])kappaflow ((?:validate )?[a-z]+)", code)
        allowed = OPTIONS.get(tuple(called[1].split()), any_command) | OTHER_OPTIONS if called else any_command
        missing += [
            f"{option} in: {code}" for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code) if option not in allowed
        ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_files_exist(page: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [f"/{name}" for name in listed.splitlines()]
    named = {
        name
        for code in code_of(page)
        for name in re.findall(r"(?<![\w/.-])[\w./-]*\w\.(?:py|cpp|hpp|md|json|txt|toml|sh|html)(?![\w-])", code)
    }
    missing = [
        name
        for name in sorted(named - WRITTEN)
        if not any(path == f"/{name}" or path.endswith(f"/{name.removeprefix('./')}") for path in files)
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_identifiers_occur_in_the_sources(page: Path) -> None:
    """A code span that is one identifier, or a call of one, names something that exists."""
    known = words_of_the_sources() | OTHER_NAMES
    missing = [
        code
        for code in code_of(page)
        if (one := re.fullmatch(r"\.?((?:[A-Za-z]\w*\.)*[A-Za-z]\w*)(?:\(.*\))?", code))
        and not re.search(r"\.(?:npy|npz|h5|zarr|safetensors)$|\.(?:py|cpp|hpp|md|json|txt|toml|html)$", one[1])
        and not set(one[1].split(".")) <= known
    ]
    assert not missing
