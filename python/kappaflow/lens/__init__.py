r"""The linear lens: what mean and covariance of the data alone say of a diffusion model, exactly.

A room per subject, all on the same :class:`~kappaflow.Population`: :mod:`.scores` (Gaussian, mixture and delta scores, and how
much of a denoiser each explains), :mod:`.trajectories` (closed-form sampling, for any noise schedule), :mod:`.teleport`
(skip the early steps of a sampler), :mod:`.receptive_field` (the Jacobian of the denoiser), :mod:`.architecture` (optimal
denoisers under constraints, and the law that they generate), :mod:`.learning` (the same during training). How two models
differ is :class:`~kappaflow.Splits`.

Conventions: x_σ = x₀ + σz (variance exploding) unless a schedule says otherwise, probability flow dx/d ln σ = x − D(x; σ),
loss E‖D(x₀ + σz; σ) − x₀‖² summed over pixels, without ½: this fixes every factor 2. Samples are rows, modes are columns.
"""
