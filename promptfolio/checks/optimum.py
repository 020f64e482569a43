"""θ* of measured and predicted curves, by one rule; how well seeds determine it, and what a predicted θ* loses.

θ* is where a ratio is largest, or the logarithm of an error smallest, never where an accuracy is: accuracies of
good mixtures round to 1. Between the θ of a run it is interpolated by a cubic spline
(`theory.numerics.best.best_place`).
"""

import math
from typing import Any

import numpy as np
import xarray as xr
from scipy.interpolate import CubicSpline
from scipy.special import log_ndtr, logsumexp

from simulate.experiment import TrainingScheme
from theory.numerics.best import ROUNDING, best_place

LEVEL = 0.95
"""Chance that the interval of θ* covers it."""


def best_theta(
    curves: xr.DataArray, scheme: TrainingScheme = "posthoc", *, rounding: float = ROUNDING
) -> xr.Dataset:
    """θ* of every curve: the θ with the largest value.

    Args:
        curves: ratios, or logarithms of errors with their sign changed, along θ and any other dimensions.
        scheme: under which the mixtures were trained: it says in which function of θ curves are smooth.
        rounding: relative difference of the values that arithmetic explains: a curve that varies no more has no
            best θ.

    Returns:
        Along the other dimensions: theta, NaN where all θ are equally good; tied_low and tied_high, the first and
        last θ that are as good as any (both θ* where it is one); flat, whether there are several.

    Raises:
        ValueError: a value is NaN.

    Example:
        >>> theta = np.linspace(0, 1, 11)
        >>> curve = xr.DataArray(1 - (theta - 0.33) ** 2, {"theta": theta}, "theta")
        >>> best = best_theta(xr.concat([curve, 0 * curve], "case"))
        >>> best.theta.round(3).values.tolist(), best.flat.values.tolist()
        ([0.33, nan], [False, True])
    """
    ordered = curves.transpose("theta", ...)
    theta, values = ordered.theta.values, ordered.values.astype(np.float64)
    best = best_place(_share(theta, scheme), values)
    # the middle of several places is that of their θ
    place = np.where(best.flat, best_place(theta, values).place, _from_share(best.place, scheme))
    low, high = (np.where(best.flat, _from_share(end, scheme), place) for end in (best.low, best.high))
    with np.errstate(invalid="ignore"):
        level = np.ptp(values, axis=0) <= rounding * np.abs(values).max(axis=0)
    level |= (values == values[0]).all(axis=0)
    dims, ends = ordered.dims[1:], theta[[0, -1]]
    found: dict[str, Any] = {
        "theta": (dims, np.where(level, np.nan, place)),
        "tied_low": (dims, np.where(level, ends[0], low)),
        "tied_high": (dims, np.where(level, ends[1], high)),
        "flat": (dims, best.flat | level),
    }
    coords = {name: coord for name, coord in ordered.coords.items() if "theta" not in coord.dims}
    return xr.Dataset(found, coords)


def theta_interval(
    curves: xr.DataArray, scheme: TrainingScheme = "posthoc", *, rounding: float = ROUNDING
) -> xr.Dataset:
    """An interval of θ* of the mean curve that covers it with chance `LEVEL`, by the jackknife over seeds.

    Leaving out one seed at a time gives n values of θ*, and √((n−1)/n Σ (θ_i − mean)²) as standard error; the
    interval is θ* ± Student's t with n − 1 degrees of freedom times it, cut at 0 and 1. It needs curves that are
    averaged over independent seeds, and a θ* that follows them smoothly: where θ* is at an end of [0, 1] for every
    seed left out, the interval has no width.

    Args:
        curves: as in `best_theta`, with the dimension seed.
        scheme, rounding: as in `best_theta`.

    Returns:
        low and high; NaN, unknown, for a single seed or where a mean curve has no best θ.

    Example:
        >>> theta = xr.DataArray(np.linspace(0, 1, 11), dims="theta", name="theta").assign_coords(
        ...     theta=np.linspace(0, 1, 11))
        >>> peaks = xr.DataArray([0.3, 0.4, 0.5], dims="seed")
        >>> interval = theta_interval(-((theta - peaks) ** 2))
        >>> float(interval.low.round(3)), float(interval.high.round(3))
        (0.152, 0.648)
    """
    seeds = curves.sizes["seed"]
    mean = curves.astype(np.float64).mean("seed", skipna=False)
    best = best_theta(mean, scheme, rounding=rounding).theta
    if seeds < 2:
        return xr.Dataset({"low": best * math.nan, "high": best * math.nan})
    from scipy.stats import t  # of many parts, which one seed can do without

    others = (seeds * mean - curves) / (seeds - 1)
    without = best_theta(others, scheme, rounding=rounding).theta
    error = np.sqrt((seeds - 1) * without.var("seed", skipna=False))
    margin = float(t.isf((1 - LEVEL) / 2, seeds - 1)) * error
    return xr.Dataset({"low": (best - margin).clip(0, 1), "high": (best + margin).clip(0, 1)})


