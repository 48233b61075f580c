"""Where images come from: the block that commands print, and its form in JSON."""

from __future__ import annotations

import json

import pytest

from kappaflow.provenance import PixelRange, Provenance

FULL = Provenance(
    what="the folder cats",
    read="2,900 of 3,000 files",
    subset="60 of 2,900 images, a random subset (seed 0)",
    left_out=("75 files .psd: not an image format that is read", "25 files that cannot be decoded"),
    processing=("cropped to a square", "resized to 32×32"),
    scaling="8-bit 0…255 mapped to [-1, 1]",
    pixel_range=PixelRange(0.0, 255.0),
    distinct="58 of 60 images are distinct",
    warnings=("neighbours in file order are alike",),
)


def test_block_has_a_line_for_each_text() -> None:
    assert FULL.lines() == (
        ("read", "the folder cats: 2,900 of 3,000 files"),
        ("subset", "60 of 2,900 images, a random subset (seed 0)"),
        ("left out", "75 files .psd: not an image format that is read"),
        ("left out", "25 files that cannot be decoded"),
        ("processing", "cropped to a square; resized to 32×32"),
        ("pixels", "8-bit 0…255 mapped to [-1, 1]"),
        ("distinct", "58 of 60 images are distinct"),
        ("warning", "neighbours in file order are alike"),
    )
    assert Provenance().lines() == ()
    assert Provenance(what="noise").lines() == (("read", "noise"),)


def test_description_is_one_line_without_warnings() -> None:
    assert FULL.description.startswith("the folder cats: 2,900 of 3,000 files; 60 of")
    assert "left out: 75 files .psd" in FULL.description
    assert "neighbours" not in FULL.description
    assert Provenance().description == ""


@pytest.mark.parametrize("provenance", [FULL, Provenance(), Provenance("noise")])
def test_json_gives_the_same_provenance(provenance: Provenance) -> None:
    assert Provenance.from_json(json.loads(json.dumps(provenance.as_json()))) == provenance


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"colour": "red"}, "provenance must have the fields .*, got 'colour'"),
        ({"what": 3}, "what must be a text, got 3"),
        ({"warnings": "one"}, "warnings must be a list of texts, got 'one'"),
        ({"left_out": [1]}, r"left_out must be a list of texts, got \[1\]"),
        ({"pixel_range": [0.0]}, r"pixel_range must be two numbers or null, got \[0.0\]"),
    ],
)
def test_wrong_json_is_refused(facts: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Provenance.from_json(facts)
