"""The layout holds: imports only go down, siblings do not import one another, lazy imports name the package they wait for.

Its measures hold too: short files and functions, few formatter escapes, named results, documented functions (``tools/house.py``).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import house
import kappaflow

PACKAGE = Path(kappaflow.__file__).parent
#: Rooms from the ground up. Modules that lie in no room are the theory; a room imports rooms below it, and itself.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("theory",),
    ("laws", "datasets"),
    ("models",),
    ("consistency", "validation", "lens"),
    ("pilot",),
    ("report",),
    ("plot",),
    ("cli",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: The theory uses the registry of laws, and the package's front lists the main functions.
ALLOWED_UP = {("splits", "laws"), ("sample_size", "laws"), ("", "consistency"), ("__main__", "cli")}
LAZY = "# lazy: "


@dataclass(frozen=True)
class Import:
    """One import of a module of the package: its location, its target, and whether it is inside a function."""

    source: str
    line: int
    target: str
    inside: bool
    text: str


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of the package's own modules in a file, TYPE_CHECKING ones left out: they draw no arrow at run time."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    source = module_name(path)
    package = source.split(".") if path.name == "__init__.py" else source.split(".")[:-1]
    lines = text.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in typing_only:
            continue
        if node.level:
            target = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
        elif (node.module or "").split(".")[0] == "kappaflow":
            target = (node.module or "").split(".")[1:]
        else:
            continue
        base = ".".join(part for part in target if part)
        for alias in node.names:
            whole = f"{base}.{alias.name}" if base else alias.name
            name = whole if is_module(whole) else base
            yield Import(source, node.lineno, name, id(node) in inside, lines[node.lineno - 1])


def is_module(name: str) -> bool:
    place = PACKAGE.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or place.with_suffix(".pyi").exists() or (place / "__init__.py").exists()


def room(module: str) -> str:
    first = module.split(".")[0]
    return first if first in FLOOR_OF else "theory"


ALL = [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]


def test_arrows_go_down_only() -> None:
    wrong = []
    for found in ALL:
        here, there = room(found.source), room(found.target)
        if here == there or (found.source, there) in ALLOWED_UP:
            continue
        if FLOOR_OF[there] >= FLOOR_OF[here]:
            wrong.append(f"{found.source}:{found.line} ({here}) imports {found.target} ({there})")
    assert len(ALL) > 300
    assert not wrong, "\n".join(wrong)


def test_rooms_of_a_validation_do_not_know_each_other() -> None:
    """linear and network do not import each other; metrics and the modules of the room itself lie below both."""
    rooms = ("linear", "network", "metrics")
    wrong = []
    for found in ALL:
        source, target = found.source.split("."), found.target.split(".")
        if source[0] != "validation" or target[0] != "validation" or len(source) < 2 or len(target) < 2:
            continue
        here, there = source[1], target[1]
        if here != there and there in rooms and (here not in ("linear", "network") or there != "metrics"):
            wrong.append(f"{found.source}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("floor", "some"),
    [
        ("lens", {"scores", "trajectories", "receptive_field", "architecture", "learning", "teleport"}),
        ("report", {"consistency", "lens", "validation", "network", "pilot"}),
    ],
)
def test_rooms_inside_a_room_do_not_import_one_another(floor: str, some: set[str]) -> None:
    """Code that two of them need is one level up, beside them; it imports none of them. Only the front of the reports does."""
    rooms = {path.parent.name for path in (PACKAGE / floor).glob("*/__init__.py")}
    assert rooms >= some
    wrong = []
    for found in ALL:
        here, there = inner_room(found.source, floor), inner_room(found.target, floor)
        if there in rooms and here != there and room(found.source) == floor and found.source != "report":
            wrong.append(f"{found.source}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


def inner_room(module: str, floor: str) -> str:
    """The second part of the name of a module of that room, nothing for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == floor and len(parts) > 1 else ""


def test_no_circle_between_modules() -> None:
    arrows: dict[str, set[str]] = {}
    for found in ALL:
        if found.target != found.source:
            arrows.setdefault(found.source, set()).add(found.target)
    state: dict[str, int] = {}
    circles: list[str] = []

    def visit(module: str, trail: tuple[str, ...]) -> None:
        state[module] = 1
        for target in sorted(arrows.get(module, ())):
            if state.get(target) == 1:
                circles.append(" -> ".join((*trail[trail.index(target) :], target)))
            elif target not in state:
                visit(target, (*trail, target))
        state[module] = 2

    sys.setrecursionlimit(5000)
    for module in sorted(arrows):
        if module not in state:
            visit(module, (module,))
    assert not circles, "\n".join(circles)


