r"""The linear lens: what mean and covariance of the data alone say of a diffusion model, exactly.

A room per subject, all on the same :class:`~kappaflow.Population`; modules in the order of a reader:

* scores: :mod:`.scores` (Gaussian, mixture, delta), :mod:`.comparison` (how much of a denoiser each explains)
* trajectories: :mod:`.schedules`, :mod:`.trajectories` (closed forms), :mod:`.trajectory_splits` (over training sets of n)
* teleport: :mod:`.teleport` (skip the early steps of a sampler), :mod:`.pipelines` (of `diffusers`)
* receptive fields: :mod:`.receptive_field`, which gathers :mod:`.jacobian`, :mod:`.field_size` and :mod:`.circulant`;
  :mod:`.network_receptive_field`
* architecture: :mod:`.architecture` (optimal denoisers under constraints), :mod:`.stationary`, :mod:`.patch_filters` (what they
  are made of), :mod:`.generated` (the law that they generate)
* learning: :mod:`.learning`, :mod:`.matrix_learning`, :mod:`.patch_learning`, :mod:`.emergence`

``*_study`` modules compute all that a page shows. How two models differ is :class:`~kappaflow.Splits`. Denoisers are functions of
rows, :class:`~.denoisers.Denoiser`; :mod:`.networks` makes them of networks. Only modules that name networks or pipelines need
torch.

Conventions: x_σ = x₀ + σz (variance exploding) unless a schedule says otherwise, probability flow dx/d ln σ = x − D(x; σ),
loss E‖D(x₀ + σz; σ) − x₀‖² summed over pixels, without ½: this fixes every factor 2. Samples are rows, modes are columns.
"""
