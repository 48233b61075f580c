"""The options of the validations and of pilots; see :mod:`.options` for those that all commands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .._checks import choice
from ..validation.laws import compared_laws
from .completion import complete_data, one_of, several_of
from .declaring import flag, option
from .errors import naming
from .options_models import ClassLabel, require_model_name
from .parsing import parse_count, parse_counts, parse_names, parse_numbers

if TYPE_CHECKING:
    from ..pilot.trained import ObservedPilot

ARCHITECTURES = ("unet", "dit", "mlp", "linear", "linear-conv")
ARMS = ("same", "different")
MEANS = ("estimated", "known")
PRESETS = ("quick", "laptop", "paper")
SAMPLINGS = ("resample", "gaussian", "disjoint")
SPLITS = ("random", "contiguous")

_TRAINING, _PAIR = "Training", "Two given models"
TRAINED_PANEL = "Networks that are trained already"


@dataclass(frozen=True)
class SamplerSteps:
    """Steps of the sampler."""

    sampler_steps: Annotated[
        str | None, option("--sampler-steps", metavar="COUNTS", help="Numbers of steps of the sampler, such as 18,35.")
    ] = None

    def several(self) -> list[int]:
        """Each number of steps; 18 and 35 by default."""
        return parse_counts("--sampler-steps", "18,35" if self.sampler_steps is None else self.sampler_steps)

    def one(self) -> int | None:
        """The only number of steps; None if the option was not given."""
        return None if self.sampler_steps is None else parse_count("--sampler-steps", self.sampler_steps, 2, 1000)


@dataclass(frozen=True)
class ComparedLaws:
    """The laws that a validation compares."""

    laws: Annotated[
        str | None,
        option(
            "--laws",
            metavar="LAWS",
            shown="all",
            complete=several_of(compared_laws),
            help=f"Laws to compare, separated by commas: {', '.join(compared_laws())}.",
        ),
    ] = None

    def names(self) -> list[str] | None:
        """Names of the laws; None if the option was not given."""
        return parse_names("--laws", self.laws, tuple(compared_laws()))


def _quantities() -> Sequence[str]:
    from ..validation.linear.quantities import QUANTITIES  # lazy: a quick start

    return tuple(QUANTITIES)


@dataclass(frozen=True)
class Simulation:
    """What ``kappaflow validate linear`` simulates and compares."""

    draws: Annotated[
        int, option("--draws", min=1, metavar="COUNT", help="Number of training sets of each size, at least 40.")
    ] = 1000
    sampling: Annotated[
        str | None,
        option(
            "--sampling",
            metavar="KIND",
            shown="resample; gaussian for a saved population",
            complete=one_of(SAMPLINGS),
            help="How to draw training sets. resample: from the images, with replacement; gaussian: from Gaussian data "
            "of the same covariance; disjoint: from the images, so that the two sets of a pair share none.",
        ),
    ] = None
    inputs: Annotated[
        int,
        option("--inputs", min=1, max=10_000, metavar="COUNT", help="Number of seeds and of noisy images to follow."),
    ] = 16
    denoiser_sigma: Annotated[
        str, option("--denoiser-sigma", metavar="SIGMAS", help="Noise levels of the denoiser, separated by commas.")
    ] = "0.1,1"
    trajectory_sigma: Annotated[
        float,
        option(
            "--trajectory-sigma",
            min=0,
            metavar="SIGMA",
            help="Noise level on the way whose sample is correlated with the final sample; 0 skips this comparison.",
        ),
    ] = 1.0
    quantities: Annotated[
        str | None,
        option(
            "--quantities",
            metavar="NAMES",
            shown="all",
            complete=several_of(_quantities),
            help="Quantities to compare, separated by commas, such as seeds,bands.",
        ),
    ] = None
    mean: Annotated[
        str,
        option(
            "--mean",
            metavar="MEAN",
            complete=one_of(MEANS),
            help="Mean that the models use: that of their training set (estimated) or that of all data (known).",
        ),
    ] = "estimated"
    component: Annotated[
        int,
        option(
            "--component", min=1, metavar="PC", help="Principal component along which training sets are stratified."
        ),
    ] = 1
    keep: Annotated[bool, flag("--keep", help="Also keep the statistics of the simulations.")] = False

    def __post_init__(self) -> None:
        """Refuse what does not exist before any work is done."""
        if self.sampling is not None and self.sampling not in SAMPLINGS:
            raise ValueError(f"--sampling must be one of {', '.join(SAMPLINGS)}; got {self.sampling!r}")
        choice("--mean", self.mean, MEANS)

    def denoiser_sigmas(self) -> list[float]:
        """Noise levels as numbers."""
        return parse_numbers("--denoiser-sigma", self.denoiser_sigma, 0)

    def quantity_names(self) -> list[str] | None:
        """Names of the quantities; None if the option was not given."""
        return parse_names("--quantities", self.quantities, _quantities())


@dataclass(frozen=True)
class Networks:
    """Which networks are trained."""

    preset: Annotated[
        str | None,
        option(
            "--preset",
            metavar="NAME",
            shown="quick",
            complete=one_of(PRESETS),
            help="Experiment to run: quick, laptop or paper. The options below replace parts of it.",
        ),
    ] = None
    arch: Annotated[
        str | None,
        option(
            "--arch",
            metavar="NAMES",
            shown="of the preset",
            complete=several_of(ARCHITECTURES),
            help=f"Architectures, separated by commas: {', '.join(ARCHITECTURES)}.",
        ),
    ] = None
    repeats: Annotated[
        int | None,
        option(
            "--repeats",
            min=1,
            max=100,
            metavar="COUNT",
            shown="of the preset",
            help="Number of pairs of training sets of each size.",
        ),
    ] = None
    split: Annotated[
        str,
        option(
            "--split",
            metavar="KIND",
            complete=one_of(SPLITS),
            help="How to split the images into training sets. random: at random; contiguous: the first and the last images.",
        ),
    ] = "random"
    dry_run: Annotated[
        bool, flag("--dry-run", help="Show what would be trained and how long it would take, and stop.")
    ] = False

    def __post_init__(self) -> None:
        """Refuse what does not exist before any work is done."""
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"--preset must be one of {', '.join(PRESETS)}; got {self.preset!r}")
        choice("--split", self.split, SPLITS)

    def preset_name(self, default: str = "quick") -> str:
        """The preset."""
        return default if self.preset is None else self.preset

    def architectures(self) -> list[str] | None:
        """Names of the architectures; None if the option was not given."""
        return parse_names("--arch", self.arch, ARCHITECTURES)


@dataclass(frozen=True)
class Experiment(Networks):
    """What ``kappaflow validate network`` trains and compares."""

    arms: Annotated[
        str | None,
        option(
            "--arms",
            metavar="NAMES",
            shown="both",
            complete=several_of(ARMS),
            help="How the two models of a pair differ. same: only in their images; different: also in initialisation "
            "and noise.",
        ),
    ] = None
    counterfactual: Annotated[
        int | None,
        option(
            "--counterfactual",
            min=1,
            metavar="PC",
            shown="none",
            help="Also train on training sets that differ along this principal component.",
        ),
    ] = None

    def arm_names(self) -> list[str] | None:
        """Names of the arms; None if the option was not given."""
        return parse_names("--arms", self.arms, ARMS)


@dataclass(frozen=True)
class Runs:
    """Where trained networks are kept."""

    runs: Annotated[
        Path | None,
        option(
            "--runs",
            metavar="DIR",
            shown="kappaflow-runs-<name of the data>",
            panel=_TRAINING,
            help="Folder in which trained networks are kept and looked up.",
        ),
    ] = None


@dataclass(frozen=True)
class Training(Runs):
    """How networks are trained."""

    steps: Annotated[
        int | None,
        option(
            "--steps",
            min=1,
            metavar="COUNT",
            shown="of the preset",
            panel=_TRAINING,
            help="Number of steps of the optimiser.",
        ),
    ] = None
    batch: Annotated[
        int | None,
        option(
            "--batch",
            min=1,
            metavar="COUNT",
            shown="of the preset",
            panel=_TRAINING,
            help="Number of images in each step.",
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        option(
            "--learning-rate",
            min=1e-8,
            metavar="RATE",
            shown="of the preset",
            panel=_TRAINING,
            help="Learning rate of Adam.",
        ),
    ] = None
    amp: Annotated[bool, flag("--amp", help="Train in bfloat16 where that is safe.", panel=_TRAINING)] = False
    compile: Annotated[bool, flag("--compile", help="Train with torch.compile.", panel=_TRAINING)] = False
    workers: Annotated[
        int | None,
        option(
            "--workers",
            min=1,
            metavar="COUNT",
            shown="one for each core; 1 on other devices",
            panel=_TRAINING,
            help="Number of networks to train at once.",
        ),
    ] = None
    dask: Annotated[
        str | None,
        option(
            "--dask",
            metavar="ADDRESS",
            panel=_TRAINING,
            help="Train on the Dask cluster at ADDRESS, whose machines must have access to the folder --runs.",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse an address of nothing."""
        if self.dask is not None and not self.dask.strip():
            raise ValueError(f"--dask must be the address of a scheduler such as tcp://host:8786, got {self.dask!r}")

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that replace those of the preset."""
        given = {"batch": self.batch, "learning_rate": self.learning_rate}
        given = {key: value for key, value in given.items() if value is not None}
        return {**given, "amp": self.amp, "compile": self.compile}


@dataclass(frozen=True)
class Script:
    """The user's own training command."""

    script: Annotated[
        str | None,
        option(
            "--script",
            metavar="CMD",
            panel="Your own training command",
            help="Command that trains your networks; it runs once for each with {images} and {seed} filled in, and writes "
            "{samples} for {noise} or saves {model}. If it has {steps}, --steps sets the length of the training. "
            "Example: --script 'python train.py {images} {seed} {noise} {samples}'.",
        ),
    ] = None


