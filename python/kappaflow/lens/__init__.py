r"""The linear lens: exact results about diffusion models that follow from the mean and covariance of the data alone.

There is a room for each subject. All use the same :class:`~kappaflow.Population`; each has its theory and a `study`, which
computes everything that a page shows:

* :mod:`.scores`: how much of a denoiser each closed-form score of :mod:`kappaflow.models.scores` explains
* :mod:`.trajectories`: schedules, closed forms, and trajectories over training sets of n
* :mod:`.teleport`: skip the early steps of a sampler, also that of `diffusers` pipelines
* :mod:`.receptive_field`: which pixels the best linear denoiser looks at, for stationary data too, and networks
* :mod:`.architecture`: optimal denoisers under constraints, and the law that they generate
* :mod:`.learning`: how modes are learned, and when they emerge

The difference of two models is the subject of :class:`~kappaflow.Splits`. Denoisers are functions of rows,
:class:`~kappaflow.models.rows.RowDenoiser`; :mod:`kappaflow.models.layout` makes them from networks. Only modules for networks
or pipelines need torch.

Conventions: x_σ = x₀ + σz (variance exploding) unless a schedule says otherwise, probability flow dx/d ln σ = x − D(x; σ),
loss E‖D(x₀ + σz; σ) − x₀‖² summed over pixels, without ½: this fixes every factor 2. Samples are rows, modes are columns.
"""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
