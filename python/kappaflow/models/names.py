"""Names of denoisers, checked without torch, so that a wrong name is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["ACCEPTED", "WAYS_OUT", "check_model_name"]

ACCEPTED = "a .safetensors checkpoint of kappaflow, the folder of a diffusers pipeline, or module:name of a denoiser"
WAYS_OUT = (
    "give the folder of its pipeline (from save_pretrained), or module:name of a function in a file of yours that loads the "
    "network and returns D(x, sigma) or a pipeline"
)
#: Files of weights by suffix that are never loaded: most of them can run code.
_NEVER_LOADED = {
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"), "a pickle, which can run code when it is loaded"
    ),
    **dict.fromkeys((".h5", ".hdf5", ".keras", ".msgpack"), "of another framework"),
    ".onnx": "an exported graph",
    ".gguf": "of another framework",
}


def check_model_name(text: str) -> None:
    """Check that a text names a checkpoint, a folder or ``module:name``; no file is opened.

    Raises
    ------
    ValueError
        It is none of these, or a file that is never loaded.
    FileNotFoundError
        There is no such file or folder.
    """
    path = Path(text)
    if text.strip() and path.exists():
        kind = _NEVER_LOADED.get(path.suffix.lower())
        if kind is not None and path.is_file():
            raise ValueError(
                f"model {text!r} is a {path.suffix.lower()} file, which is never loaded ({kind}): {WAYS_OUT}"
            )
        if path.is_file() or path.is_dir():
            return
        raise ValueError(f"model must be {ACCEPTED}; got {text!r}, which is neither a file nor a folder")
    if ":" in text and not text.endswith(".safetensors"):
        return
    if path.suffix or os.sep in text:
        hub = "; nothing is ever downloaded" if text.count("/") == 1 and not text.startswith(("/", ".", "~")) else ""
        raise FileNotFoundError(f"model {text!r} does not exist{hub}; it must be {ACCEPTED}")
    raise ValueError(f"model must be {ACCEPTED}; got {text!r}")
