"""Speed of the empirical law for images in groups, against the same number of independent images, in one run.

    python benchmarks/groups.py [--small]

For groups of 2, 4 and 8 members whose coordinates correlate, the job is that of a prediction at one n: the sampling map, its gain,
the disagreement of 64 seeds in total and by 8 eigenbands, the average over seeds, and the matrix of mode pairs. Times are processor
times of this process, the smaller of two.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import kappaflow as kf


def population(images: int, modes: int, members: int) -> kf.Population:
    """Groups of `members` whose coordinates correlate by 0.7 and whose contrast varies."""
    rng = np.random.default_rng(members)
    count = images // members
    shared, own = rng.standard_normal((count, 1, modes)), rng.standard_normal((count, members, modes))
    rows = (np.sqrt(0.7) * shared + np.sqrt(0.3) * own) * rng.gamma(2.0, 0.5, (count, 1, 1)) ** 0.5
    rows *= np.arange(1, modes + 1) ** -0.8
    labels = np.repeat(np.arange(count), members)
    return kf.Population.from_samples(rows.reshape(-1, modes), profiles=images, groups=labels)


def seconds(data: kf.Population, n: int) -> dict[str, float]:
    """Processor time of each part of the job."""
    seeds = 80 * np.random.default_rng(0).standard_normal((64, data.dimension))
    times: dict[str, float] = {}

    def add(name: str, start: float) -> float:
        now = time.process_time()
        times[name] = now - start
        return now

    data.independent.radial_scales.at(1.0)  # tables of the elliptical law that are made once for all n
    start = time.process_time()
    splits = kf.Splits(data, n, law="empirical", population_is="exact")
    f = splits.sampling_map()
    splits.expectation(f)
    start = add("gain", start)
    splits.disagreement(f, seeds)
    start = add("seeds", start)
    splits.disagreement(f, seeds, bands=8)
    start = add("bands of seeds", start)
    splits.mean_disagreement(f, input_sigma=80.0, bands=8)
    start = add("average", start)
    splits.mode_variance(f)
    add("mode pairs", start)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a setting of seconds that exercises every line")
    options = parser.parse_args()
    images, modes, n = (800, 24, 200) if options.small else (4096, 192, 1024)
    print(f"{images} images, {modes} modes, n = {n}: seconds, and times those of independent images")
    base: dict[str, float] = {}
    for members in (1, 2, 4, 8):
        data = population(images, modes, members)
        first, second = seconds(data, n), seconds(data, n)
        found = {name: min(first[name], second[name]) for name in first}
        found["total"] = sum(found.values())
        base = base or found
        parts = ", ".join(f"{name} {value:.2f} ({value / base[name]:.2f})" for name, value in found.items())
        print(f"groups of {members}: {parts}", flush=True)


if __name__ == "__main__":
    main()
