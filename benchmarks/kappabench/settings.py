"""The two settings of the page: the full one, and one of seconds that exercises every line for continuous integration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Sizes and repetitions of every section."""

    name: str
    # κ: time and error
    kappa_d: tuple[int, ...]
    kappa_ratios: tuple[float, ...]  # n/d
    kappa_repeats: int
    mpmath_levels: int
    # κ: failures
    failure_d: int
    failure_ratios: tuple[float, ...]
    failure_mpmath_levels: int
    # κ: very large spectra
    large_d: tuple[int, ...]
    # square root
    root_d: tuple[int, ...]
    quadrature_d: int
    quadrature_ratios: tuple[float, ...]
    wide_reference: bool  # the 40-digit square root of a spectrum of twelve decades, which takes ten seconds
    tolerance_d: int
    # algebra
    pairs_d: tuple[int, ...]
    eigen_d: tuple[int, ...]
    eigen_repeats: int
    # growth: largest size of each family, from 256 (or its quarter) in steps of 4 or 2
    growth_from: int
    growth_kappa: int
    growth_numpy: int
    growth_mpmath: int
    growth_root: int
    growth_published: int
    growth_pairs: int
    growth_eigen: int
    # quadrature rule
    rule_d: int
    rule_nodes: int
    # peers
    peer_points: int
    peer_d: tuple[int, ...]


FULL = Setting(
    name="full",
    kappa_d=(256, 1024, 3072),
    kappa_ratios=(0.1, 1.0, 10.0),
    kappa_repeats=9,
    mpmath_levels=2,
    failure_d=256,
    failure_ratios=(0.1, 0.3, 0.9, 1.0, 1.1, 3.0, 10.0),
    failure_mpmath_levels=10,
    large_d=(100_000, 1_000_000),
    root_d=(256, 3072),
    quadrature_d=8,
    quadrature_ratios=(0.5, 4.0),
    wide_reference=True,
    tolerance_d=256,
    pairs_d=(768, 3072),
    eigen_d=(1024, 3072),
    eigen_repeats=3,
    growth_from=256,
    growth_kappa=262_144,
    growth_numpy=65_536,
    growth_mpmath=4096,
    growth_root=16_384,
    growth_published=2048,
    growth_pairs=4096,
    growth_eigen=2048,
    rule_d=1024,
    rule_nodes=2048,
    peer_points=1000,
    peer_d=(16, 256),
)

SMALL = Setting(
    name="small",
    kappa_d=(64, 128),
    kappa_ratios=(0.5, 4.0),
    kappa_repeats=3,
    mpmath_levels=1,
    failure_d=64,
    failure_ratios=(0.3, 1.0, 3.0),
    failure_mpmath_levels=2,
    large_d=(20_000,),
    root_d=(64,),
    quadrature_d=6,
    quadrature_ratios=(2.0,),
    wide_reference=False,
    tolerance_d=64,
    pairs_d=(128,),
    eigen_d=(128,),
    eigen_repeats=2,
    growth_from=64,
    growth_kappa=1024,
    growth_numpy=256,
    growth_mpmath=256,
    growth_root=256,
    growth_published=256,
    growth_pairs=256,
    growth_eigen=256,
    rule_d=64,
    rule_nodes=256,
    peer_points=50,
    peer_d=(8,),
)


def sizes(first: int, last: int, step: int = 4) -> list[int]:
    """first, first·step, … up to last, which always ends the list."""
    out = []
    d = first
    while d < last:
        out.append(d)
        d *= step
    return [*out, last]
