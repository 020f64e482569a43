"""Accuracy against ratio R: all runs lie on the curve Φ(R) (T7)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import norm

from figures.style import MARKERS, TEXT_WIDTH, letter, panels

ORDER = 2
NEEDS = ("accuracy",)
CAPTION = (
    "Accuracy counted on fresh samples against the ratio R, for all activations, θ, clients and times."
    " Right: distance from Φ(R) in standard errors of the count; the lines bound 99 % of them."
)
_NAMES = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "tanh": "tanh",
    "softplus": "softplus",
    "relu_power": "ReLU²",
}


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `accuracy` claim's dataset."""
    data = datasets["accuracy"]
    figure, (left, right) = panels(2, TEXT_WIDTH, 2.5)
    exact = norm.cdf(data.ratio)
    error = np.sqrt(exact * (1 - exact) / data.attrs["fresh_samples"])
    span = np.linspace(float(data.ratio.min()) - 0.2, float(data.ratio.max()) + 0.2, 400)
    left.plot(span, norm.cdf(span), color="black", lw=0.9, zorder=1, label="Φ(R)")
    right.axhline(0, color="black", lw=0.9)
    for limit in norm.ppf([0.005, 0.995]):
        right.axhline(limit, color="black", lw=0.7, ls=(0, (4, 3)))
    activations = [name for name in _NAMES if name in data.activation.values]
    for index, (activation, marker) in enumerate(zip(activations, MARKERS, strict=False)):
        chosen = (data.activation == activation).values
        style: dict[str, Any] = {
            "marker": marker,
            "ls": "",
            "color": f"C{index}",
            "mec": "white",
            "mew": 0.3,
            "label": _NAMES[activation],
        }
        left.plot(data.ratio[chosen], data.counted[chosen], **style)
        right.plot(data.ratio[chosen], ((data.counted - exact) / error)[chosen], **style)
    left.set_ylabel("accuracy on fresh samples")
    right.set_ylabel("(counted − Φ(R)) / standard error")
    right.set_ylim(-4.5, 4.5)
    for axis in (left, right):
        axis.set_xlabel("ratio  $R$")
    left.legend(loc="lower right")
    letter((left, right), ["all runs on one curve", "residuals"])
    return figure
