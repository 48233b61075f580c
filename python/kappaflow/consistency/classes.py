"""Answers by class: how much two linear models of one class disagree, and how many images of the class make them agree.

The models are trained on one class alone. A class-conditional network shares its weights between classes, and is none of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer, integers, positive
from .._core import UnidentifiedError
from .._listing import listed
from .._progress import StepProgress, in_steps, reporter
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..bands import Band, resolve_bands
from ..classes import ClassPopulation, ClassPopulations
from ..identified import largest_n, ways_out
from ..laws import law_spec
from ..population import Population
from ..sample_size import smallest_training_set
from ..sampling import SIGMA_MAX
from ..splits import Splits
from .diagnosis import FEWEST_PROFILES
from .law_choice import AUTO, LawChoice, choose_law
from .needed import images_needed, search_work

__all__ = ["ALL_CLASSES", "CLASS_NOTE", "ClassAnswer", "ClassAnswers", "answers_by_class", "classes_to_json"]

IntArray = npt.NDArray[np.int64]

#: What the mixture is called.
ALL_CLASSES = "all classes"
#: What the number of a class is about.
CLASS_NOTE = (
    "The number of a class is about two linear models that are trained on images of this class alone, and about all modes "
    "together; fine patterns need more images than coarse ones, so that every band needs more. Of n training images of all "
    "classes, a class has on average n times its share of the data. A class-conditional network shares its weights between "
    "classes: how much it gains from the other classes is not predicted."
)
_NAMED = 5
#: Up to so many classes have a law of their own.
_OWN_LAW = 20


@dataclass(frozen=True, repr=False)
class ClassAnswer(ShortRepr):
    """The answer for one class, or for the mixture.

    Attributes
    ----------
    name : of the class
    images : number of images that the data have of it; None for a mixture that is known exactly
    share : share of the class in all images
    n : (T,) its images in training sets of the sizes of :class:`ClassAnswers`: size × share, rounded
    relative : (T,) relative disagreement of two linear models trained on so many images of it; NaN if that cannot be answered
    needed : smallest number of its images at which the relative disagreement of all modes together is at most the tolerance; None
        if that cannot be answered, or if no number of images is enough
    in_every_band : smallest number of its images at which each of its eigenbands agrees so; None if one of them cannot be answered
    law, law_reason : the law of these numbers, and why; nothing if there are none
    problem : why `needed` is None, and what can be done about it; nothing if it is known
    """

    name: str
    images: int | None
    share: float
    n: IntArray
    relative: FloatArray
    needed: int | None
    in_every_band: int | None
    law: str
    law_reason: str
    problem: str

    @property
    def enough(self) -> bool:
        """Whether the data have as many images of it as are needed."""
        return self.needed is not None and (self.images is None or self.images >= self.needed)

    @property
    def missing(self) -> int | None:
        """How many more images of it are needed; None if that is not known."""
        if self.needed is None:
            return None
        return 0 if self.images is None else max(0, self.needed - self.images)

    @property
    def of_all(self) -> int | None:
        """Size of a training set of all classes that has `needed` images of this class; None if that is not known."""
        return None if self.needed is None else math.ceil(self.needed / self.share - 1e-9)


@dataclass(frozen=True, repr=False)
class ClassAnswers(ShortRepr, Tabular):
    """The answer for each class and for the mixture.

    Attributes
    ----------
    sizes : (T,) sizes of training sets of all classes
    reference : the index of the size of the verdicts
    tolerance : relative disagreement to reach
    sigma_max : noise level at which sampling starts
    mixture : the answer for all images together
    classes : the answers for the classes, in the order of their names
    without_class : number of images without a class, which count in the mixture alone
    origin : where the classes come from, in words
    """

    sizes: IntArray
    reference: int
    tolerance: float
    sigma_max: float
    mixture: ClassAnswer
    classes: tuple[ClassAnswer, ...]
    without_class: int
    origin: str

    def _columns(self) -> Columns:
        rows = (*self.classes, self.mixture)
        return {
            "class": [row.name for row in rows],
            "images": np.array([row.images for row in rows], dtype=object),
            "needed": np.array([row.needed for row in rows], dtype=object),
            "in_every_band": np.array([row.in_every_band for row in rows], dtype=object),
            "n": [int(row.n[self.reference]) for row in rows],
            "relative": [float(row.relative[self.reference]) for row in rows],
            "problem": [row.problem for row in rows],
        }

    @property
    def most_lacking(self) -> tuple[ClassAnswer, ...]:
        """The classes, those first that cannot be answered, then those that lack most images by the ratio needed/images."""

        def lack(row: ClassAnswer) -> float:
            return math.inf if row.needed is None else row.needed / max(1, row.images or 1)

        return tuple(sorted(self.classes, key=lambda row: (-lack(row), row.images or 0)))

    @property
    def of_all(self) -> int | None:
        """Size of a training set of all classes that gives every class enough images; None if a class cannot be answered."""
        sizes = [row.of_all for row in self.classes]
        known = [size for size in sizes if size is not None]
        return max(known) if len(known) == len(sizes) else None

    @property
    def agree(self) -> int:
        """Number of classes whose models agree at the reference size."""
        return sum(bool(row.relative[self.reference] <= self.tolerance) for row in self.classes)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer: which classes agree, which need more images, which cannot be answered, and what all of them need."""
        size, total, within = int(self.sizes[self.reference]), len(self.classes), f"within {100 * self.tolerance:g} %"
        where = f"in {self.agree:,} of {total:,} classes" if self.agree else "in no class"
        where = "in every class" if self.agree == total else where
        texts = [
            f"With training sets of {size:,} images of all classes, two linear models of one class agree overall {within} {where}."
        ]
        silent = [row for row in self.classes if math.isnan(row.relative[self.reference])]
        if silent:
            texts.append(f"{_listed(silent)} {'has' if len(silent) == 1 else 'have'} too few images to tell.")
        short = [row for row in self.most_lacking if row.missing]
        if short:
            texts.append(f"{_need(short)} more images than there are: {_counts(short, [row.needed for row in short])}.")
        fine = [row for row in self.classes if row.enough and (row.in_every_band or 0) > (row.images or 0)]
        if fine:
            fine.sort(key=lambda row: -(row.in_every_band or 0) / max(1, row.images or 0))
            counts = _counts(fine, [row.in_every_band for row in fine])
            texts.append(f"{_need(fine)} more images than there are to agree in every eigenband: {counts}.")
        unknown = [row for row in self.most_lacking if row.needed is None]
        if unknown:
            texts.append(f"How many images are needed cannot be answered for {_listed(unknown)}.")
        if self.of_all is not None:
            slowest = max(self.classes, key=lambda row: row.of_all or 0)
            texts.append(
                f"{self.of_all:,} training images of all classes give every class enough; class {slowest.name} decides."
            )
        return tuple(texts)


