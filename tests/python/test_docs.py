"""The README's examples run, its C++ example is the one that CI builds, and doctests hold."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import kappaflow as kf
import kappaflow._layout
import kappaflow.functions
import kappaflow.lens.layout
import kappaflow.lens.trajectories.schedules
import kappaflow.maps
import kappaflow.models.checkpoint
import kappaflow.models.layout
import kappaflow.moments
import kappaflow.pilot.law_curve
import kappaflow.sampling
import kappaflow.validation.linear.experiment
import kappaflow.validation.linear.statistics
import kappaflow.validation.metrics.association
import kappaflow.validation.metrics.neighbours

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = blocks("python")
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert "(8, 8)" in capsys.readouterr().out


def test_examples_of_the_page_on_networks_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "networks.md", "exec"), {})
    assert capsys.readouterr().out.count("torch.Size([8, 1, 4, 4])") == 2


def test_example_of_the_page_on_plots_writes_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/plot.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "plot.md", "exec"), {})
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    assert all(f"`kf.plot.{name}`" in page for name in kf.plot.__all__ if name != "style")


def test_cpp_example_is_the_consumer_that_ci_builds_and_runs() -> None:
    (example,) = blocks("cpp")
    assert example.strip() == (ROOT / "tests/cpp/consumer/main.cpp").read_text(encoding="utf-8").strip()


def test_readme_has_both_commands() -> None:
    commands = re.findall(r"<!-- command: ([\w-]+) -->\n```bash\n(.+)\n```", README)
    assert [name for name, _ in commands] == ["install-and-run", "test"]


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"], ids=lambda page: page.name
)
def test_links_within_the_documentation_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_errata_name_tests_that_are_there() -> None:
    folders = (ROOT / "tests/python/lens", ROOT / "tests/python/models")
    tests = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("test_*.py"))
    named = [
        name
        for page in (ROOT / "docs").rglob("lens*/*.md")
        for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))
    ]
    named += re.findall(r"`(test_\w+)`", (ROOT / "docs/lens.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert not [name for name in named if f"def {name}(" not in tests]


MODULES = [
    kappaflow._layout,
    kappaflow.functions,
    kappaflow.lens.layout,
    kappaflow.lens.trajectories.schedules,
    kappaflow.maps,
    kappaflow.moments,
    kappaflow.pilot.law_curve,
    kappaflow.validation.linear.experiment,
    kappaflow.validation.metrics.association,
    kappaflow.validation.metrics.neighbours,
    kappaflow.models.checkpoint,
    kappaflow.models.layout,
    kappaflow.sampling,
    kappaflow.validation.linear.statistics,
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_doctests(module: object) -> None:
    result = doctest.testmod(module, extraglobs={})  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
