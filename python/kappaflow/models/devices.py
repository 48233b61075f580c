"""Devices by name."""

from __future__ import annotations

import torch

__all__ = ["resolve_device"]


def resolve_device(device: str, *, mps: bool = False) -> torch.device:
    """The torch device of that name.

    Parameters
    ----------
    device : "cpu", "cuda", "cuda:<number>" or "mps"
    mps : whether Apple's GPUs, which have no float64, are allowed

    Raises
    ------
    ValueError
        Another name, or a device that does not exist.
    """
    allowed = "'cpu', 'cuda', 'cuda:<number>' or 'mps'" if mps else "'cpu', 'cuda' or 'cuda:<number>'"
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be {allowed}, got {device!r}") from None
    if resolved.type not in ("cpu", "cuda", *(["mps"] if mps else [])):
        raise ValueError(f"device must be {allowed}, got {device!r}")
    if resolved.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (resolved.index or 0) >= there:
            raise ValueError(f"device must exist, got {device!r}: this machine has {there} CUDA devices for torch")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device must exist, got 'mps': torch finds no GPU of that kind on this machine")
    return resolved