def _need(rows: Sequence[ClassAnswer]) -> str:
    return "1 class needs" if len(rows) == 1 else f"{len(rows):,} classes need"


def _counts(rows: Sequence[ClassAnswer], needed: Sequence[int | None]) -> str:
    """``"cat (120 needed, 80 there), dog (…)"``."""
    pairs = zip(rows, needed, strict=True)
    return listed([f"{row.name} ({need or 0:,} needed, {row.images or 0:,} there)" for row, need in pairs], _NAMED)


def _listed(rows: Sequence[ClassAnswer]) -> str:
    """``"2 classes (cat, dog)"``, ``"class cat"``."""
    if len(rows) == 1:
        return f"class {rows[0].name}"
    return f"{len(rows):,} classes ({listed((row.name for row in rows), _NAMED)})"


@in_steps("classes")
def answers_by_class(
    populations: ClassPopulations,
    *,
    n: Sequence[int] | None = None,
    reference_n: int | None = None,
    sigma_max: float = SIGMA_MAX,
    law: str = AUTO,
    mixture_law: str | None = None,
    tolerance: float = 0.1,
    bands: int = 6,
    progress: StepProgress = None,
) -> ClassAnswers:
    """How much two linear models of each class disagree, and how many of its images make them agree.

    A class is answered as a dataset of its own: by its mean and modes, with its own law, from its own number of images. A training
    set of n images of all classes has n·N_c/N images of class c.

    Parameters
    ----------
    populations : the populations of the classes, from :func:`kappaflow.populations_by_class`
    n : sizes of training sets of all classes; by default the number of images, so that each class has all its images
    reference_n : the size of the verdicts, one of `n`; the last one by default
    sigma_max : noise level at which sampling starts
    law : "auto", which chooses a law for each class, or the name of a law for all of them. With more than 20 classes "auto" is
        the law of the largest class, because each choice is an experiment; small classes are answered by the Gaussian law.
    mixture_law : law of the mixture, if it is known already; `law` by default
    tolerance : relative disagreement to reach, in (0, 1)
    bands : number of eigenbands of each class
    progress : True shows a progress bar on a terminal and in a notebook; a callable is called with the name of a step and the
        fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        Bad options, named.
    """
    if not 0 < positive("tolerance", tolerance) < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}")
    total = populations.mixture.sample_size
    wanted = n if n is not None else [2 if total is None else max(2, total)]
    sizes = np.array(sorted(set(integers("n", wanted, 2, what="training-set size"))), dtype=np.int64)
    reference = int(sizes[-1]) if reference_n is None else reference_n
    if reference not in sizes:
        raise ValueError(f"reference_n must be one of {', '.join(map(str, sizes))}, got {reference}")
    question = _Question(
        sizes=sizes, sigma_max=positive("sigma_max", sigma_max), tolerance=tolerance, bands=integer("bands", bands, 1)
    )
    report, rows = reporter(progress), []
    report("which law", 0.0)
    shared = _shared_law(populations.classes, law, question.sigma_max)
    for index, one in enumerate(populations.classes):
        report(f"class {one.name}", index / (len(populations.classes) + 1))
        rows.append(_of_class(one, question, law, shared))
    report(ALL_CLASSES, len(rows) / (len(rows) + 1))
    choice = choose_law(
        populations.mixture,
        law if mixture_law is None else mixture_law,
        sigma_max=question.sigma_max,
        work=search_work(populations.mixture),
    )
    mixture = _answer(ALL_CLASSES, populations.mixture, 1.0, question, choice)
    report("done", 1.0)
    return ClassAnswers(
        sizes=sizes,
        reference=sizes.tolist().index(reference),
        tolerance=tolerance,
        sigma_max=question.sigma_max,
        mixture=mixture,
        classes=tuple(rows),
        without_class=populations.without_class,
        origin=populations.origin,
    )


