"""Sessions for developers: `nox` runs lint, tests and the embedding consumer; `nox -s page` regenerates the benchmark page."""

import nox

nox.options.sessions = ["lint", "tests", "consumer"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, types and stubs."""
    session.install(".[lint,networks,distributed]", "cmeel-eigen>=3.4,<5")
    session.run("bash", "tools/lint.sh", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """C++ and Python tests, on every core."""
    session.install(".[test]")
    session.run("pytest", *(session.posargs or ["-n", "logical", "--dist", "worksteal"]))


@nox.session
def slow(session: nox.Session) -> None:
    """Experiments at their full size, minutes each."""
    session.install(".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    session.install("cmake>=3.25", "ninja", "cmeel-eigen>=3.4,<5", "cmeel-boost>=1.83")
    session.run("bash", "tools/sanitize.sh", external=True)


@nox.session
def consumer(session: nox.Session) -> None:
    """A separate project builds and runs against the installed and the embedded library."""
    session.install("cmake>=3.25", "ninja", "cmeel-eigen>=3.4,<5")
    session.run("bash", "tests/cpp/consumer/run.sh", external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed, achieved error and work against the published recipe and vectorised NumPy."""
    session.install(".[bench]")
    session.run("pytest", "benchmarks", "--benchmark-columns=min,median,rounds", *session.posargs)


@nox.session
def page(session: nox.Session) -> None:
    """Measure everything and rewrite docs/benchmarks.md, its figures and the README's table; minutes on a quiet machine."""
    session.install(".[bench]")
    session.run("python", "benchmarks/page.py", *session.posargs)
