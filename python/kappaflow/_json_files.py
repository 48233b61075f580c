"""JSON files with a checksum, and the digest of any other file or folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._files import write_bytes
from ._files_inside import is_regular
from ._schema import CHECKSUM, FileError, Rule, checksum_of_facts, parse_json

__all__ = ["digest_of_path", "read_facts", "with_checksum", "write_facts"]

#: Longer files are none that the package wrote.
_MOST_BYTES = 2**28
_BLOCK = 2**20


def with_checksum(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Named values as JSON gives them back, with their checksum as the last one."""
    plain = json.loads(json.dumps({name: value for name, value in facts.items() if name != CHECKSUM}))
    return {**plain, CHECKSUM: checksum_of_facts(plain)}


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Write named values with their checksum, whole or not at all.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    write_bytes(path, json.dumps(with_checksum(facts)).encode())


def read_facts(path: Path, rule: Rule) -> dict[str, Any]:
    """Named values of a JSON file that nobody has changed since the package wrote it.

    Raises
    ------
    FileError
        There is no such file, it is no regular file, another kind of file, damaged or changed.
    OSError
        It cannot be read.
    """
    if not is_regular(path):
        raise FileError(f"{path.name!r} must be a regular file, got none or a link, folder or pipe of that name")
    if path.stat().st_size > _MOST_BYTES:
        raise FileError(f"{path.name!r} must have at most {_MOST_BYTES >> 20} MiB, got {path.stat().st_size >> 20} MiB")
    try:
        facts = parse_json(path.read_bytes())
        if not isinstance(facts, dict):
            raise ValueError("it must hold named values")
        if CHECKSUM not in facts:
            raise ValueError("it has no checksum, so another program or an earlier version wrote it")
        if facts[CHECKSUM] != checksum_of_facts(facts):
            raise ValueError("its checksum does not match its contents, so they have changed since they were written")
        rule("", facts)
    except ValueError as error:
        raise FileError(f"{path.name!r} is damaged: {error}", str(error)) from error
    return facts


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files of a folder, in 64 hexadecimal digits.

    Raises
    ------
    FileError
        A link, or another thing that is neither file nor folder.
    OSError
        It cannot be read.
    """
    contents = hashlib.sha256()
    if not os.path.islink(path) and path.is_dir():
        for each in sorted(path.rglob("*")):
            if os.path.islink(each) or not each.is_dir():
                contents.update(f"{each.relative_to(path).as_posix()}\0{digest_of_path(each)}\0".encode())
        return contents.hexdigest()
    if not is_regular(path):
        raise FileError(f"{str(path)!r} must be a regular file or a folder of them, got a link or a special file")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            contents.update(block)
    return contents.hexdigest()
