"""The page, the figures and the README's table, all from ``results.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from . import findings, tables
from . import more_tables as more
from .tables import Results

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
FIGURES = ("growth", "failures", "quadrature", "tolerance")


def load(path: Path) -> Results:
    """The results as they were measured."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def figure_file(name: str) -> str:
    """File of a figure within the folder of images."""
    return f"benchmarks-{name}.svg"


def environment(results: Results) -> str:
    """One paragraph of facts."""
    f = results["facts"]
    return (
        f"Measured on {f['date']} in the setting “{results['setting']}”: {f['processor']} ({f['architecture']}, {f['cores']} "
        f"cores), {f['system']}, Python {f['python']}, kappaflow {f['kappaflow']}, NumPy {f['numpy']}, SciPy {f['scipy']}, mpmath "
        f"{f['mpmath']}, {f['blas']} (threads: {f['blas_threads']}, kernels: {f['blas_coretype']}). The run took "
        f"{results['seconds'] / 60:.1f} minutes."
    )


def page(results: Results) -> str:
    """The whole of ``docs/benchmarks.md``."""
    template = (Path(__file__).parent / "page_template.md").read_text(encoding="utf-8")
    parts = {
        "environment": environment(results),
        "kappa": tables.kappa_table(results),
        "failure_summary": tables.failure_summary(results),
        "failures": tables.failure_table(results),
        "large": tables.large_table(results),
        "root": tables.root_table(results),
        "quadrature": tables.quadrature_table(results),
        "tolerance": tables.tolerance_table(results),
        "rule": more.rule_table(results),
        "rule_constants": more.rule_constants(results),
        "pairs": more.pairs_table(results),
        "eigen": more.eigen_table(results),
        "growth": more.growth_table(results),
        "peer_status": more.peer_status(results),
        "white": more.white_table(results),
        "atoms": more.atoms_table(results),
        "peer_kappa": more.peer_kappa_table(results),
        "command": "python benchmarks/page.py",
        "finding_kappa": findings.kappa(results),
        "finding_failures": findings.failures(results),
        "finding_root": findings.root(results),
        "finding_quadrature": findings.quadrature(results),
        "finding_tolerance": findings.tolerance(results),
        "finding_white": findings.white(results),
        **{f"figure_{name}": f"images/{figure_file(name)}" for name in FIGURES},
    }
    used = set(re.findall(r"\{\{(\w+)\}\}", template))
    if used != set(parts):
        raise KeyError(f"the template and the parts differ: {sorted(used ^ set(parts))}")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def readme(text: str, results: Results) -> str:
    """The README with the text between the markers replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README must hold one {BEGIN} before one {END}")
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return f"{head}\n\n{more.readme_section(results)}\n\n{tail}"


def write(results: Results, out: Path, readme_path: Path | None) -> list[Path]:
    """Write the page and its figures under `out`, and the README's table; returns the files written."""
    from . import figures

    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    written = [out / "benchmarks.md"]
    written[0].write_text(page(results), encoding="utf-8")
    for name, image in figures.draw(results).items():
        path = images / figure_file(name)
        path.write_bytes(image)
        written.append(path)
    if readme_path is not None:
        readme_path.write_text(readme(readme_path.read_text(encoding="utf-8"), results), encoding="utf-8")
    else:
        readme_path = out / "benchmarks" / "readme-table.md"
        readme_path.write_text(more.readme_section(results) + "\n", encoding="utf-8")
    return [*written, readme_path]
