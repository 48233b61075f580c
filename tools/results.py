"""Record the numbers of every report on a few small datasets, and compare two such records to the last digit.

``python tools/results.py record DIR [--only TEXT]``
    runs the commands of the installed package on digits, faces, patches, a folder and an array, and keeps their results;
    a job whose folder exists is not run again, and a job that fails leaves no folder.
``python tools/results.py compare OLD NEW [--renamed FILE] [--tables] [--partial]``
    lists each number of OLD that is missing from NEW or differs there. Only numbers and nulls are compared.
    ``--tables`` also compares the CSV tables, and ``--partial`` ignores files that are missing from NEW.

Both return 1 if anything is wrong. FILE (``tools/results-renamed.json`` if it exists) maps old names to new ones,
``{"predictions.json": {"old.path": "new.path", "pairs[].old": "pairs[].new", "gone": null}}``: the path of an inner value or of
everything below it, where ``[]`` stands for any position in a list; null drops a name that was removed on purpose.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Old names and new names of each file: ``None`` where a name is gone.
Names = dict[str, dict[str, str | None]]

RENAMED = Path(__file__).with_name("results-renamed.json")
SMALL_SIMULATION = ["--n", "40,160", "--draws", "100"]
#: Facts of the run, not of the data.
NOT_COMPARED = {"version", "machine", "seconds", "device", "created", "timing"}
LINES_SHOWN = 8


# ---------------------------------------------------------------- record
def make_inputs(folder: Path) -> tuple[Path, Path]:
    """A folder of PNG images and an array file, both from the handwritten digits."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    images = load_digits().images
    pictures, array = folder / "pictures", folder / "array.npy"
    pictures.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images[:400]):
        Image.fromarray((image * 15).astype(np.uint8)).save(pictures / f"{number:04d}.png")
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


def record(folder: Path, only: str = "") -> int:
    """Run every job whose name holds ``only`` into its own folder; the number of jobs that failed."""
    pictures, array = make_inputs(folder / "inputs")
    failed = 0
    for name, arguments in jobs(pictures, array):
        out = folder / name
        if out.exists() or only not in name:
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
        if done.returncode:
            failed += 1
            shutil.rmtree(out, ignore_errors=True)
        print(
            name, f"FAILED {done.returncode}: {done.stderr.strip()[-400:]}" if done.returncode else "done", flush=True
        )
    return failed


# ---------------------------------------------------------------- compare
def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a JSON value with their paths, ``name.name[3]``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in NOT_COMPARED:
                yield from flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from flat(inner, f"{path}[{number}]")
    else:
        yield path, value


def leaves(file: Path) -> dict[str, Any]:
    """Path and value of everything in a JSON file, or in a CSV file, whose rows are numbered and whose columns are named."""
    if file.suffix == ".json":
        return dict(flat(json.loads(file.read_text(encoding="utf-8"))))
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [{str(key): number(cell) for key, cell in row.items()} for row in csv.DictReader(stream)]
    return dict(flat(rows))


def number(text: str | None) -> float | str | None:
    """The number that a cell of a table holds, else its text."""
    try:
        return float(text or "")
    except ValueError:
        return text


def renamed(path: str, names: dict[str, str | None]) -> str | None:
    """The new path of an old one, None where it is dropped: the longest old prefix that is mapped decides."""
    for old in sorted(names, key=len, reverse=True):
        pattern = re.escape(old).replace(r"\[\]", r"\[(\d+)\]")
        match = re.match(rf"{pattern}(?=$|\.|\[)", path)
        if match:
            new = names[old]
            if new is None:
                return None
            for place in match.groups():
                new = new.replace("[]", f"[{place}]", 1)
            return new + path[match.end() :]
    return path


def same(before: Any, after: Any) -> bool:
    """Equal to the last digit: 1 and 1.0 are, true and 1 are not, NaN is itself."""
    if isinstance(before, bool) != isinstance(after, bool):
        return False
    return bool(before == after or (before != before and after != after))


@dataclass(frozen=True)
class Comparison:
    """What became of the numbers of one file: how many were compared, those that differ, those that are new."""

    compared: int
    different: tuple[str, ...]
    added: int


def compare_values(before: dict[str, Any], after: dict[str, Any], names: dict[str, str | None]) -> Comparison:
    """Numbers and nulls of the old values beside the values of the same or of the new name."""
    different, reached = [], set()
    for path, value in before.items():
        target = renamed(path, names) if isinstance(value, (int, float)) or value is None else None
        if target is None:
            continue
        reached.add(target)
        if target not in after or not same(value, after[target]):
            different.append(f"{path}: {value!r} -> {after.get(target, 'missing')!r}")
    added = sum(isinstance(value, (int, float)) for path, value in after.items() if path not in reached)
    return Comparison(len(reached), tuple(different), added)


def compare(old: Path, new: Path, names: Names, *, tables: bool = False, partial: bool = False) -> int:
    """Print each number that differs or is missing; their count, files that are missing among them."""
    problems = 0
    files = sorted([*old.glob("*/*.json"), *(old.glob("*/tables/*.csv") if tables else ())])
    files = [file for file in files if file.name != "options.json" and file.relative_to(old).parts[0] != "inputs"]
    if not files:
        print(f"{old}: no record")
        return 1
    for file in files:
        title = file.relative_to(old)
        if not (new / title).exists():
            problems += not partial
            print(f"{title}: missing")
            continue
        found = compare_values(leaves(file), leaves(new / title), names.get(file.name, {}))
        problems += len(found.different)
        print(f"{title}: {found.compared} numbers compared, {len(found.different)} differ, {found.added} new")
        for line in found.different[:LINES_SHOWN]:
            print("   ", line)
        if len(found.different) > LINES_SHOWN:
            print(f"    and {len(found.different) - LINES_SHOWN} more")
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--only", default="", help="run only the jobs whose names hold this")
    comparing = commands.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument("--renamed", type=Path, help="JSON file of old and new names")
    comparing.add_argument("--tables", action="store_true", help="compare the CSV tables too")
    comparing.add_argument("--partial", action="store_true", help="files that NEW lacks are no difference")
    given = parser.parse_args(arguments)
    if given.command == "record":
        return 1 if record(given.folder, given.only) else 0
    file = given.renamed or (RENAMED if RENAMED.exists() else None)
    names: Names = json.loads(file.read_text(encoding="utf-8")) if file else {}
    return 1 if compare(given.old, given.new, names, tables=given.tables, partial=given.partial) else 0


if __name__ == "__main__":
    sys.exit(main())
