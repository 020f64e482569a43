"""Conditions of the theory, measured in the run that a claim is checked on."""

import numpy as np
import xarray as xr

from checks.claim import Assumption

# Below this overlap between noise vectors the mean-field results are compared; above it they are not claimed.
NEAR_ORTHOGONAL = 0.1


def linear_band(data: xr.Dataset) -> Assumption:
    """All pre-activations stay below their class offset, so that h(z) = 2z exactly."""
    return Assumption("linear band, max |z|/c", float(np.max(data.band_occupancy)), 1.0)


def near_orthogonal_noise(data: xr.Dataset) -> Assumption:
    """Training samples' noise vectors are nearly orthogonal, as they are when N ≪ L."""
    return Assumption(
        "noise overlap, max |⟨x_i,x_j⟩|/‖x_i‖²", float(np.max(data.noise_overlap)), NEAR_ORTHOGONAL
    )


def small_step(scaled_step: float, limit: float) -> Assumption:
    """The step size in units of the rate, ηκ, is small enough for what is claimed."""
    return Assumption("step size ηκ", scaled_step, limit)
