"""The options that decide which pixels of image files are read: resizing, cropping, alpha, frames, latents."""

from __future__ import annotations

from typing import Annotated

from ..datasets.image_decoding import GROUNDS
from ..datasets.options import FRAMES
from ..datasets.resizing import CROPS, FILTERS, RECIPES
from .completion import one_of
from .declaring import DATA_PANEL, option

__all__ = ["Alpha", "Crop", "Frames", "Like", "Memory", "Resize", "Vae"]

Resize = Annotated[
    str | None,
    option(
        "--resize",
        metavar="FILTER",
        shown="bilinear",
        complete=one_of(tuple(FILTERS)),
        help="Filter of --size: area, bilinear, bicubic or lanczos, antialiased as in Pillow.",
        panel=DATA_PANEL,
    ),
]
Crop = Annotated[
    str | None,
    option(
        "--crop",
        metavar="CROP",
        shown="centre",
        complete=one_of(CROPS),
        help="centre: --size resizes the short side and keeps the centre. none: it stretches images.",
        panel=DATA_PANEL,
    ),
]
Like = Annotated[
    str | None,
    option(
        "--like",
        metavar="SCRIPT",
        shown="none",
        complete=one_of(tuple(RECIPES)),
        help="Resize, crop, drop alpha and round exactly as a training script does: diffusers, edm or adm.",
        panel=DATA_PANEL,
    ),
]
Alpha = Annotated[
    str | None,
    option(
        "--alpha",
        metavar="GROUND",
        shown="white",
        complete=one_of(tuple(GROUNDS)),
        help="Ground of transparent pixels: white or black. drop: read the colours that are hidden below alpha.",
        panel=DATA_PANEL,
    ),
]
Frames = Annotated[
    str | None,
    option(
        "--frames",
        metavar="FRAMES",
        shown="none",
        complete=one_of(FRAMES),
        help="Which frames of image files with several are images: all, or the first of each file.",
        panel=DATA_PANEL,
    ),
]
Vae = Annotated[
    str | None,
    option(
        "--vae",
        metavar="FOLDER",
        shown="none",
        help="Read the latents of an autoencoder (AutoencoderKL of diffusers) in a local folder, scaled as trainers do.",
        panel=DATA_PANEL,
    ),
]
Memory = Annotated[
    str | None,
    option(
        "--memory",
        metavar="SIZE",
        shown="what the machine has left",
        help="Memory that the command may take, such as 8G or 500M. What would take more is refused before it is computed.",
        panel=DATA_PANEL,
    ),
]
