"""Every option of every command refuses every wrong text, before any image is read, and names option and text.

Options are found in the commands themselves: a new one must be given a kind here, or the test fails.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from commands import contents, run
from kappaflow._plain_text import plain_text
from kappaflow.cli import app

_OTHER_OPTION = {"an option": "--quiet"}
_NO_NUMBERS = {
    "empty": "",
    "blank": " ",
    "word": "x",
    "nan": "nan",
    "inf": "inf",
    "minus inf": "-inf",
    "negative": "-5",
    "overflow": "1e400",
    "underscore": "1_0",
    "other digits": "٣",
    "superscript": "²",
    "wide digit": "３",
    "hexadecimal": "0x10",
    "comma": "0,5",
    "two": "1 2",
    "escape": "\x1b[31m3",
    "imaginary": "3j",
    "fraction": "1/2",
    **_OTHER_OPTION,
}
_NO_WORDS = {"empty": "", "blank": " ", "another word": "nope", "capitals": "NOPE", "number": "3", **_OTHER_OPTION}
_NO_LISTS = {"empty": "", "blank": " ", "comma": ",", "word": "x", "nan": "nan", "inf": "inf", **_OTHER_OPTION}
_NO_SIZES = {
    **_NO_LISTS,
    "one": "1",
    "zero": "0",
    "negative": "-10",
    "fraction": "10.5",
    "range": "10-20",
    "too large": "1e13",
    "underscore": "1_0",
    "other digits": "١٠",
    "unit": "10k",
    "two units": "10gg",
    "one of two": "10,x",
}

#: Kind of option → what is wrong with a text → the text.
WRONG: Mapping[str, Mapping[str, str]] = {
    "whole number": {**_NO_NUMBERS, "decimal": "1.5", "exponent": "1e3"},
    "number": _NO_NUMBERS,
    "word": _NO_WORDS,
    "words": {**_NO_WORDS, "comma": ",", "semicolon": "x;y"},
    "sizes": _NO_SIZES,
    "seeds": {
        **_NO_LISTS,
        "zero": "0",
        "negative": "-3",
        "decimal": "0.5",
        "reversed": "9-3",
        "twice": "3,3",
        "too many": "0-99999999999",
        "open": "3-",
        "other digits": "٣",
        "superscript": "²",
    },
    "bands": {
        **_NO_LISTS,
        "zero": "0",
        "decimal": "1.5",
        "reversed": "4-1",
        "from zero": "0-3",
        "too many": "1001",
        "open": "3-",
        "other digits": "٣",
        "superscript": "²",
    },
    "numbers or none": {  # an empty list asks for none
        "word": "x",
        "one of two": "1,x",
        "underscore": "1_0",
        "other digits": "٣",
        "overflow": "1e400",
        "nan": "nan",
        "negative": "-1",
        **_OTHER_OPTION,
    },
    "numbers": {**_NO_LISTS, "one of two": "1,x", "underscore": "1_0", "other digits": "٣", "overflow": "1e400"},
    "whole numbers": {  # an empty list asks for none
        "word": "x",
        "decimal": "1.5",
        "one of two": "3,x",
        "negative": "-3",
        **_OTHER_OPTION,
    },
    "sides": {
        **_NO_LISTS,
        "zero": "0x0",
        "three": "3x3x3x",
        "decimal": "1.5x2",
        "negative": "-3x3",
        "other digits": "٣",
    },
    "range": {
        **_NO_LISTS,
        "one": "3",
        "three": "1,2,3",
        "reversed": "1,0",
        "equal": "1,1",
        "negative to nan": "-1,nan",
        "infinite": "-inf,inf",
        "underscore": "0,1_0",
    },
    "device": {**_NO_WORDS, "no number": "cuda:", "negative": "cuda:-1", "other digits": "cuda:٣", "spaces": " cpu"},
    "result": {"empty": "", "blank": " ", **_OTHER_OPTION},
    "model": {
        "empty": "",
        "blank": " ",
        "word": "x",
        "missing": "missing.safetensors",
        "pickle": "p.pt",
        **_OTHER_OPTION,
    },
    "text": {"empty": "", "blank": " ", **_OTHER_OPTION},
}
KINDS: Mapping[str, str] = {
    "--alpha": "word",
    "--arch": "words",
    "--arms": "words",
    "--bands": "bands",
    "--batch": "whole number",
    "--by": "word",
    "--channels": "word",
    "--component": "whole number",
    "--counterfactual": "whole number",
    "--crop": "word",
    "--dask": "text",
    "--denoiser-sigma": "numbers or none",
    "--device": "device",
    "--draws": "whole number",
    "--frames": "word",
    "--groups": "text",
    "--images": "whole number",
    "--inputs": "whole number",
    "--json": "result",
    "--label": "whole number",
    "--labels": "text",
    "--law": "word",
    "--laws": "words",
    "--learning-rate": "number",
    "--like": "word",
    "--limit": "whole number",
    "--mean": "word",
    "--memory": "number",
    "--n": "sizes",
    "--network": "model",
    "--noise": "result",
    "--observed": "text",
    "--out": "result",
    "--pair": "model",
    "--patch": "whole number",
    "--preset": "word",
    "--profiles": "whole number",
    "--quantities": "words",
    "--range": "range",
    "--repeats": "whole number",
    "--resize": "word",
    "--runs": "result",
    "--sampler-steps": "whole numbers",
    "--sampling": "word",
    "--script": "text",
    "--seed": "whole number",
    "--seeds": "seeds",
    "--shape": "sides",
    "--sigma-max": "number",
    "--size": "sides",
    "--split": "word",
    "--steps": "whole number",
    "--tolerance": "number",
    "--top": "whole number",
    "--train-a": "text",
    "--train-b": "text",
    "--trajectory-sigma": "numbers",
    "--vae": "text",
    "--workers": "whole number",
    "--write": "result",
}


@cache
def commands() -> Mapping[str, Any]:
    """Every command by the words that call it."""
    group: Any = typer.main.get_command(app)
    validate = group.commands["validate"]
    names = [name for name in group.commands if name != "validate"]
    return {
        **{name: group.commands[name] for name in names},
        **{f"validate {name}": validate.commands[name] for name in ("linear", "network")},
    }


@dataclass(frozen=True)
class Case:
    """An option of a command with a wrong text."""

    command: str
    option: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.command} {self.option}: {self.wrong}"


def options(command: str) -> list[str]:
    """The options of a command that take a value."""
    return [
        next(name for name in parameter.opts if name.startswith("--"))
        for parameter in commands()[command].params
        if parameter.param_type_name == "option" and not parameter.is_flag
    ]


def cases() -> Iterator[Case]:
    """Every wrong text for an option of one command; for the same option of the others, every fourth one."""
    seen: Counter[str] = Counter()
    for command in commands():
        for option in options(command):
            wrong = list(WRONG[KINDS[option]])
            yield from (
                Case(command, option, each) for each in (wrong[seen[option] % 4 :: 4] if seen[option] else wrong)
            )
            seen[option] += 1


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_wrong_texts_are_refused_before_any_work(case: Case, data: None) -> None:
    text = WRONG[KINDS[case.option]][case.wrong]
    before = contents()
    required = ["--out", "p.safetensors"] if case.command == "moments" and case.option != "--out" else []
    values = [text] * (2 if case.option == "--pair" else 1)
    result = run(*case.command.split(), "data.npy", *required, case.option, *values)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip("\n").split("\n")
    assert line.startswith("error: ")
    assert case.option in line
    assert "\x1b" not in line
    pieces = re.split(r"[,-]", plain_text(text))  # the message may name the wrong part of a list
    assert text.isspace() or repr(text) in line or any(piece and piece in line for piece in pieces), line
    assert re.search("must|needs|give|does not exist|cannot", line), line
    assert contents() == before


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with images."""
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", np.random.default_rng(0).uniform(-1, 1, (40, 4, 4)))
    Path("p.pt").write_bytes(b"\x80\x04.")


def test_there_are_many_cases() -> None:
    assert len(list(cases())) > 1000
