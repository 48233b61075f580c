"""One model with its samples and what they show, and the pairs of models that are compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..metrics import explained, generated_variance, memorisation, memorised_fraction, nearest
from .baselines import linear_samples
from .context import Context
from .gate import judge
from .plan import ComparedModel
from .probes import Answers
from .runs import LinearFit, ModeVariance, NearestImages, Run, TrainingFacts

__all__ = ["ARM_RUNS", "Member", "MemberPair", "PairKind", "describe", "pair_members"]

#: Arm → split and member of the two runs that are compared.
ARM_RUNS: Mapping[str, tuple[str, str]] = {"same": ("A0", "B0"), "different": ("A0", "B1"), "floor": ("B0", "B1")}
_GIVEN_ARMS: Mapping[str, tuple[str, str]] = {"given": ("A0", "B0")}


@dataclass(frozen=True, repr=False)
class Member(ShortRepr):
    """A model, the results about this model alone, and its outputs."""

    spec: ComparedModel
    run: Run
    answers: Answers

    @property
    def samples(self) -> FloatArray:
        """(Z, d) its samples from the seeds."""
        return self.answers.samples["seeds"]


class PairKind(NamedTuple):
    """The kind of a pair: architecture, training-set size and arm. Pairs of one kind are averaged."""

    arch: str
    n: int
    arm: str


@dataclass(frozen=True, repr=False)
class MemberPair(ShortRepr):
    """Two models that are compared, in one of the repeated splits."""

    kind: PairKind
    repeat: int
    first: Member
    second: Member

    @property
    def trained(self) -> bool:
        """Whether both models pass the gate."""
        return self.first.run.quality.passed and self.second.run.quality.passed


def describe(
    context: Context, spec: ComparedModel, answers: Answers, *, parameters: int, seconds: float, steps: int
) -> Member:
    """Gate, generated variance, and distance to linear predictions and to training images of one model.

    Parameters
    ----------
    spec : the model and its images
    answers : its outputs for the inputs of its probe
    parameters, seconds, steps : of the network and its training; 0 for a model that was trained elsewhere
    """
    samples, noise = answers.samples["seeds"], context.noise["seeds"]
    own, other = context.images[spec.own], context.images[spec.other]
    known = len(spec.other) > 0
    linear = linear_samples(own, noise, context.sigma_max)
    pooled = linear_samples(np.concatenate([own, other]), noise, context.sigma_max)
    everything = linear_samples(context.population, noise, context.sigma_max)
    quality = judge(
        own=own,
        probed=own[spec.probed],
        held_out=context.images[spec.held_out],
        samples=samples,
        linear_samples=linear,
        loss_own=answers.loss.get("own"),
        loss_held_out=answers.loss.get("held_out"),
        modes=context.population,
        bands=context.bands,
    )
    scale = np.sqrt(samples.shape[1])
    two_nearest = nearest(samples, own, count=2).distances / scale
    run = Run(
        key=spec.key,
        arch=spec.arch,
        n=spec.n,
        repeat=spec.repeat,
        split=spec.split if spec.stratum is None else f"{spec.stratum} {spec.split}",
        member=spec.member,
        training=TrainingFacts(steps, parameters, seconds),
        quality=quality,
        variance=ModeVariance(
            generated=generated_variance(samples, context.population),
            linear=generated_variance(linear, context.population),
        ),
        linear_fit=LinearFit(
            own=explained(samples, linear),
            own_zero=1 - float(np.sum((samples - linear) ** 2) / np.sum(samples**2)),
            pooled=explained(samples, pooled) if known else float("nan"),
            population=explained(samples, everything),
            distance=np.mean((samples - linear) ** 2, axis=1),
        ),
        nearest=NearestImages(
            own=two_nearest[:, 0],
            other=nearest(samples, other).distances[:, 0] / scale if known else np.full(len(samples), np.nan),
            auc=_auc(samples, own, other) if known else float("nan"),
            memorised=memorised_fraction(two_nearest) if known else float("nan"),
        ),
    )
    return Member(spec, run, answers)


def _auc(samples: FloatArray, own: FloatArray, other: FloatArray) -> float:
    """AUC of nearness to the own set against another of equal size; of the larger one, a random part is taken."""
    size = min(len(own), len(other))
    sets = [rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:size])] for rows in (own, other)]
    return memorisation(*(nearest(samples, rows).distances[:, 0] for rows in sets)).auc


def pair_members(members: Sequence[Member]) -> list[MemberPair]:
    """The pairs that there are, in the order of their first models; strata form none."""
    groups: dict[tuple[str, int, int], dict[str, Member]] = defaultdict(dict)
    for member in members:
        spec = member.spec
        if spec.stratum is None:
            groups[spec.arch, spec.n, spec.repeat][f"{spec.split}{spec.member}"] = member
    arms = _GIVEN_ARMS if members and members[0].spec.arch == "given" else ARM_RUNS
    return [
        MemberPair(kind=PairKind(arch, n, arm), repeat=repeat, first=runs[first], second=runs[second])
        for (arch, n, repeat), runs in groups.items()
        for arm, (first, second) in arms.items()
        if first in runs and second in runs
    ]