def mean_log_error(ratio: xr.DataArray, over: str | tuple[str, ...]) -> xr.DataArray:
    """Natural logarithm of the mean test error Φ(−R) over some dimensions, without underflow (T7).

    Example:
        >>> ratio = xr.DataArray([40.0, 50.0], dims="client")
        >>> round(float(mean_log_error(ratio, "client")), 1)
        -805.3
    """
    return mean_of_logarithms(xr.apply_ufunc(log_ndtr, -ratio.astype(np.float64)), over)


def mean_of_logarithms(logarithms: xr.DataArray, over: str | tuple[str, ...]) -> xr.DataArray:
    """log of the mean of the numbers whose logarithms are given, over some dimensions, without underflow.

    Example:
        >>> float(mean_of_logarithms(xr.DataArray([-2000.0, -2000.0], dims="seed"), "seed"))
        -2000.0
    """
    names = (over,) if isinstance(over, str) else over
    count = math.prod(logarithms.sizes[name] for name in names)
    axes = tuple(range(-len(names), 0))
    summed = xr.apply_ufunc(logsumexp, logarithms, input_core_dims=[names], kwargs={"axis": axes})
    return summed - math.log(count)


def regret(curves: xr.DataArray, predicted: xr.DataArray, scheme: TrainingScheme = "posthoc") -> xr.DataArray:
    """By how much the value at a predicted θ falls short of the best value: at least 0.

    Args:
        curves: as in `best_theta`.
        predicted: θ, along the curves' other dimensions.
        scheme: as in `best_theta`.

    Example:
        >>> theta = np.linspace(0, 1, 11)
        >>> curve = xr.DataArray(1 - (theta - 0.33) ** 2, {"theta": theta}, "theta")
        >>> float(regret(curve, xr.DataArray(0.43)).round(6))
        0.01
    """
    ordered = curves.transpose("theta", ...)
    best = best_theta(ordered, scheme)
    grid = _share(ordered.theta.values, scheme)
    places = [
        _share(np.broadcast_to(part.values, ordered.shape[1:]), scheme).ravel()
        for part in (best.theta.fillna(best.tied_low), predicted.broadcast_like(best.theta))
    ]
    values = ordered.values.astype(np.float64).reshape(grid.size, -1)
    lost = np.empty(values.shape[1])
    for index, (top, chosen) in enumerate(zip(*places, strict=True)):
        curve = CubicSpline(grid, values[:, index])
        highest = max(float(curve(top)), float(values[:, index].max()))
        lost[index] = max(highest - float(curve(chosen)), 0.0)
    return best.theta.copy(data=lost.reshape(ordered.shape[1:]))


def _share(theta: np.ndarray, scheme: TrainingScheme) -> np.ndarray:
    """The local prompt's share of the two effective weights, in which a curve is that of two fixed assets.

    Joint training gives the prompts the weights (1−θ)² and θ², detached training 1−θ and θ² (T21, T25);
    fine-tuning mixes the global prompt with the one it led to.
    """
    shared, local = {
        "posthoc": (1 - theta, theta),
        "joint": ((1 - theta) ** 2, theta**2),
        "detached": (1 - theta, theta**2),
        "finetuned": (1 - theta, theta),
    }[scheme]
    return local / (shared + local)


def _from_share(share: np.ndarray, scheme: TrainingScheme) -> np.ndarray:
    """The θ that has this share of the effective weights."""
    root = np.sqrt(share)
    if scheme == "joint":
        return np.asarray(root / (root + np.sqrt(1 - share)))
    if scheme == "detached":
        return np.asarray(2 * root / (root + np.sqrt(4 - 3 * share)))
    return np.asarray(share)
