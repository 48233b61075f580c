"""A group of commands that imports the file of a command only when it is needed, so that each command starts quickly."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["command_in", "lazy_group"]


class _Commands(Mapping[str, Any]):
    """Names of commands; a command is loaded once, when it is first looked up."""

    def __init__(self, loaders: Mapping[str, Callable[[], Any]]) -> None:
        self._loaders = {name: functools.cache(load) for name, load in loaders.items()}

    def __getitem__(self, name: str) -> Any:
        command = self._loaders[name]()
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


def command_in(module: str, cls: type[TyperCommand] | None = None) -> Callable[[], Any]:
    """A loader of the function ``command`` in a module of this package.

    Parameters
    ----------
    module : name of the module, without the package
    cls : class of the command, typer's if None
    """

    def load() -> Any:
        app = typer.Typer(add_completion=False)
        app.command(cls=cls)(importlib.import_module(f"{__package__}.{module}").command)
        return typer.main.get_command(app)

    return load


def lazy_group(loaders: Mapping[str, Callable[[], Any]]) -> type[TyperGroup]:
    """A class of group, for ``typer.Typer(cls=…)``, with these commands in this order.

    Parameters
    ----------
    loaders : name of a command → function that makes it
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "commands": _Commands(loaders)})

        def list_commands(self, ctx: Any) -> list[str]:
            return list(self.commands)

    return LazyGroup
