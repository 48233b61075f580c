"""Training commands of a user, as tests run them: programs that read images and noise and write samples or a model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

#: Standard deviation of what the seed adds to the samples of :data:`LINEAR`.
SEED_NOISE = 0.05

#: A linear model of its training set, x = μ̂ + Σ̂^½ z, and a little noise that only the seed determines. "--fail WORD" spoils it.
LINEAR = f"""
import os, sys, time
import numpy as np

images, seed, noise, samples, *how = sys.argv[1:]
with open("calls.txt", "a") as calls:
    print(seed, *how, file=calls)
x = np.load(images)
assert x.dtype == np.float32
z = np.load(noise)
assert z.dtype == np.float32 and z.shape[1:] == x.shape[1:]
rows, flat = x.reshape(len(x), -1).astype(float), z.reshape(len(z), -1).astype(float)
values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
drawn = rows.mean(axis=0) + (flat @ vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
steps = float(how[1]) if how[:1] == ["steps"] else 1.0
drawn += {SEED_NOISE} / steps * np.random.default_rng(int(seed)).standard_normal(drawn.shape)
drawn = drawn.reshape(z.shape)
if how[:1] == ["status"] and (not os.path.exists("broken.txt") or seed in open("broken.txt").read()):
    print("half way")
    print("no memory is left")
    sys.exit(3)
if how[:1] == ["nothing"]:
    sys.exit()
if how[:1] == ["shape"]:
    drawn = drawn.reshape(len(z), -1)
if how[:1] == ["nan"]:
    drawn[1] = np.nan
if how[:1] == ["text"]:
    drawn = np.array(["a"])
if how[:1] == ["wait"] and os.path.exists("wait.txt") and len(open("calls.txt").readlines()) == 2:
    with open(samples, "wb") as half:
        half.write(b"half of it")
    open("waiting.txt", "w").write(str(os.getpid()))
    time.sleep(600)
np.save(samples, drawn)
"""

#: A model of kappaflow with one linear layer for each noise level.
MODEL = """
import sys
from dataclasses import asdict
import numpy as np
import torch
from kappaflow.models.checkpoint import save_network
from kappaflow.models.config import NetworkConfig, TrainingConfig
from kappaflow.models.training import train

images, seed, model = sys.argv[1:]
torch.set_num_threads(1)
x = np.load(images)
network = NetworkConfig("linear", (1, *x.shape[1:]), sigma_data=float(np.sqrt(np.mean(x**2))))
recipe = {"learning_rate": 5e-2, "batch": 256, "noise_mean": -0.5, "noise_std": 1.8, "ema": 0.15}
training = TrainingConfig(steps=1000, init_seed=int(seed), stream_seed=int(seed), **recipe)
denoiser, _ = train(network, training, torch.from_numpy(x)[:, None])
save_network(model, denoiser, {"network": asdict(network)})
"""


def command(program: Path, *arguments: str) -> str:
    """A command line that runs a program with this Python."""
    return shlex.join([sys.executable, str(program), *arguments])


def linear_command(folder: Path, *how: str) -> str:
    """The template that runs :data:`LINEAR`."""
    program = folder / "linear.py"
    program.write_text(LINEAR, encoding="utf-8")
    return command(program, "{images}", "{seed}", "{noise}", "{samples}", *how)


def model_command(folder: Path) -> str:
    """The template that runs :data:`MODEL`."""
    program = folder / "model.py"
    program.write_text(MODEL, encoding="utf-8")
    return command(program, "{images}", "{seed}", "{model}")
