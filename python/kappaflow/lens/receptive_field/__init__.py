"""Receptive fields of the best linear denoiser, and of networks.

* :mod:`.linear_jacobian`: rows of the Jacobian of the best linear denoiser
* :mod:`.training_sets`: their mean and spread over training sets of n samples
* :mod:`.field_size`: size of a field
* :mod:`.equivariance`: how close the fields of different pixels are to shifts of one another
* :mod:`.stationary_fields`, :mod:`.power_laws`: stationary data, and closed forms for spectra that are power laws
* :mod:`.denoiser_jacobian`: networks (torch is needed when it is called), and any other denoiser
* :mod:`.study`: everything that the page on receptive fields shows
"""

from .denoiser_jacobian import (
    FieldStatistics,
    difference_receptive_field,
    network_receptive_field,
    noised,
)
from .equivariance import default_radius, equivariance_error, local_equivariance_error
from .field_size import FieldSize, field_size
from .linear_jacobian import (
    CHANNELS,
    collapse_channels,
    degrees_of_freedom,
    denoiser_gains,
    jacobian_rows,
    receptive_field,
)
from .power_laws import (
    PowerLawFit,
    RadialAverage,
    fit_power_law,
    lattice_field,
    lattice_spectrum,
    power_law_defect,
    power_law_field,
    power_law_field_2d,
    power_law_size,
    power_law_spectrum,
    radial_average,
)
from .stationary_fields import frequencies, stationary_field, stationary_spectrum
from .study import ReceptiveFieldStudy, receptive_field_study
from .training_sets import (
    expected_degrees_of_freedom,
    expected_receptive_field,
    receptive_field_spread,
    receptive_field_variance,
)

__all__ = [
    "CHANNELS",
    "FieldSize",
    "FieldStatistics",
    "PowerLawFit",
    "RadialAverage",
    "ReceptiveFieldStudy",
    "collapse_channels",
    "default_radius",
    "degrees_of_freedom",
    "denoiser_gains",
    "difference_receptive_field",
    "equivariance_error",
    "expected_degrees_of_freedom",
    "expected_receptive_field",
    "field_size",
    "fit_power_law",
    "frequencies",
    "jacobian_rows",
    "lattice_field",
    "lattice_spectrum",
    "local_equivariance_error",
    "network_receptive_field",
    "noised",
    "power_law_defect",
    "power_law_field",
    "power_law_field_2d",
    "power_law_size",
    "power_law_spectrum",
    "radial_average",
    "receptive_field",
    "receptive_field_spread",
    "receptive_field_study",
    "receptive_field_variance",
    "stationary_field",
    "stationary_spectrum",
]