@dataclass(frozen=True)
class Pair(ClassLabel):
    """Two models trained elsewhere."""

    pair: Annotated[
        tuple[str, str] | None,
        option(
            "--pair",
            metavar="A B",
            panel=_PAIR,
            help="Compare these two models instead of training networks: checkpoints of this command, folders of diffusers "
            "pipelines, or module:function for a denoiser D(x, sigma).",
        ),
    ] = None
    train_a: Annotated[
        str | None,
        option("--train-a", metavar="DATA", panel=_PAIR, complete=complete_data, help="Images that A was trained on."),
    ] = None
    train_b: Annotated[
        str | None,
        option("--train-b", metavar="DATA", panel=_PAIR, complete=complete_data, help="Images that B was trained on."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse a class without models."""
        self.require_model("--pair", self.pair)


@dataclass(frozen=True)
class Observed(ClassLabel):
    """Pilots that the user trained."""

    observed: Annotated[
        list[str] | None,
        option(
            "--observed",
            metavar="N:A,B,B2",
            panel=TRAINED_PANEL,
            help="Models that were trained on N images each: A and B on different images, B2 once more on the images of B with "
            "another seed. Each is a checkpoint, a folder of a diffusers pipeline or module:function. Give it once for each size; "
            "with two sizes, B2 can be left out.",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse texts of another form, and a class without models."""
        self.require_model("--observed", self.observed)
        for text in self.observed or ():
            _parse_observed(text)

    def pilots(self) -> tuple[ObservedPilot, ...] | None:
        """The pilots in ascending order of n; None if the option was not given."""
        if not self.observed:
            return None
        from ..pilot.trained import ObservedPilot, observed_pilots  # lazy: torch

        with naming("--observed"):
            return observed_pilots([ObservedPilot(*_parse_observed(text)) for text in self.observed])

    def require_models(self) -> None:
        """Raise an error, before any work, if a name is that of no model."""
        for name in (name for text in self.observed or () for name in _parse_observed(text)[1:]):
            if name is not None:
                require_model_name("--observed", name)


def _parse_observed(text: str) -> tuple[int, str, str, str | None]:
    """N, A, B and B2 (None if it is left out) from N:A,B,B2.

    Raises
    ------
    ValueError
        The text is not of this form.
    """
    size, colon, rest = text.partition(":")
    names = [name.strip() for name in rest.split(",")]
    if not colon or len(names) not in (2, 3) or not all(names):
        raise ValueError(f"--observed must be N:A,B or N:A,B,B2, such as 1000:run-a,run-b,run-b2; got {text!r}")
    return parse_count("--observed", size, 2, 10**12), names[0], names[1], names[2] if len(names) == 3 else None
