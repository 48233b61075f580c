"""
C++ core of kappaflow; the public names are in the package above it.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing

__all__: list[str] = [
    "ConvergenceError",
    "EmpiricalLaw",
    "EmpiricalNodes",
    "KappaResult",
    "LinearAlgebra",
    "Mean",
    "ModeCovariance",
    "Moments",
    "RadialScales",
    "SpectralFunction",
    "Spectrum",
    "Splits",
    "Terms",
    "UnidentifiedError",
    "df1",
    "df2",
    "gram_eigensystem",
    "solve_kappa",
    "spectral_density",
    "spectral_support",
    "symmetric_eigensystem",
]

class ConvergenceError(RuntimeError):
    pass

class UnidentifiedError(ValueError):
    pass

class LinearAlgebra:
    """
    BLAS and LAPACK routines taken from SciPy's Cython capsules.
    """
    def __init__(self, syevd: typing.Any = None, syrk: typing.Any = None, gemm: typing.Any = None) -> None: ...

class Moments:
    """
    Mean and covariance of a stream of samples, one pass, mergeable.
    """
    def __copy__(self) -> Moments: ...
    def __deepcopy__(self, memo: typing.Any) -> Moments: ...
    @typing.overload
    def __init__(self, dimension: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @typing.overload
    def __init__(
        self,
        count: typing.SupportsInt | typing.SupportsIndex,
        mean: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        scatter: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
    ) -> None: ...
    def add(
        self,
        block: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.c_contiguous"],
        library: LinearAlgebra,
    ) -> None: ...
    def covariance(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def merge(self, other: Moments) -> None: ...
    def scatter(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    @property
    def count(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    @property
    def mean(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...

class Spectrum:
    """
    Eigenvalues with multiplicities, in the caller's order.
    """
    def __init__(
        self,
        eigenvalues: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        multiplicity: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    ) -> None: ...
    def __reduce__(
        self,
    ) -> tuple[
        type,
        tuple[
            typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
            typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        ],
    ]: ...
    def compressed(self, nodes_per_decade: typing.SupportsInt | typing.SupportsIndex = 12) -> Spectrum: ...
    @property
    def dimension(self) -> float: ...
    @property
    def eigenvalues(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def multiplicity(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def rank(self) -> float: ...
    @property
    def trace(self) -> float: ...

class KappaResult:
    """
    Solution of the Silverstein equation, one entry per noise variance.
    """
    @property
    def certified(self) -> list[bool]: ...
    @property
    def derivative(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def df1(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def good(self) -> bool: ...
    @property
    def iterations(self) -> typing.Annotated[numpy.typing.NDArray[numpy.int32], "[m, 1]"]: ...
    @property
    def kappa(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def residual(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def total_terms(self) -> int: ...

class SpectralFunction:
    """
    f(x) = c + sum_i w_i x/(x + t_i), an immutable value.
    """
    @staticmethod
    def denoiser(sigma: typing.SupportsFloat | typing.SupportsIndex) -> SpectralFunction: ...
    @staticmethod
    def matrix_power(
        alpha: typing.SupportsFloat | typing.SupportsIndex,
        low: typing.SupportsFloat | typing.SupportsIndex,
        high: typing.SupportsFloat | typing.SupportsIndex,
        tolerance: typing.SupportsFloat | typing.SupportsIndex,
    ) -> SpectralFunction: ...
    @staticmethod
    def sampling_map(
        sigma: typing.SupportsFloat | typing.SupportsIndex,
        sigma_max: typing.SupportsFloat | typing.SupportsIndex,
        low: typing.SupportsFloat | typing.SupportsIndex,
        high: typing.SupportsFloat | typing.SupportsIndex,
        tolerance: typing.SupportsFloat | typing.SupportsIndex,
    ) -> SpectralFunction: ...
    def __call__(self, x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...
    def __init__(
        self,
        constant: typing.SupportsFloat | typing.SupportsIndex,
        weights: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        shifts: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        error_bound: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    ) -> None: ...
    def __reduce__(
        self,
    ) -> tuple[
        type,
        tuple[
            float,
            typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
            typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
            float,
        ],
    ]: ...
    def __repr__(self) -> str: ...
    @property
    def constant(self) -> float:
        """
        c = f(0)
        """
    @property
    def error_bound(self) -> float:
        """
        bound on the relative error on the support
        """
    @property
    def shifts(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def weights(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...

class ModeCovariance:
    """
    Covariance of two maps over training sets, in the eigenbasis.
    """
    def apply(
        self, weights: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"]
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def bilinear(
        self,
        a: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
        c: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def diagonal(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @typing.overload
    def matrix(
        self, modes: typing.Annotated[numpy.typing.NDArray[numpy.int32], "[m, 1]"]
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    @typing.overload
    def matrix(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def output(
        self,
        x: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
        y: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def radial_bilinear(
        self,
        a: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
        c: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def radial_diagonal(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def has_exchange(self) -> bool: ...
    @property
    def interpolated(self) -> bool: ...
    @property
    def mean_term(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def modes(self) -> int: ...

class RadialScales:
    """
    Sizes of samples, of mean 1.
    """
    @typing.overload
    def __init__(self, sizes: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]) -> None: ...
    @typing.overload
    def __init__(
        self,
        profiles: numpy.typing.NDArray[numpy.float32],
        eigenvalues: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        library: LinearAlgebra,
    ) -> None: ...
    def at(
        self, shift: typing.SupportsFloat | typing.SupportsIndex
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def size(self) -> int: ...

class Mean:
    """
    Members:

      known

      estimated
    """

    __members__: typing.ClassVar[dict[str, Mean]]
    estimated: typing.ClassVar[Mean]
    known: typing.ClassVar[Mean]
    @typing.overload
    def __eq__(self, other: Mean) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: Mean) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Terms:
    """
    Members:

      full

      published
    """

    __members__: typing.ClassVar[dict[str, Terms]]
    full: typing.ClassVar[Terms]
    published: typing.ClassVar[Terms]
    @typing.overload
    def __eq__(self, other: Terms) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: Terms) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Splits:
    """
    The ensemble of training sets of n samples.
    """
    def __init__(
        self,
        spectrum: Spectrum,
        n: typing.SupportsFloat | typing.SupportsIndex,
        mean: Mean,
        terms: Terms,
        sample_size: typing.SupportsFloat | typing.SupportsIndex = ...,
        scales: RadialScales | None = None,
    ) -> None: ...
    def covariance(self, f: SpectralFunction, g: SpectralFunction) -> ModeCovariance: ...
    def equal_mode_excess(
        self, f: SpectralFunction, g: SpectralFunction
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def equal_mode_variance(
        self, f: SpectralFunction
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def expectation(self, f: SpectralFunction) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def expectation_correction(
        self, f: SpectralFunction
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def kappa(self, noise_variance: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]) -> KappaResult: ...
    def kappa_correction(
        self, noise_variance: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def sampling_map(
        self,
        sigma: typing.SupportsFloat | typing.SupportsIndex,
        sigma_max: typing.SupportsFloat | typing.SupportsIndex,
        tolerance: typing.SupportsFloat | typing.SupportsIndex,
    ) -> SpectralFunction: ...
    def support(self) -> tuple[float, float]: ...
    @property
    def degrees(self) -> float: ...

class EmpiricalNodes:
    """
    Solution of the empirical law's fixed point at some shifts.
    """
    @property
    def iterations(self) -> typing.Annotated[numpy.typing.NDArray[numpy.int32], "[m, 1]"]: ...
    @property
    def leverage(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    @property
    def remaining(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    @property
    def residual(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def shifts(self) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...

class EmpiricalLaw:
    """
    The law of any i.i.d. data, from samples in mode coordinates.
    """
    def __init__(
        self,
        profiles: typing.Annotated[numpy.typing.NDArray[numpy.float32], "[m, n]", "flags.c_contiguous"],
        eigenvalues: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
        n: typing.SupportsFloat | typing.SupportsIndex,
        mean: Mean,
        library: LinearAlgebra,
        groups: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [],
    ) -> None: ...
    def expectation(
        self,
        nodes: EmpiricalNodes,
        weights: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        constant: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def influence(
        self,
        nodes: EmpiricalNodes,
        f: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def ladder_covariance(
        self,
        nodes: EmpiricalNodes,
        f: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        g: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        y: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    def mode_covariance(
        self,
        nodes: EmpiricalNodes,
        f: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        g: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def output_covariance(
        self,
        nodes: EmpiricalNodes,
        f: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        g: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, n]"],
        y: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, n]"],
        groups: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, n]"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"]: ...
    def solve(self, shifts: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"]) -> EmpiricalNodes: ...
    def spread(
        self,
        nodes: EmpiricalNodes,
        f: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        g: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
        variance: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, 1]"],
    ) -> typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"]: ...
    @property
    def group_size(self) -> float: ...
    @property
    def groups(self) -> int: ...

def df1(kappa: typing.SupportsFloat | typing.SupportsIndex, spectrum: Spectrum) -> float: ...
def df2(
    kappa: typing.SupportsFloat | typing.SupportsIndex,
    kappa2: typing.SupportsFloat | typing.SupportsIndex,
    spectrum: Spectrum,
) -> float: ...
def gram_eigensystem(
    samples: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]", "flags.f_contiguous"],
    divisor: typing.SupportsFloat | typing.SupportsIndex,
    vectors: bool,
    library: LinearAlgebra,
) -> tuple[
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"],
]:
    """
    Non-zero eigenvalues and eigenvectors of X'X/divisor through the Gram matrix of N < d centred samples.
    """

def solve_kappa(
    noise_variance: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    spectrum: Spectrum,
    m: typing.SupportsFloat | typing.SupportsIndex,
    max_iterations: typing.SupportsInt | typing.SupportsIndex = 500,
) -> KappaResult: ...
def spectral_density(
    x: typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    spectrum: Spectrum,
    m: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
]: ...
def spectral_support(
    spectrum: Spectrum, m: typing.SupportsFloat | typing.SupportsIndex
) -> tuple[typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"], float]: ...
def symmetric_eigensystem(
    matrix: typing.Annotated[numpy.typing.ArrayLike, numpy.float64, "[m, n]"], vectors: bool, library: LinearAlgebra
) -> tuple[
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, 1]"],
    typing.Annotated[numpy.typing.NDArray[numpy.float64], "[m, n]"],
]:
    """
    Descending eigenvalues (d,) and eigenvectors (d, d) of a symmetric matrix.
    """

__version__: str = "0.1.0"
