"""Weights of other libraries that lie in several files: their index may name files of its own folder only."""

from __future__ import annotations

from pathlib import Path

from ._schema import FileError, parse_json, shown_value

__all__ = ["require_own_shards"]


def require_own_shards(folder: Path) -> None:
    """Check every index of weights in a folder (``*.index.json``): all files that it names are safetensors files beside it.

    Raises
    ------
    FileError
        An index cannot be read, or names another file, such as one of a folder above.
    OSError
        It cannot be read.
    """
    for path in sorted(folder.glob("*.safetensors.index.json")):
        try:
            index = parse_json(path.read_bytes())
            files = index["weight_map"].values()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(
                f"{path.name!r} must be an index of weights with a weight_map of names ({error})"
            ) from error
        for name in files:
            plain = isinstance(name, str) and name == Path(name).name and "\\" not in name and "\0" not in name
            if not plain or not name.endswith(".safetensors"):
                raise FileError(f"{path.name!r} must name safetensors files of its own folder, got {shown_value(name)}")