def test_imports_inside_functions_wait_for_an_optional_package_and_say_which() -> None:
    unmarked = [
        f"{found.source}:{found.line} imports {found.target}"
        for found in ALL
        if found.inside and LAZY not in found.text
    ]
    assert not unmarked, "\n".join(unmarked)


@pytest.mark.parametrize("name", ["consistency", "validation", "lens", "models", "report", "cli", "datasets"])
def test_every_room_is_there(name: str) -> None:
    assert (PACKAGE / name / "__init__.py").is_file()


# ---------------------------------------------------------------- measures
@pytest.mark.parametrize("measure", house.MEASURES)
def test_measures_hold_where_no_debt_is_listed(measure: str) -> None:
    wrong = house.verdict(measure, house.MEASURES[measure](), house.debts(measure))
    assert not wrong, "\n".join(wrong)


def test_list_of_debts_names_measures_and_each_place_once() -> None:
    lines = house.DEBTS.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines))
    assert {line.split()[0] for line in lines} <= set(house.MEASURES)


def test_a_new_offender_and_a_paid_debt_are_both_refused() -> None:
    assert house.verdict("file", {"a.py": "501 lines"}, {"a.py"}) == []
    assert house.verdict("file", {"a.py": "501 lines"}, set()) == ["a.py: 501 lines"]
    (paid,) = house.verdict("file", {}, {"a.py"})
    assert "offends no more" in paid
    assert house.verdict("escape", {"a.py": "10", "b.py": "9"}, set()) == []
    assert len(house.verdict("escape", {"a.py": "10", "b.py": "10"}, set())) == 2


@pytest.mark.parametrize(
    ("annotation", "bare"),
    [
        ("tuple[int, str]", True),
        ("tuple[Array, Array] | None", True),
        ("'tuple[int, int]'", True),
        ("tuple", True),
        ("tuple[Array, ...]", False),
        ("list[tuple[int, str]]", False),
        ("Pair", False),
    ],
)
def test_bare_tuples_are_told_from_sequences(annotation: str, bare: bool) -> None:
    assert house.is_bare_tuple(ast.parse(annotation, mode="eval").body) is bare


def test_bodies_of_cpp_functions_are_measured() -> None:
    text = """namespace a {
template <class T>
T one(T x,
      T y) {
  for (;;) {
  }
  return x;
}

struct Plain {
  int x;
};

Plain::Plain(int x)
    : x(x) {}

int two() {
  return 2;
}
}  // namespace a
"""
    assert list(house.cpp_bodies(text)) == [("T one(T x,", 3), ("int two() {", 1)]


def test_sections_of_errors_have_one_style() -> None:
    section = "Do it.\n\nRaises\n------\nValueError\n    if not"
    assert house.RAISES_HEADING.search(section)
    assert not house.RAISES_OTHERWISE.search(section)
    for other in ("Raises ValueError if not.", "Raises:\n    ValueError", ":raises ValueError: if not"):
        assert house.RAISES_OTHERWISE.search(other)


def test_records_made_without_names_are_found() -> None:
    calls = "R(1, 2, 3)\nm.R(1, 2, 3, 4)\nR(1, 2, 3, d=4)\nR(*f())\nother(1, 2, 3, 4)\n"
    tree = ast.parse(calls + "@dataclass(frozen=True)\nclass R:\n    a: int\n")
    assert [node.lineno for node in house.unnamed_fields(tree, {"R"})] == [2]
    (record,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    assert house.is_record(record)


def test_errors_of_private_helpers_and_of_checks_count() -> None:
    text = """
from .._checks import positive as above_zero
def _deep(x):
    raise ValueError
def _helper(x):
    return _helper(x) if x else _deep(x)
def by_helper(x):
    return _helper(x)
def by_check(x):
    return above_zero("x", x)
def catches(x):
    try:
        return _helper(x)
    except ValueError:
        return None
def later(x):
    return lambda: _helper(x)
def public(x):
    return by_helper(x)
"""
    tree = ast.parse(text)
    raising = {name: house.raises_indirectly(tree, node) for name, node in house.functions(tree)}
    assert raising["by_helper"]
    assert raising["by_check"]
    assert not any(raising[name] for name in ("catches", "later", "public"))  # the last calls what is documented itself


def test_shapes_are_read_in_docstrings() -> None:
    for text in (
        "Gains (S, k) of it.",
        "(k,) gains.",
        "Answer (B), all of it.",
        "Images (*shape).",
        "of the shape of x",
    ):
        assert house.SHAPE.search(text), text
    for text in ("The gains.", "Errors (see below).", "κ(σ²) of it."):
        assert not house.SHAPE.search(text), text


def test_every_public_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for path in house.sources(".py"):
        if house.PACKAGE in path.parents:
            for node in ast.walk(house.parse(path)):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(house.name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
