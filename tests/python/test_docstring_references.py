"""Cross-references in docstrings and comments of the package lead to modules, classes and functions that exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kappaflow

PACKAGE = Path(kappaflow.__file__).parent
ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`[~!]?([\w.]+)`")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if ROLE.search(path.read_text(encoding="utf-8")))


def module_name(path: Path) -> str:
    """Dotted name of the module in a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def resolves(name: str) -> bool:
    """Whether a dotted name leads to a module, or to an attribute of one, or to a field of a class."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if hasattr(found, part):
                found = getattr(found, part)
            else:
                return part in getattr(found, "__annotations__", {})
        return True
    return False


def candidates(target: str, path: Path) -> Iterator[str]:
    """Full names that a target may stand for: relative, absolute, of this module, of one of its classes, of the package."""
    module = module_name(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    if target.startswith("."):
        dots = len(target) - len(target.lstrip("."))
        yield ".".join([*package.split(".")[: len(package.split(".")) - dots + 1], target.lstrip(".")])
        return
    yield target
    yield f"{module}.{target}"
    yield f"kappaflow.{target}"
    for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        yield f"{module}.{name}.{target}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_references_resolve(path: Path) -> None:
    targets = sorted(set(ROLE.findall(path.read_text(encoding="utf-8"))))
    assert not [target for target in targets if not any(map(resolves, candidates(target, path)))]


def test_a_wrong_reference_is_found() -> None:
    path = PACKAGE / "splits.py"
    assert any(map(resolves, candidates(".population.Population.from_samples", path)))
    assert any(map(resolves, candidates("Splits.kappa", path)))
    assert not any(map(resolves, candidates(".population.Population.from_nothing", path)))
    assert not any(map(resolves, candidates("kappaflow.consistency.prediction.nothing", path)))
