"""Objects of the core shared by threads, handed to strangers, copied and pickled."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow import _core
from kappaflow._recent import Recent

THREADS = 8


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    """Threads change places at almost every instruction, so that a race shows within a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*jobs: Callable[[], Any]) -> list[Any]:
    """The results of jobs that start at the same moment, each in a thread of its own; the first error is raised."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


def samples(seed: int = 0, rows: int = 60) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, 5)) * [3.0, 2.0, 1.0, 0.5, 0.2]


@pytest.mark.parametrize("law", ["gaussian", "elliptical", "empirical"])
def test_one_ensemble_answers_many_threads(law: str) -> None:
    splits = kf.Splits(kf.Population.from_samples(samples(), profiles=60), 20, law=law)
    maps = [splits.denoiser(sigma) for sigma in np.geomspace(0.1, 4, 7)]
    alone = [(splits.expectation(f), splits.mode_variance(f)) for f in maps]
    fresh = kf.Splits(kf.Population.from_samples(samples(), profiles=60), 20, law=law)

    def answers(first: int) -> None:
        for step in range(40):
            k = (first + step) % len(maps)
            np.testing.assert_allclose(fresh.expectation(maps[k]), alone[k][0], rtol=1e-9)
            np.testing.assert_allclose(fresh.mode_variance(maps[k]), alone[k][1], rtol=1e-6)

    together(*(lambda first=first: answers(first) for first in range(THREADS)))  # type: ignore[misc]


def test_recent_values_are_computed_once_and_dropped_in_order() -> None:
    recent: Recent[int] = Recent(2)
    calls: list[int] = []

    def compute(key: int) -> int:
        calls.append(key)
        return 10 * key

    assert set(together(*(lambda: recent.get(1, lambda: compute(1)) for _ in range(THREADS)))) == {10}
    assert calls == [1]
    assert [recent.get(key, lambda key=key: compute(key)) for key in (2, 1, 3)] == [20, 10, 30]  # type: ignore[misc]
    assert len(recent) == 2
    assert recent.get(1, lambda: compute(1)) == 10
    assert recent.get(2, lambda: compute(2)) == 20  # was the oldest
    assert calls == [1, 2, 3, 2]
    assert len(pickle.loads(pickle.dumps(recent))) == 0


def test_recent_raises_an_error_and_tries_again() -> None:
    recent: Recent[int] = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", lambda: 5) == 5


def test_moments_of_many_threads_are_those_of_all_blocks() -> None:
    moments, other = kf.Moments(5), kf.Moments(5)
    blocks = [samples(seed, rows=40) for seed in range(THREADS)]

    def add(block: Any) -> None:
        for start in range(0, len(block), 4):
            moments.add(block[start : start + 4])
            other.add(block[start : start + 4])
            assert moments.count >= 4
            assert np.isfinite(moments.mean).all()
            assert np.linalg.eigvalsh(moments.covariance()).min() > -1e-12

    together(*(lambda block=block: add(block) for block in blocks))  # type: ignore[misc]
    everything = np.concatenate(blocks)
    assert moments.count == len(everything)
    np.testing.assert_allclose(moments.mean, everything.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(moments.covariance(), np.cov(everything.T, bias=True), atol=1e-12)
    # each merges the other, and one merges itself: no deadlock
    together(lambda: moments.merge(other), lambda: other.merge(moments))
    before = moments.covariance()
    moments.merge(moments)
    np.testing.assert_allclose(moments.covariance(), before, rtol=1e-12)


def test_numbers_that_another_thread_changes_are_checked_and_used_once() -> None:
    """The answer is that of some mixture of numbers, or an error: never a read outside of the arrays."""
    splits = _core.Splits(_core.Spectrum(np.arange(1.0, 9.0), np.ones(8)), 20, _core.Mean.known, _core.Terms.full)
    covariance = splits.covariance(_core.SpectralFunction.denoiser(1.0), _core.SpectralFunction.denoiser(1.0))
    spectrum = _core.Spectrum(np.arange(1.0, 9.0), np.ones(8))
    modes, noise = np.zeros(200, np.int32), np.linspace(1, 2, 4000)
    stop = threading.Event()

    def disturb() -> None:
        rng = np.random.default_rng(0)
        while not stop.is_set():
            modes[:] = rng.choice([0, 7, 2_000_000_000], len(modes))
            noise[:] = rng.choice([np.nan, -1.0, 1.0, 2.0, 3.0], len(noise))

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(300):
            for call in (lambda: covariance.matrix(modes), lambda: _core.solve_kappa(noise, spectrum, 20.0)):
                with contextlib.suppress(ValueError):
                    call()
    finally:
        stop.set()
        thread.join()


def empirical(seed: int = 0, modes: int = 5, rows: int = 60, n: float = 20.0) -> Any:
    profiles = np.ascontiguousarray(samples(seed, rows)[:, :modes], dtype=np.float32)
    return _core.EmpiricalLaw(
        profiles, (profiles.astype(float) ** 2).mean(axis=0), n, _core.Mean.known, _core.LinearAlgebra()
    )


@pytest.mark.parametrize("other", [{"modes": 3}, {"rows": 30}, {"n": 21.0}, {"seed": 1}, {}])
def test_a_solution_of_another_law_is_an_error(other: dict[str, Any]) -> None:
    law, foreign = empirical(), empirical(**other).solve(np.array([1.0, 2.0]))
    one, x = np.ones(2), np.ones(5)
    calls: dict[str, Callable[[Any], Any]] = {
        "expectation": lambda nodes: law.expectation(nodes, one, 0.0),
        "mode_covariance": lambda nodes: law.mode_covariance(nodes, one, one),
        "output_covariance": lambda nodes: law.output_covariance(nodes, one, one, x[None], x[None], np.ones((5, 1))),
        "spread": lambda nodes: law.spread(nodes, one, one, x),
        "influence": lambda nodes: law.influence(nodes, one, x),
        "ladder_covariance": lambda nodes: law.ladder_covariance(nodes, one, one, x, x),
    }
    own = law.solve(np.array([1.0, 2.0]))
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"EmpiricalLaw::{name}: nodes must be a solution of this law"):
            call(foreign)
        assert np.isfinite(call(own)).all()


@pytest.mark.parametrize("name", sorted(n for n, v in vars(_core).items() if type(v).__name__ == "pybind11_type"))
def test_no_object_exists_before_it_is_built(name: str) -> None:
    """What ``__new__`` alone would give holds memory that nothing has written."""
    kind = getattr(_core, name)
    with pytest.raises(TypeError, match="is not safe"):
        kind.__new__(kind)
    with pytest.raises(TypeError):
        object.__new__(kind)


def test_values_are_copied_and_pickled() -> None:
    f = kf.sampling_map(0.1, 80.0, support=(1e-3, 10.0))
    spectrum = _core.Spectrum(np.array([2.0, 0.0, 1.0]), np.array([1.0, 3.0, 2.0]))
    for clone in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        g, other = clone(f), clone(spectrum)
        assert (g.constant, g.error_bound) == (f.constant, f.error_bound)
        np.testing.assert_array_equal(g.shifts, f.shifts)
        np.testing.assert_array_equal(g.weights, f.weights)
        np.testing.assert_array_equal(other.eigenvalues, spectrum.eigenvalues)
        np.testing.assert_array_equal(other.multiplicity, spectrum.multiplicity)


def test_a_pickle_with_other_contents_is_an_error() -> None:
    f = _core.SpectralFunction.denoiser(1.0)
    build, (constant, _, shifts, bound) = f.__reduce__()
    with pytest.raises(ValueError, match="weights must have one entry for each shift"):
        build(constant, np.ones(3), shifts, bound)


def test_a_copy_of_moments_lives_on_its_own() -> None:
    moments = kf.Moments(5)
    moments.add(samples())
    for clone in (copy.copy(moments), copy.deepcopy(moments)):
        clone.add(samples(1))
        assert (clone.count, moments.count) == (120, 60)


@pytest.mark.parametrize("build", [empirical, lambda: empirical().solve(np.ones(1)), _core.LinearAlgebra])
def test_what_cannot_be_pickled_says_so(build: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(build())
