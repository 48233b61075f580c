"""Builds the C++ library as other projects would and runs its own tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> str:
    """A build tool of this environment, else of the PATH."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is needed to build the C++ tests: pip install 'kappaflow[test]'")
    return found


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def test_cpp_library(tmp_path: Path) -> None:
    cmake, ctest, build = tool("cmake"), tool("ctest"), str(tmp_path / "build")
    run(
        *(cmake, "-S", str(ROOT), "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"),
        *("-DCMAKE_BUILD_TYPE=Release", "-DKAPPAFLOW_BUILD_TESTS=ON", "-DKAPPAFLOW_BUILD_BENCHMARKS=ON"),
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    run(cmake, "--build", build)
    output = run(ctest, "--test-dir", build, "--no-tests=error", "--output-on-failure", "-V")
    ran = re.search(r"Running (\d+) test cases", output)
    assert ran is not None, output
    assert int(ran.group(1)) > 0
    assert "*** No errors detected" in output
    rows = run(f"{build}/benchmarks/cpp/kappaflow_benchmark").splitlines()[1:]
    assert len(rows) == 6
    assert all(float(row.split()[-1]) < 1e-13 for row in rows)  # the residual of the equation
