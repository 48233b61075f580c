"""The cost of a law, counted in multiply-adds: the same data and the same job give the same number on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from ..population import Population

__all__ = ["MULTIPLY_ADDS_PER_SECOND", "Work", "seconds"]

#: Turns multiply-adds into seconds. One core of a 2023 server (AVX-512, OpenBLAS) reaches 1e10 on small products and 3e10 on
#: large ones. Fitted to the processor time of predictions with the empirical law: 0.5 s on digits (64 modes, 1797 profiles),
#: 7 s on 8×8 colour patches (192 modes, 8192 profiles). Other machines differ by a factor of about 3; the choice of a law only
#: changes where the estimate is that close to the limit.
MULTIPLY_ADDS_PER_SECOND = 1.5e10


@dataclass(frozen=True, kw_only=True)
class Work:
    """The sizes of a job, as far as the cost of a law depends on them.

    Attributes
    ----------
    modes, profiles : numbers of modes and profiles of the population
    sizes : number of training-set sizes n
    seeds : number of inputs whose disagreement is computed at each n
    images : number of inputs whose variance is computed pixel by pixel, at one n
    noise_levels : number of denoisers whose expectation is computed at each n
    mode_pairs : whether the matrix of mode pairs is computed, at one n
    """

    modes: int
    profiles: int
    sizes: int
    seeds: int
    images: int
    noise_levels: int
    mode_pairs: bool

    @classmethod
    def of(
        cls,
        population: Population,
        *,
        sizes: int = 1,
        seeds: int = 0,
        images: int = 0,
        noise_levels: int = 0,
        mode_pairs: bool = False,
    ) -> Work:
        """A job on a population."""
        return cls(
            modes=len(population.eigenvalues),
            profiles=0 if population.profiles is None else len(population.profiles),
            sizes=sizes,
            seeds=seeds,
            images=images,
            noise_levels=noise_levels,
            mode_pairs=mode_pairs,
        )


def seconds(multiply_adds: float) -> float:
    """Estimated processor time of one core, in seconds."""
    return multiply_adds / MULTIPLY_ADDS_PER_SECOND
