"""Option objects: declared once, read by typer through a signature that is built from them, and their help."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

import kappaflow as kf
import kappaflow.cli
from commands import refuse, succeed
from kappaflow.bands import Band
from kappaflow.cli import app, options_validate, parsing
from kappaflow.cli.declaring import option
from kappaflow.cli.options import Data
from kappaflow.cli.signature import REQUIRED, changed, takes_options

COMMANDS = ("predict", "diagnose", "plan", "seeds", "moments", "lens", "info", "validate linear", "validate network")


# --- the signature ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """A number with a range, and one without."""

    size: Annotated[int, option("--size", min=1, max=9, help="Size.")] = 3
    rate: Annotated[float | None, option("--rate", min=0.5, help="Rate.")] = None


@dataclass(frozen=True)
class Named(Size):
    """A text, before the fields that it inherits."""

    name: Annotated[str | None, option("--name", help="Name.")] = None


@dataclass(frozen=True)
class Both:
    """Option objects as parts of another."""

    named: Annotated[Named, changed("size", default=5, help="Another size.")]
    text: Annotated[str, option("--text", help="Text.")] = "t"


def made_of(command: Any) -> typer.Typer:
    toy = typer.Typer()
    toy.command()(command)
    return toy


def test_fields_become_parameters_and_the_command_gets_the_objects() -> None:
    got: list[Any] = []

    @takes_options()
    def command(both: Both) -> None:
        """Do it."""
        got.append(both)

    assert list(inspect.signature(command).parameters) == ["name", "size", "rate", "text"]
    toy = made_of(command)
    assert CliRunner().invoke(toy, []).exit_code == 0
    assert CliRunner().invoke(toy, ["--size", "7", "--rate", "0.5", "--name", "x", "--text", "y"]).exit_code == 0
    assert got == [Both(Named(5, None, None), "t"), Both(Named(7, 0.5, "x"), "y")]
    text = " ".join(CliRunner().invoke(toy, ["--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "Do it." in text
    assert "Another size. From 1 to 9." in text
    assert "Rate. 0.5 or more." in text


def test_numbers_name_option_value_and_range() -> None:
    @takes_options()
    def command(size: Size) -> None:
        """Do it."""

    toy = made_of(command)
    for arguments, line in [
        (["--size", "0"], "error: --size must be a whole number from 1 to 9, got '0'"),
        (["--size", "2.5"], "error: --size must be a whole number from 1 to 9, got '2.5'"),
        (["--size", ""], "error: --size must be a whole number from 1 to 9, got ''"),
        (["--rate", "nan"], "error: --rate must be a number of at least 0.5, got 'nan'"),
        (["--rate", "inf"], "error: --rate must be a number of at least 0.5, got 'inf'"),
    ]:
        result = CliRunner().invoke(toy, arguments)
        assert (result.exit_code, result.stderr.strip()) == (2, line)


def test_an_option_can_be_required() -> None:
    @takes_options()
    def command(named: Annotated[Named, changed("name", default=REQUIRED)]) -> None:
        """Do it."""

    result = CliRunner().invoke(made_of(command), [])
    assert result.exit_code == 2
    assert "--name" in result.stderr


def test_changes_of_unknown_options_are_mistakes() -> None:
    def unknown(size: Annotated[Size, changed("sise", help="?")]) -> None:
        """Do it."""

    def attribute(size: Annotated[Size, changed("size", halp="?")]) -> None:
        """Do it."""

    with pytest.raises(TypeError, match="Size has no option 'sise'"):
        takes_options()(unknown)
    with pytest.raises(TypeError, match=r"changed\('size'\) has no attribute 'halp'"):
        takes_options()(attribute)


def test_library_arguments_are_named_as_options() -> None:
    @takes_options({"sizes": "--size"})
    def command(size: Size) -> None:
        """Do it."""
        raise ValueError(f"sizes must be below rate = 2, got {size.size}")

    result = CliRunner().invoke(made_of(command), [])
    assert result.stderr.strip() == "error: --size must be below --rate = 2, got 3"


# --- the declarations -------------------------------------------------------------------------------------------------


def has_options(group: type) -> bool:
    """Whether a dataclass has fields that typer reads."""
    kinds = map(str, inspect.get_annotations(group).values())
    return any(maker in kind for kind in kinds for maker in ("option(", "flag(", "Argument("))


def declared() -> list[tuple[str, str]]:
    """Name and place of every option that a dataclass of the command line declares."""
    found = []
    for module in pkgutil.iter_modules(kappaflow.cli.__path__, "kappaflow.cli."):
        for group in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(group, type)
                and is_dataclass(group)
                and group.__module__ == module.name
                and has_options(group)
            ):
                own = inspect.get_annotations(group)
                for field in fields(group):
                    parts = get_args(get_type_hints(group, include_extras=True)[field.name])
                    if field.name in own and len(parts) > 1 and hasattr(parts[1], "param_decls"):
                        names = (parts[1].default, *(parts[1].param_decls or ()))
                        flags = [name for name in names if isinstance(name, str) and name.startswith("--")]
                        found.append((flags[0] if flags else field.name, f"{group.__module__}.{group.__name__}"))
    return found


def test_each_option_is_declared_once() -> None:
    counts = Counter(name for name, _ in declared())
    assert {
        "data",
        "--n",
        "--seeds",
        "--law",
        "--json",
        "--out",
        "--pair",
        "--steps",
        "--sampler-steps",
    } <= counts.keys()
    assert not [(name, place) for name, place in declared() if counts[name] > 1]
    assert {place.rpartition(".")[0] for _, place in declared()} == {
        "kappaflow.cli.options",
        "kappaflow.cli.options_classes",
        "kappaflow.cli.options_groups",
        "kappaflow.cli.options_models",
        "kappaflow.cli.options_validate",
    }


def test_words_that_options_take_are_those_of_the_library() -> None:
    pytest.importorskip("torch")
    from kappaflow.models.backbones import BACKBONES
    from kappaflow.validation.network.disjoint import SPLITS
    from kappaflow.validation.network.plan import PRESETS

    assert tuple(BACKBONES) == options_validate.ARCHITECTURES
    assert tuple(PRESETS) == options_validate.PRESETS
    assert SPLITS == options_validate.SPLITS


# --- the help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_eighty_columns_and_its_example_parses(command: str) -> None:
    text = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"}).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "DATA" in text
    example = re.search(rf"Example: kappaflow {command} (.*)", text)
    assert example is not None
    group: Any = typer.main.get_command(app)
    for name in command.split():
        group = group.commands[name]
    group.make_context(command, example[1].split())  # raises the error that a user would see


def test_version_and_help(folder):
    assert succeed("--version").stdout == f"kappaflow {kf.__version__}\n"
    for command in ("predict", "moments", "seeds", "plan", "diagnose", "info"):
        assert "DATA" in succeed(command, "--help").stdout


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists():
    assert parsing.parse_sizes(None) is None
    assert [size.text for size in parsing.parse_sizes(["300,100", "1e3", "1_000"])] == ["100", "300", "1000"]
    assert parsing.parse_seeds("3") == [0, 1, 2]
    assert parsing.parse_seeds("3,") == [3]
    assert parsing.parse_seeds("2-4, 9") == [2, 3, 4, 9]
    assert parsing.parse_bands("5") == 5
    assert parsing.parse_bands("1-4,5,6-20") == [Band(0, 4), Band(4, 5), Band(5, 20)]
    assert parsing.parse_shape("28x28") == (28, 28)
    assert parsing.parse_shape("32, 32,3") == (32, 32, 3)


def test_names_of_data(folder):
    Path("my photos").mkdir()
    assert Data("digits").name == "digits"
    assert Data("data.npy").name == "data"
    assert Data("my photos/").name == "my-photos"
    assert Data(".").name == folder.name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lens", "data.npy", "--seeds", "1"), "--seeds must be one whole number from 2 to 100000; got '1'"),
        (("lens", "data.npy", "--seeds", "3,4"), "--seeds must be one whole number from 2 to 100000; got '3,4'"),
        (
            ("validate", "linear", "data.npy", "--laws", ""),
            "--laws must be among gaussian, elliptical, empirical, published; got ''",
        ),
        (
            ("validate", "linear", "data.npy", "--denoiser-sigma", "nan"),
            "--denoiser-sigma must be numbers of at least 0 such as 0.1,1; got 'nan'",
        ),
        (
            ("seeds", "data.npy", "--n", "9", "--n", "3"),
            "--n must be one training-set size, such as --n 1000; got '9,3'",
        ),
    ],
)
def test_lists_that_cannot_be_read(folder, arguments, words):
    assert refuse(*arguments) == words


def test_the_library_imports_no_command_line():
    code = "import sys, kappaflow; print(sorted({'typer', 'rich', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    package = str(Path(kf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
