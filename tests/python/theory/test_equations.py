"""Equations of docs/theory.md: numbered in order, and every number that code cites is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
THEORY = (ROOT / "docs/theory.md").read_text(encoding="utf-8")
SOURCES = [
    path
    for folder, endings in (("cpp", ("cpp", "hpp")), ("python", ("py", "cpp", "hpp")), ("tests/cpp", ("cpp", "hpp")))
    for ending in endings
    for path in sorted((ROOT / folder).rglob(f"*.{ending}"))
]
NUMBER = r"\((\d{1,2})\)"
LIST = rf"{NUMBER}(?:(?:,|,? and|,? to)\s+{NUMBER})*"
CITATION = re.compile(rf"(?:theory\.md|Equations?|equations?)\s+({LIST})")


def joined(text: str) -> str:
    """The text on one line, without the marks that begin lines of a comment."""
    return re.sub(r"\s*\n\s*(?:///?<?|#)?\s*", " ", text)


def cited(text: str) -> list[int]:
    """Numbers of the equations that a source file cites, as "theory.md (5), (7) and (9)" or "equation (5)"."""
    return [int(number) for match in CITATION.finditer(joined(text)) for number in re.findall(NUMBER, match.group(1))]


def test_every_displayed_equation_has_its_number_and_an_anchor() -> None:
    displays = re.findall(r"^\$\$\n(.*?)^\$\$$", THEORY, flags=re.DOTALL | re.MULTILINE)
    numbers = [int(number) for display in displays for number in re.findall(r"\\tag\{(\d+)\}", display)]
    assert numbers == list(range(1, len(displays) + 1))
    assert [int(number) for number in re.findall(r'<a id="eq-(\d+)"></a>\n\n\$\$', THEORY)] == numbers


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (9, r"t = \kappa \left( 1 - \frac{\mathrm{df1}(\kappa)}{m} \right)"),
        (10, r"c + \sum_i w_i \frac{s_k}{s_k + \kappa_i}"),
        (23, r"K_{ij} = \kappa_i \kappa_j \frac{q_{ij}}{1 - q_{ij} D_{ij}}"),
        (29, r"\left( q_{ij} - \frac1m \right)"),
        (40, r"g_k = \frac{1}{t + \tilde s_k}"),
        (50, r"x(v) = v \left( 1 +"),
    ],
)
def test_equations_that_code_cites_most_keep_their_numbers(number: int, part: str) -> None:
    """A new equation moves those after it: then every citation in cpp/ and python/ has to be looked at again."""
    (display,) = re.findall(rf'<a id="eq-{number}"></a>\n\n\$\$\n(.*?)\n\$\$', THEORY, flags=re.DOTALL)
    assert part in display


def test_references_within_the_page_lead_to_their_equation() -> None:
    links = re.findall(r"\[\((\d+)\)\]\(#eq-(\d+)\)", THEORY)
    last = len(re.findall(r"\\tag\{", THEORY))
    assert len(links) > 40
    assert all(shown == target and 1 <= int(shown) <= last for shown, target in links)


def test_every_equation_that_code_cites_is_there() -> None:
    last = len(re.findall(r"\\tag\{", THEORY))
    citations = {path.relative_to(ROOT): cited(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert sum(map(len, citations.values())) > 50
    missing = {str(path): wrong for path, numbers in citations.items() if (wrong := [n for n in numbers if n > last])}
    assert not missing


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix != ".py"], ids=lambda path: path.name)
def test_comments_of_the_core_say_where_their_equation_numbers_lead(path: Path) -> None:
    comments = "\n".join(re.findall(r"//.*", path.read_text(encoding="utf-8")))
    assert not re.findall(rf"(?<!\w){NUMBER}", CITATION.sub("", joined(comments)))


def test_citations_are_read_over_line_ends() -> None:
    text = "/// The fluctuation, theory.md (9), (11)\n  /// and (12), sums x(3). Equation\n/// (400)."
    assert cited(text) == [9, 11, 12]
    assert cited("equations (7) to (8) of docs/theory.md, (10)") == [7, 8]