@dataclass(frozen=True)
class _Question:
    """The checked arguments."""

    sizes: IntArray
    sigma_max: float
    tolerance: float
    bands: int


def _shared_law(classes: Sequence[ClassPopulation], law: str, sigma_max: float) -> LawChoice | None:
    """The law of the largest of many classes, for all of them; None if each class has a law of its own, or it is named."""
    known = [(one.images, one.name, one.population) for one in classes if one.population is not None]
    if law != AUTO or len(known) <= _OWN_LAW:
        return None
    _, name, population = max(known, key=lambda one: one[0])
    choice = choose_law(population, law, sigma_max=sigma_max, work=search_work(population))
    reason = f"The {law_spec(choice.law).title} is used for all classes: it is that of class {name}, the largest of {len(known):,}."
    return replace(choice, reason=reason)


def _of_class(one: ClassPopulation, question: _Question, law: str, shared: LawChoice | None) -> ClassAnswer:
    population = one.population
    if population is not None:
        held = 0 if population.profiles is None else len(population.profiles)
        choice = shared if held >= FEWEST_PROFILES else None
        if choice is None:
            choice = choose_law(population, law, sigma_max=question.sigma_max, work=search_work(population))
        return _answer(one.name, population, one.share, question, choice)
    return ClassAnswer(
        name=one.name,
        images=one.images,
        share=one.share,
        n=_sizes(question, one.share),
        relative=np.full(question.sizes.size, np.nan),
        needed=None,
        in_every_band=None,
        law="",
        law_reason="",
        problem=f"cannot be answered: {one.problem}",
    )


def _sizes(question: _Question, share: float) -> IntArray:
    return np.round(question.sizes * share).astype(np.int64)


def _answer(name: str, population: Population, share: float, question: _Question, choice: LawChoice) -> ClassAnswer:
    modes = len(population.eigenvalues)
    bands = [*resolve_bands(question.bands, modes), Band(0, modes)]
    sizes = _sizes(question, share)
    found = images_needed(population, bands, question.sigma_max, question.tolerance, law=choice.law)
    *of_bands, needed = (None if answer is None else answer.n for answer in found)
    known = [n for n in of_bands if n is not None]
    return ClassAnswer(
        name=name,
        images=population.sample_size,
        share=share,
        n=sizes,
        relative=np.array([_relative(population, int(size), choice.law, question.sigma_max) for size in sizes]),
        needed=needed,
        in_every_band=max(known) if len(known) == len(of_bands) else None,
        law=choice.law,
        law_reason=choice.reason,
        problem="" if needed is not None else _problem(population),
    )


def _relative(population: Population, n: int, law: str, sigma_max: float) -> float:
    """The relative disagreement of all modes; NaN if n is one group or less, or beyond what the images determine."""
    if n < smallest_training_set(population):
        return math.nan
    splits = Splits(population, n, law=law)
    try:
        f = splits.sampling_map(0.0, sigma_max)
        bands = [Band(0, len(population.eigenvalues))]
        return float(splits.mean_disagreement(f, input_sigma=sigma_max, bands=bands, relative=True)[0])
    except UnidentifiedError:
        return math.nan


def _problem(population: Population) -> str:
    """Why no number of images is known at which the models agree."""
    images = population.sample_size
    most = largest_n(population)
    if images is None or most > images:
        return f"no practical number of images is enough, up to {most:.0e}".replace("e+", "e")
    return f"more than its {images:,} images: {ways_out(images, population.shape)}"


def classes_to_json(answers: ClassAnswers) -> dict[str, Any]:
    """Every number of the answers as plain lists and numbers."""

    def row(one: ClassAnswer) -> dict[str, Any]:
        return {
            "name": one.name,
            "images": one.images,
            "share": one.share,
            "n": one.n.tolist(),
            "relative": [None if math.isnan(value) else value for value in one.relative.tolist()],
            "needed": one.needed,
            "needed_in_every_band": one.in_every_band,
            "missing": one.missing,
            "needed_of_all_classes": one.of_all,
            "law": one.law,
            "law_reason": one.law_reason,
            "problem": one.problem,
        }

    return {
        "origin": answers.origin,
        "without_class": answers.without_class,
        "tolerance": answers.tolerance,
        "n": answers.sizes.tolist(),
        "reference_n": int(answers.sizes[answers.reference]),
        "classes": [row(one) for one in answers.classes],
        "mixture": row(answers.mixture),
        "needed_of_all_classes": answers.of_all,
        "sentences": list(answers.sentences),
        "note": CLASS_NOTE,
    }
