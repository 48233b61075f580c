"""Names of a package that are imported on first use, so that the package itself starts quickly.

A package lists them with one line::

    __getattr__, __dir__ = lazy_attributes(__name__, {"predict": "consistency.prediction"})

Every public module of the package is such a name too: ``kappaflow.lens`` imports :mod:`kappaflow.lens`. ``dir()`` and the
completion of an editor or a notebook list all of them without importing any.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_attributes"]

#: Names that a package imports for its own use; they are not listed.
_HELPERS = {"TYPE_CHECKING", "lazy_attributes"}


def lazy_attributes(
    package: str, names: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : name of the package, ``__name__``
    names : public name → module below the package that defines it
    """
    homes = dict(names or {})

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
            setattr(sys.modules[package], name, value)  # the next access does not come here
            return value
        if not name.startswith("_"):
            try:
                return importlib.import_module(f"{package}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{package}.{name}":  # the module is there and misses a package
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        import pkgutil  # lazy: a quick start

        module = sys.modules[package]
        modules = {info.name for info in pkgutil.iter_modules(module.__path__) if not info.name.startswith("_")}
        return sorted({*vars(module), *homes, *modules} - _HELPERS)

    return get, listed
