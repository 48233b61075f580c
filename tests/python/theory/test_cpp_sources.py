"""The C++ sources keep their shape: includes without a circle, and header examples that are compiled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("cpp/include/kappaflow", "cpp/src", "python/bindings", "tests/cpp")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).iterdir()) if path.suffix in (".cpp", ".hpp")]
HEADERS = [path for path in SOURCES if path.parent.name == "kappaflow"]


def test_includes_have_no_circle() -> None:
    names = {path.name: path for path in SOURCES}
    includes = {
        name: {
            Path(included).name
            for included in re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text("utf-8"), flags=re.MULTILINE)
        }
        & names.keys()
        for name, path in names.items()
    }
    assert includes["splits.hpp"] >= {"mode_covariance.hpp", "renormalization.hpp"}
    assert "splits.hpp" not in includes["empirical.hpp"]
    while includes:  # leaves go until nothing is left
        leaves = {name for name, needs in includes.items() if not needs & includes.keys()}
        assert leaves, f"a circle among {sorted(includes)}"
        includes = {name: needs for name, needs in includes.items() if name not in leaves}


def plain(line: str) -> str:
    return re.sub(r"\s+", " ", line.split("//")[0]).strip()


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_examples_of_headers_are_compiled(path: Path) -> None:
    compiled = {plain(line) for line in (ROOT / "tests/cpp/test_examples.cpp").read_text("utf-8").splitlines()}
    examples = re.findall(r"^/// {5}(\S.*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert not [line for line in examples if plain(line) not in compiled]


def test_most_classes_have_an_example() -> None:
    examples = [path.name for path in HEADERS if re.search(r"^/// {5}\S", path.read_text("utf-8"), re.MULTILINE)]
    assert len(examples) >= 8, examples
