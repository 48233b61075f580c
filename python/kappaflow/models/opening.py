"""Denoisers by name: a checkpoint, the folder of a pipeline, or a function of the user."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .._listing import listed
from .._schema import parse_json, shown_value
from .._weight_shards import require_own_shards
from .adapters import LATENT_PARTS, ScheduledDenoiser, from_diffusers, latent_error
from .checkpoint import load_network
from .errors import ModelError
from .names import ACCEPTED, check_model_name

__all__ = ["open_denoiser"]


def open_denoiser(name: str | os.PathLike[str], *, device: str = "cpu", label: int | None = None) -> Any:
    """Open a denoiser by name. Nothing is ever downloaded or unpickled.

    Parameters
    ----------
    name : a checkpoint of kappaflow (.safetensors), a folder to which a `diffusers` pipeline was saved, or ``module:name`` of
        any callable D(x, sigma), of a pipeline, or of a function without arguments that returns one of these
    device : device of the denoiser; a denoiser from a function keeps its own
    label : class of a class-conditional pipeline, see :func:`~.adapters.from_diffusers`

    Raises
    ------
    ValueError
        None of these, a file or folder that cannot be read, something that is not a denoiser, or a class for a model without
        classes.
    FileNotFoundError
        There is no such file.
    ImportError
        `diffusers`, or the module, is missing.
    ModelError
        The module, or its function, raised another error.
    """
    text = os.fspath(name)
    check_model_name(text)
    path = Path(text)
    if path.is_file():
        _require_no_label(label, text)
        return _open_file(path, device)
    if path.is_dir():
        return _open_folder(path, device, label)
    return _open_function(text, label)


def _require_no_label(label: int | None, text: str) -> None:
    if label is not None:
        raise ValueError(f"label needs a class-conditional model, got {label} for {text!r}")


def _open_file(path: Path, device: str) -> Any:
    """A checkpoint of kappaflow."""
    return load_network(path, device).denoiser


def _open_folder(path: Path, device: str, label: int | None) -> ScheduledDenoiser:
    """Network and scheduler of a saved pipeline, from its weights in safetensors; no weight may be missing."""
    index = _read_index(path)
    if any(_present(index.get(name)) for name in LATENT_PARTS):
        raise ValueError(latent_error(str(path)))
    try:
        import diffusers
    except ImportError as error:
        raise ImportError('diffusers pipelines need diffusers: pip install "kappaflow[networks]"') from error
    part = next((name for name in ("unet", "transformer") if _present(index.get(name))), None)
    if part is None or not _present(index.get("scheduler")):
        raise ValueError(f"model {str(path)!r} must be a pipeline with a unet or transformer and a scheduler")
    parts = {part: diffusers.ModelMixin, "scheduler": diffusers.SchedulerMixin}
    kinds = [_class_of(diffusers, path, name, index[name], base) for name, base in parts.items()]
    try:
        require_own_shards(path / part)
        network, loaded = kinds[0].from_pretrained(
            str(path), subfolder=part, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        scheduler = kinds[1].from_pretrained(str(path), subfolder="scheduler", local_files_only=True)
    except Exception as error:  # diffusers can raise errors of any type
        raise ValueError(f"model {str(path)!r} cannot be read: {error}") from error
    if loaded["missing_keys"]:  # diffusers fills them at random
        raise ValueError(f"model {str(path)!r} lacks weights: {listed(sorted(loaded['missing_keys']), 3)}")
    return from_diffusers(network.to(device), scheduler, label=label)


def _class_of(diffusers: Any, path: Path, name: str, entry: Any, base: type) -> Any:
    """The class of a part of a pipeline, which must be a network or scheduler of diffusers: nothing else is called."""
    if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(word, str) for word in entry):
        raise ValueError(
            f"model {str(path)!r}: model_index.json must give library and class of {name}, got {shown_value(entry)}"
        )
    found = getattr(diffusers, entry[1], None) if entry[1].isidentifier() else None
    if found is None:
        raise ValueError(
            f"model {str(path)!r} has parts that diffusers {diffusers.__version__} does not know: {shown_value(entry[1])}; "
            "install the version that saved it"
        )
    if not isinstance(found, type) or not issubclass(found, base):
        raise ValueError(
            f"model {str(path)!r}: model_index.json must name a {base.__name__} of diffusers as {name}, got {entry[1]}"
        )
    return found


def _read_index(path: Path) -> Mapping[str, Any]:
    """The parts of a saved pipeline."""
    try:
        index = parse_json((path / "model_index.json").read_text(encoding="utf-8"))
        if isinstance(index, dict):
            return index
    except (OSError, ValueError):
        pass
    kind = _network_kind(path)
    if kind is not None:
        raise ValueError(
            f"model {str(path)!r} is the folder of a {kind} without its scheduler: save both as a pipeline, such as "
            "DDPMPipeline(network, scheduler).save_pretrained(FOLDER), and give that folder"
        )
    raise ValueError(f"model {str(path)!r} is a folder without a readable model_index.json; it must be {ACCEPTED}")


def _network_kind(path: Path) -> str | None:
    """The class of a network that was saved to a folder alone; None for other folders."""
    try:
        config = parse_json((path / "config.json").read_text(encoding="utf-8"))
        return str(config["_class_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _present(part: Any) -> bool:
    """Whether a pipeline has a part: its index writes the others as null, or as two of them."""
    return bool(part) and part != [None, None]


def _open_function(text: str, label: int | None) -> Any:
    module, _, attribute = text.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"model {text!r}: {error}") from error
    except Exception as error:  # a module of the user can raise any error
        raise ModelError.of(f"model {text!r}: module {module!r} cannot be imported", error) from error
    if not hasattr(imported, attribute):
        raise ValueError(f"model {text!r}: module {module!r} has no {attribute!r}")
    target = denoiser = getattr(imported, attribute)
    if callable(target) and not _is_pipeline(target) and not _takes_two(target):
        try:
            denoiser = target()
        except Exception as error:  # so can a function of the user
            raise ModelError.of(f"model {text!r} cannot be called without arguments", error) from error
    if _is_pipeline(denoiser):
        return from_diffusers(denoiser, label=label)
    if not callable(denoiser):
        raise ValueError(f"model {text!r} must be or return a callable D(x, sigma), got {type(denoiser).__name__}")
    _require_no_label(label, text)
    return denoiser


def _is_pipeline(model: Any) -> bool:
    """Whether an object has a scheduler and a network, as pipelines of diffusers have."""
    if isinstance(model, type) or getattr(model, "scheduler", None) is None:
        return False
    return any(getattr(model, name, None) is not None for name in ("unet", "transformer"))


def _takes_two(target: Any) -> bool:
    """Whether a callable takes x and sigma: then it is the denoiser, not a function that returns one."""
    if isinstance(target, torch.nn.Module):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # some functions written in C have no signature, so nothing indicates that it returns a denoiser
        return True
    return len([p for p in parameters if p.kind in kinds and p.default is p.empty]) >= 2
