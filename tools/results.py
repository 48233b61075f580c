"""Record the numbers of every report on a few small datasets, and compare two such records to the last digit.

``python tools/results.py record DIR`` runs the commands of the installed package and keeps their JSON files;
``python tools/results.py compare OLD NEW [--renamed FILE]`` lists each number that differs. FILE maps old names to new ones,
``{"file.json": {"old.path": "new.path"}}``; a null drops a name that is gone on purpose.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SMALL_SIMULATION = ["--n", "40,160", "--draws", "100"]
#: Facts of the run, not of the data.
NOT_COMPARED = {"version", "machine", "seconds", "device", "created", "timing"}


def make_inputs(folder: Path) -> tuple[Path, Path]:
    """A folder of PNG images and an array file, both from the handwritten digits."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    images = load_digits().images
    pictures, array = folder / "pictures", folder / "array.npy"
    pictures.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images[:400]):
        Image.fromarray((image * 15).astype(np.uint8)).save(pictures / f"{place:04d}.png")
    np.save(array, (images[400:1200] / 8 - 1).astype(np.float32))
    return pictures, array


def jobs(pictures: Path, array: Path) -> Iterator[tuple[str, list[str]]]:
    """Name of the record and the arguments of the command that makes it."""
    data = {
        "digits": ["digits"],
        "faces": ["faces"],
        "patches": ["patches", "--patch", "8", "--limit", "20000"],
        "folder": [str(pictures)],
        "array": [str(array)],
    }
    for name, source in data.items():
        yield f"predict-{name}", ["predict", *source, "--law", "auto"]
        for law in ("gaussian", "elliptical", "empirical"):
            yield f"predict-{law}-{name}", ["predict", *source, "--law", law, "--seeds", "16"]
        yield f"diagnose-{name}", ["diagnose", *source]
        sizes = ["--n", "20,40", "--draws", "100"] if name == "faces" else SMALL_SIMULATION
        yield f"linear-{name}", ["validate", "linear", *source, *sizes]
        yield f"lens-{name}", ["lens", *source, "--seeds", "32", *(["--limit", "800"] if name != "patches" else [])]
    yield "plan-digits", ["plan", "digits", "--tolerance", "0.05"]
    yield "seeds-digits", ["seeds", "digits", "--n", "200"]
    yield "network-digits", ["validate", "network", "digits", "--arch", "unet", "--n", "30,200", "--seeds", "64"]


def record(folder: Path, only: str | None) -> None:
    """Run every job into its own folder; those that are there already are not run again."""
    pictures, array = make_inputs(folder / "inputs")
    for name, arguments in jobs(pictures, array):
        out = folder / name
        if out.exists() or (only is not None and only not in name):
            continue
        command = [sys.executable, "-m", "kappaflow", *arguments, "-q"]
        if arguments[0] in ("diagnose", "plan", "seeds"):
            out.mkdir()
            command += ["--json", str(out / f"{arguments[0]}.json")]
        else:
            command += ["--out", str(out)]
        if name == "network-digits":
            command += ["--runs", str(folder / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(
            name,
            "done" if done.returncode == 0 else f"FAILED {done.returncode}: {done.stderr.strip()[-400:]}",
            flush=True,
        )


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a JSON value with their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in NOT_COMPARED:
                yield from flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from flat(inner, f"{path}[{place}]")
    else:
        yield path, value


def renamed(path: str, names: dict[str, str | None]) -> str | None:
    """The new path of an old one: the longest old prefix that is mapped decides."""
    for old in sorted(names, key=len, reverse=True):
        if path == old or path.startswith((old + ".", old + "[")):
            new = names[old]
            return None if new is None else new + path[len(old) :]
    return path


def compare(old: Path, new: Path, mapping: dict[str, dict[str, str | None]]) -> int:
    """Print each number that differs or is missing; the count of them."""
    problems = 0
    for file in sorted(old.glob("*/*.json")):
        if file.name == "options.json" or file.parts[-2] == "inputs":
            continue
        other = new / file.relative_to(old)
        if not other.exists():
            print(f"{file.relative_to(old)}: missing")
            problems += 1
            continue
        before, after = dict(flat(json.loads(file.read_text()))), dict(flat(json.loads(other.read_text())))
        names = mapping.get(file.name, {})
        numbers = [(path, value) for path, value in before.items() if isinstance(value, (int, float)) or value is None]
        compared, different = 0, []
        for path, value in numbers:
            target = renamed(path, names)
            if target is None:
                continue
            compared += 1
            if target not in after or after[target] != value:
                different.append(f"{path}: {value!r} -> {after.get(target, 'missing')!r}")
        problems += len(different)
        print(f"{file.relative_to(old)}: {compared} numbers compared, {len(different)} differ")
        for line in different[:8]:
            print("   ", line)
    return problems


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--only", help="run only the jobs whose names hold this")
    comparing = commands.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument("--renamed", type=Path, help="JSON file of old and new names")
    arguments = parser.parse_args()
    if arguments.command == "record":
        record(arguments.folder, arguments.only)
        return 0
    mapping = json.loads(arguments.renamed.read_text()) if arguments.renamed else {}
    return 1 if compare(arguments.old, arguments.new, mapping) else 0


if __name__ == "__main__":
    sys.exit(main())
