"""One sweep over clients, group size and local share, for every claim about what θ* depends on."""

import functools

import numpy as np
import xarray as xr

from promptfolio.checks.claim import Scale
from promptfolio.checks.settings.mixing import compare_mixing, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting
from theory.mixing.leading_order import strict_advantage

STEP_SIZE = 0.02
"""ηκ_L of the one step taken: early enough for leading order."""

SWEEPS: dict[str, tuple[SymmetricSetting, ...]] = {
    "clients": tuple(SymmetricSetting(clients=clients) for clients in (2, 4, 8, 16)),
    "group_size": tuple(SymmetricSetting(clients=8, group_size=group_size) for group_size in (1, 2, 4, 8)),
    "local_share": tuple(
        SymmetricSetting(clients=4, local_share=share) for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    ),
    "irrelevant": (
        SymmetricSetting(clients=4, noise_std=2.0, noise_feature_sq=0.3),
        SymmetricSetting(clients=4, samples=5, strength=1.2),
    ),
}
"""Settings by what varies; "irrelevant" holds what θ* must not depend on: n, σ_p, e and the signal's strength."""


@functools.cache
def mixing_sweep(scale: Scale) -> xr.Dataset:
    """θ* and accuracy curves after one small post-hoc step, over `SWEEPS` (quick: at most three of each).

    A process computes it once.

    Returns:
        What `compare_mixing` returns at its one step, with a leading dimension ``setting`` whose coordinates
        are sweep, clients, group size, local_share and samples; and advantage_predicted.
    """
    noise_dim, replicates = (8000, 4) if scale == "quick" else (20000, 8)

    @functools.cache  # two sweeps may meet in one setting
    def compared(setting: SymmetricSetting) -> xr.Dataset:
        return compare_mixing(setting, "posthoc", (1,), theta_grid(0.005), replicates=replicates)

    parts = []
    for sweep, settings in SWEEPS.items():
        for base in settings if scale == "full" else _few(settings):
            setting = SymmetricSetting(**{**vars(base), "noise_dim": noise_dim, "step_size": STEP_SIZE})
            advantage = bool(strict_advantage(setting.equal_clients))
            part = compared(setting).assign(advantage_predicted=advantage)
            coords = {
                name: getattr(setting, name) for name in ("clients", "group_size", "local_share", "samples")
            }
            parts.append(part.isel(step=0).assign_coords(sweep=sweep, **coords))
    return xr.concat(parts, "setting", coords="different", compat="equals")


def _few(settings: tuple[SymmetricSetting, ...]) -> tuple[SymmetricSetting, ...]:
    """The first two and the last; where no advantage is predicted is at the end of a sweep."""
    return settings if len(settings) < 3 else (*settings[:2], settings[-1])


def along(data: xr.Dataset, sweep: str) -> xr.Dataset:
    """The settings of one sweep, in order."""
    return data.isel(setting=np.flatnonzero(data.sweep == sweep))
