"""Networks inside the wrappers of training code: parallel, compiled and averaged ones."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["unwrapped"]

#: Attributes under which wrappers of any kind keep what they wrap; of an average beside a trained network, the average.
_ALWAYS = ("_orig_mod", "ema_model")
#: Wrappers that keep it in ``module``, an attribute that other objects use for other things.
_MODULE = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "AveragedModel", "DeepSpeedEngine")
_MODULE_EMA = ("ModelEma", "ModelEmaV2", "ModelEmaV3")
_MOST_NESTED = 8


def unwrapped(model: Any) -> Any:
    """The network inside wrappers, which may be nested; the object itself if it is no wrapper.

    Known are DataParallel and its distributed forms, networks from torch.compile, AveragedModel of torch, and averages of the
    weights that keep a network as ``ema_model`` or, like those of timm, as ``module``.
    """
    for _ in range(_MOST_NESTED):
        inner = _inner(model)
        if inner is None:
            return model
        model = inner
    return model


def _inner(model: Any) -> Any:
    """What one wrapper wraps; None if the object is no wrapper."""
    for name in _ALWAYS:
        inner = getattr(model, name, None)
        if isinstance(inner, torch.nn.Module):
            return inner
    if type(model).__name__ in (*_MODULE, *_MODULE_EMA):
        inner = getattr(model, "module", None)
        return inner if isinstance(inner, torch.nn.Module) else None
    return None
