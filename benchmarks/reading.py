"""Speed of reading images, of finding copies among them, and of opening a large array, in one run.

    python benchmarks/reading.py [--small]

Images of 64 × 64 pixels are read from PNG and JPEG files and from arrays. Copies are found while images are read: the time of this
is given as a share of reading alone, and as a share of the job that most commands begin with, reading and the eigenmodes. Times are
processor times of this process, the smallest of three. The large array is a sparse file of 30 GB, of which opening reads a sample.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from kappaflow._independence import Fingerprints
from kappaflow.datasets import ImageSource, open_images
from kappaflow.population import Population

SIDE = 64


class Times(NamedTuple):
    """Seconds of reading, and of finding copies among what was read."""

    reading: float
    copies: float


def photographs(count: int) -> npt.NDArray[np.uint8]:
    """(count, 64, 64, 3) smooth images with noise, which compress about as photographs do."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return (0.8 * coarse + rng.integers(0, 52, coarse.shape)).astype(np.uint8)


def write(folder: Path, images: npt.NDArray[np.uint8]) -> Iterator[tuple[str, object]]:
    """The images as files of several kinds, by the name of the kind."""
    for suffix in ("png", "jpg"):
        (folder / suffix).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / suffix / f"{number}.{suffix}")
        yield f"{suffix} files", folder / suffix
    arrays = {"uint8 array": images, "float32 array": (images / 127.5 - 1).astype(np.float32)}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        yield name, folder / f"{name}.npy"


def read(source: ImageSource) -> Times:
    """Read all images once."""
    prints = Fingerprints(source.shape)
    reading = copies = 0.0
    start = time.process_time()
    for batch in source.batches():
        middle = time.process_time()
        prints.add(batch)
        end = time.process_time()
        reading, copies, start = reading + middle - start, copies + end - middle, time.process_time()
    prints.found()
    return Times(reading=reading, copies=copies + time.process_time() - start)


def smallest(job: Callable[[], Times]) -> Times:
    """The smallest of three times of each part."""
    return Times(*(min(parts) for parts in zip(*(job() for _ in range(3)), strict=True)))


def seconds(job: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def compare(images: npt.NDArray[np.uint8], folder: Path) -> None:
    """Print the times of each kind of files."""
    for name, data in write(folder, images):
        source = open_images(data, grey=True)
        reading, copies = smallest(lambda source=source: read(source))  # type: ignore[misc]
        whole = seconds(lambda source=source: Population.from_samples(source))  # type: ignore[misc]
        print(
            f"{name:14} reading {1e6 * reading / len(images):6.1f} µs an image; copies {copies / reading:.1%} of it, "
            f"{copies / whole:.1%} of reading and eigenmodes",
            flush=True,
        )


def open_large(path: Path, gigabytes: float) -> None:
    """Print the time of opening an array of so many 10⁹ bytes, and 1000 images of it."""
    count = int(gigabytes * 1e9) // (SIDE * SIDE * 3)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, SIDE, SIDE, 3))
    array[:: max(1, count // 1000)] = 255
    del array
    start = time.perf_counter()
    source = open_images(path, range=(0, 255))
    opened = time.perf_counter() - start
    assert source.count == count
    chosen = next(iter(open_images(path, range=(0, 255), limit=min(count, 1000)).batches()))
    print(
        f"{gigabytes:.3g} GB array: opened in {opened:.2f} s; opened again and {len(chosen):,} images of it read in "
        f"{time.perf_counter() - start - opened:.2f} s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a setting of seconds that exercises every line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(photographs(50 if options.small else 5_000), Path(folder))
        open_large(Path(folder) / "large.npy", 0.01 if options.small else 30)


if __name__ == "__main__":
    main()
