"""Measure the shape of the code: lengths, formatter escapes, bare tuples, docstrings. ``python tools/house.py`` lists violations.

``house-debts.txt`` beside this file names the violations that are still allowed, one per line: ``measure place``. The tests fail
for a violation that is not on the list, and for a line whose violation is gone: the list can only become shorter.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python/kappaflow"
COMMANDS = PACKAGE / "cli"
REPORTS = PACKAGE / "report"
ROOMS = ("cpp", "python", "tests", "benchmarks", "examples", "tools")
DEBTS = Path(__file__).with_name("house-debts.txt")

LONGEST_FILE = 500
LONGEST_BODY = 80
LONGEST_BODY_OF_A_COMMAND = 60
#: Fields of a result that may be given without their names when it is made.
UNNAMED_FIELDS = 3
#: Largest number of formatter escapes in all files that are not on the list of debts; for aligned tables of numbers.
ESCAPES = 19
ESCAPE = re.compile(r"(?:fmt|yapf): ?" + r"(?:off|skip)|clang-format" + r" off")  # in two pieces: this file has none
RETURNS_ARRAYS = re.compile(r"Array|ndarray")
#: A shape in a docstring: (S, d), (k,), (S), (*shape), or the word.
SHAPE = re.compile(r"\([^()]*,[^()]*\)|\([A-Za-z]\)|\(\*\w+\)|\bshapes?\b|broadcast")
RAISES_HEADING = re.compile(r"^Raises\n------$", flags=re.MULTILINE)
#: Other ways to document errors: a sentence, Google's colon, a Sphinx field.
RAISES_OTHERWISE = re.compile(r"\bRaises\b(?!\n------)|^\s*:raises\b", flags=re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Offenders = dict[str, str]  # place -> what is wrong there


@cache
def sources(*suffixes: str) -> tuple[Path, ...]:
    """Files of the project with these suffixes."""
    return tuple(path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in suffixes)


def name_of(path: Path) -> str:
    """Path from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    """Syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """All functions of a module with their dotted names, those inside classes and functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        deeper = f"{prefix}{node.name}." if isinstance(node, Function | ast.ClassDef) else prefix
        yield from functions(node, deeper)


def public_functions() -> Iterator[tuple[str, Path, Function]]:
    """Functions and methods that users may call: no leading underscore in the name, the class or the module."""
    for path in sources(".py"):
        if PACKAGE not in path.parents or re.match(r"_(?!_)", path.name):
            continue
        tree = parse(path)
        inner = {id(child) for _, outer in functions(tree) for child in ast.walk(outer) if child is not outer}
        for name, node in functions(tree):
            overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
            if id(node) not in inner and not overload and not any(part.startswith("_") for part in name.split(".")):
                yield f"{name_of(path)}:{name}", path, node


# ---------------------------------------------------------------- lengths
def long_files() -> Offenders:
    """Python and C++ files, tests included, that are too long."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(".py", ".cpp", ".hpp")}
    return {name_of(path): f"{lines} lines" for path, lines in lengths.items() if lines > LONGEST_FILE}


def cpp_bodies(text: str) -> Iterator[tuple[str, int]]:
    """Heads and lengths of the function bodies of a formatted C++ file: a head at the left margin, a brace that closes there.

    A class, whose brace closes with a semicolon, is none; a namespace is closed with its name behind the brace.
    """
    lines = text.splitlines()
    head = 0
    for number, line in enumerate(lines):
        if line == "}":
            opening = next(place for place in range(head, number + 1) if lines[place].endswith(("{", "}")))
            yield lines[head], max(number - opening - 1, 0)
        elif re.match(r"[^\s}#/]", line) and not line.startswith(("namespace", "template")):
            head = number


def long_bodies() -> Offenders:
    """Functions whose body is too long: the lines after the signature, docstring included."""
    wrong = {}
    for path in sources(".py"):
        limit = LONGEST_BODY_OF_A_COMMAND if COMMANDS in path.parents else LONGEST_BODY
        for name, node in functions(parse(path)):
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1
            if lines > limit:
                wrong[f"{name_of(path)}:{name}"] = f"{lines} lines, {limit} allowed"
    for path in sources(".cpp", ".hpp"):
        for head, lines in cpp_bodies(path.read_text(encoding="utf-8")):
            if lines > LONGEST_BODY:
                wrong[f"{name_of(path)}:{re.split(r'[(]', head)[0].split()[-1]}"] = f"{lines} lines"
    return wrong


def escapes() -> Offenders:
    """Files that switch the formatter off, and how often."""
    counts = {
        path: len(ESCAPE.findall(path.read_text(encoding="utf-8"))) for path in sources(".py", ".cpp", ".hpp", ".j2")
    }
    return {name_of(path): str(count) for path, count in counts.items() if count}


# ---------------------------------------------------------------- signatures and docstrings
def is_bare_tuple(annotation: ast.expr) -> bool:
    """Whether a type is a tuple of a fixed number of things, alone or in a union; ``tuple[X, ...]`` is a sequence."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return is_bare_tuple(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp):
        return is_bare_tuple(annotation.left) or is_bare_tuple(annotation.right)
    if isinstance(annotation, ast.Name):
        return annotation.id == "tuple"
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) not in ("tuple", "Tuple"):
        return False
    elements = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return not any(isinstance(element, ast.Constant) and element.value is Ellipsis for element in elements)


def bare_tuples() -> Offenders:
    """Public functions that return a tuple whose elements have no names."""
    return {
        place: ast.unparse(node.returns)
        for place, _, node in public_functions()
        if node.returns is not None and is_bare_tuple(node.returns)
    }


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass or a named tuple."""
    decorators = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    return decorators or any(ast.unparse(base) == "NamedTuple" for base in node.bases)


def unnamed_fields(tree: ast.AST, records: set[str]) -> Iterator[ast.Call]:
    """Calls that make a record from more than a few arguments without names; ``Record(*function())`` takes what C++ returns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > UNNAMED_FIELDS:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in records:
                yield node


