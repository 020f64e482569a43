"""Signals and noise of two prompts, all that the ratio of their mixture depends on (section 5)."""

from typing import Any, NamedTuple

import numpy as np

from theory.numerics.validation import Values, between, finite, positive, result

CAUCHY_SCHWARZ_SLACK = 1e-9
"""Relative excess of |C| over √(AB) that is taken for rounding."""


class Moments(NamedTuple):
    """s_G, s_L, A, B and C of a global and a local prompt: numbers or arrays, which broadcast.

    Functions of two prompts take it whole, or its five fields in this order: `optimal_mixing(*moments)`. A common
    factor of both noise vectors, such as σ_p, may be left out.

    Example:
        >>> pair = Moments(1.0, [1.0, 2.0], 1.0, 4.0, -0.5)
        >>> pair.ratio_local.tolist(), float(pair.correlation)
        ([0.5, 1.0], -0.25)
    """

    signal_global: Any
    """s_G, signal of the global prompt alone."""
    signal_local: Any
    """s_L, signal of the local prompt alone."""
    noise_global: Any
    """A = ‖u_G‖², squared norm of the global prompt's noise vector; positive."""
    noise_local: Any
    """B = ‖u_L‖²; positive."""
    noise_cross: Any
    """C = ⟨u_G, u_L⟩; at most √(AB) in absolute value."""

    @property
    def ratio_global(self) -> Values:
        """R_G = s_G/√A, in units of 1/σ_p."""
        return result(self.signal_global / np.sqrt(self.noise_global))

    @property
    def ratio_local(self) -> Values:
        """R_L = s_L/√B, in units of 1/σ_p."""
        return result(self.signal_local / np.sqrt(self.noise_local))

    @property
    def correlation(self) -> Values:
        """ρ = C/√(AB)."""
        return result(self.noise_cross / np.sqrt(np.multiply(self.noise_global, self.noise_local)))

    def checked(self) -> "Moments":
        """Return the moments as float64 arrays, C within ±√(AB).

        Raises:
            ValueError: A or B not positive; |C| above √(AB), but for rounding; signals that are not finite.

        >>> Moments(1.0, 1.0, 1.0, 4.0, 3.0).checked()
        Traceback (most recent call last):
        ...
        ValueError: `noise_cross` is 3.0; allowed: finite numbers from -2 to 2
        """
        s_global, s_local = (finite(name, getattr(self, name)) for name in ("signal_global", "signal_local"))
        a, b = positive("noise_global", self.noise_global), positive("noise_local", self.noise_local)
        largest = np.sqrt(a) * np.sqrt(b)
        slack = largest * (1 + CAUCHY_SCHWARZ_SLACK)
        c = between("noise_cross", self.noise_cross, -slack, slack)
        return Moments(s_global, s_local, a, b, np.clip(c, -largest, largest))