def positional() -> Offenders:
    """Records of the package that are made from more than three fields without their names."""
    trees = {path: parse(path) for path in sources(".py") if PACKAGE in path.parents}
    records = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and is_record(node)
    }
    return {
        f"{name_of(path)}:{ast.unparse(call.func)}": f"{len(call.args)} fields without their names"
        for path, tree in trees.items()
        for call in unnamed_fields(tree, records)
    }


def undocumented() -> Offenders:
    """Public functions without a docstring."""
    return {place: "no docstring" for place, _, node in public_functions() if not ast.get_docstring(node)}


def own_raises(function: ast.AST) -> Iterator[ast.Raise]:
    """``raise`` statements of a function itself, not of those inside it; a bare ``raise`` passes on what it caught."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" not in ast.unparse(node.exc):
            yield node
        yield from own_raises(node)


def outside_of_try(node: ast.AST) -> Iterator[ast.AST]:
    """What a function does, but for the bodies of ``try`` statements that catch something."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Try) and child.handlers:
            for part in (*child.handlers, *child.orelse, *child.finalbody):
                yield from outside_of_try(part)
            continue
        yield child
        yield from outside_of_try(child)


def raises_indirectly(tree: ast.Module, node: Function, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function checks an argument by `_checks`, or calls a private function of its module that raises."""
    checks = {
        alias.asname or alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").endswith("_checks")
        for alias in statement.names
    }
    private = {statement.name: statement for statement in tree.body if isinstance(statement, Function)}
    called = {
        child.func.id
        for child in outside_of_try(node)
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name)
    }
    helpers = [private[name] for name in called - seen if name in private and name.startswith("_")]
    return bool(called & checks) or any(
        any(own_raises(helper)) or raises_indirectly(tree, helper, seen | called) for helper in helpers
    )


def raises() -> Offenders:
    """Public functions that raise and have no NumPy section "Raises", or say it otherwise; commands report errors to people.

    A function raises if it has a ``raise`` statement, checks an argument by `_checks`, or calls a private function of its module
    that does either. The reports raise what their data are refused with, and are left out of the indirect cases.
    """
    wrong = {}
    for place, path, node in public_functions():
        text = ast.get_docstring(node) or ""
        if RAISES_OTHERWISE.search(text):
            wrong[place] = "errors are documented, but not in a section with the heading Raises"
        elif COMMANDS not in path.parents and any(own_raises(node)) and not RAISES_HEADING.search(text):
            wrong[place] = "it raises and has no section Raises"
        elif {COMMANDS, REPORTS} & set(path.parents) or RAISES_HEADING.search(text):
            continue
        elif raises_indirectly(parse(path), node):
            wrong[place] = "what it calls raises, and it has no section Raises"
    return wrong


def shapeless() -> Offenders:
    """Public functions that return arrays and whose docstring says no shape; methods that override one may leave it to that."""
    classes = [node for path in sources(".py") for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {ast.unparse(base).split("[")[0] for base in node.bases} for node in classes}
    methods = {node.name: {part.name for part in node.body if isinstance(part, Function)} for node in classes}

    def overrides(owner: str, method: str) -> bool:
        return any(method in methods.get(base, ()) or overrides(base, method) for base in bases.get(owner, ()))

    wrong = {}
    for place, path, node in public_functions():
        name = place.split(":")[1]
        if {COMMANDS, REPORTS} & set(path.parents) or node.returns is None:
            continue
        if "." in name and overrides(*name.rsplit(".", 1)):
            continue
        if RETURNS_ARRAYS.search(ast.unparse(node.returns)) and not SHAPE.search(ast.get_docstring(node) or ""):
            wrong[place] = "it returns arrays, and its docstring says no shape"
    return wrong


MEASURES = {
    "file": long_files,
    "body": long_bodies,
    "escape": escapes,
    "tuple": bare_tuples,
    "positional": positional,
    "docstring": undocumented,
    "raises": raises,
    "shape": shapeless,
}


def debts(measure: str) -> set[str]:
    """Places that the list still allows."""
    lines = (line.split(maxsplit=1) for line in DEBTS.read_text(encoding="utf-8").splitlines() if line.strip())
    return {place.strip() for name, place in lines if name == measure}


def verdict(measure: str, offenders: Offenders, allowed: set[str]) -> list[str]:
    """The mismatches: violations that are not allowed, and allowed places without a violation."""
    new = [f"{place}: {wrong}" for place, wrong in offenders.items() if place not in allowed]
    if measure == "escape" and sum(int(offenders[place]) for place in offenders if place not in allowed) <= ESCAPES:
        new = []  # the limit holds for all files together
    paid = [
        f"{place}: offends no more, remove its line from {name_of(DEBTS)}" for place in sorted(allowed - set(offenders))
    ]
    return new + paid


def pay() -> None:
    """Remove the places without a violation from the list of debts; nothing is added. Also resolves merge conflicts."""
    offending = {f"{measure} {place}" for measure, find in MEASURES.items() for place in find()}
    kept = [line for line in dict.fromkeys(DEBTS.read_text(encoding="utf-8").splitlines()) if line in offending]
    DEBTS.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def main() -> int:
    """Print every violation, and whether it is on the list; with ``--pay``, shorten the list first."""
    if "--pay" in sys.argv[1:]:
        pay()
    for measure, find in MEASURES.items():
        allowed = debts(measure)
        for place, wrong in find().items():
            print(f"{measure:<10}{place}  {wrong}{'' if place in allowed else '  NOT ON THE LIST'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
