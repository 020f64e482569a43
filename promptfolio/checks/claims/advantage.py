"""(T16): the best mixture beats both prompts, and by how much: searched for, and proved."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions, certified
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.largest import largest
from promptfolio.checks.settings.assets import asset_moments, maximise_ratio, varied_portfolios
from theory.mixing.advantage import equality_correlation, optimal_ratio_squared
from theory.mixing.moments import Moments
from theory.mixing.tangency import mixture_ratio
from theory.numerics.advantage_certificate import certify_advantage
from theory.numerics.certificate import Certificate

CLAIM = Claim(
    name="advantage",
    equation="T16",
    provenance="paper",
    title="Portfolio advantage",
    statement="The mixture keeps the income and lowers the risk (the paper's abstract): its best ratio is at least"
    " that of each prompt. With θ* strictly between 0 and 1 it is √((R_G² + R_L² − 2ρR_GR_L)/(1−ρ²)), ρ the"
    " correlation of the two prompts' noise; at ρ = min(R)/max(R) mixing gains nothing.",
    bound="exact",
    figure="mixing_curves",
    bears_on=("income_and_risk", "beats_both"),
    together="varied_portfolios",
)


def collect(scale: Scale) -> xr.Dataset:
    """Trained pairs, and the same noise vectors with the weaker signal set to the equality case."""
    pairs = varied_portfolios(replicates=2 if scale == "quick" else 10)
    moments = asset_moments(pairs)
    noise_std, correlation = pairs.attrs["noise_std"], np.asarray(moments.correlation)
    ratio_global = np.asarray(moments.ratio_global) / noise_std
    ratio_local = np.asarray(moments.ratio_local) / noise_std
    # Lower the local signal until R_L = ρ R_G: there, mixing can gain nothing.
    equal_case = np.flatnonzero(correlation > 0.05)
    at_equality = correlation * moments.ratio_global * np.sqrt(moments.noise_local)
    lowered = Moments(*(values[equal_case] for values in moments._replace(signal_local=at_equality)))

    columns = {
        "ratio_global": ratio_global,
        "ratio_local": ratio_local,
        "correlation": correlation,
        "ratio_best": maximise_ratio(moments)[1] / noise_std,
        "ratio_formula": np.sqrt(optimal_ratio_squared(ratio_global, ratio_local, correlation)),
    }
    data = pairs.assign({name: ("point", values) for name, values in columns.items()})
    data["equality_best"] = ("equality", maximise_ratio(lowered)[1] / noise_std)
    data["equality_single"] = ("equality", mixture_ratio(0.0, lowered) / noise_std)
    data["equality_predicted"] = (
        "equality",
        equality_correlation(ratio_global[equal_case], (correlation * ratio_global)[equal_case]),
    )
    data["equality_correlation"] = ("equality", correlation[equal_case])
    return certified.record(data, lambda: _certificates(moments))


def _certificates(moments: Moments) -> Iterator[Certificate]:
    """T16 for every pair, and where ρ > 0 once more with the local signal at ρ R_G exactly: s_G C/A as a
    fraction."""
    for numbers in zip(*(values.tolist() for values in moments), strict=True):
        yield certify_advantage(Moments(*numbers))
        s_global, _, a, b, c = map(Fraction, numbers)
        if c > 0:
            yield certify_advantage(Moments(s_global, s_global * c / a, a, b, c))


def judge(data: xr.Dataset) -> Finding:
    """Best ratio against formula and against both prompts; the equality case against the single prompt; and all
    of it proved for the same moments, in rational arithmetic."""
    better = np.maximum(data.ratio_global, data.ratio_local)
    return Finding(
        CLAIM,
        (
            compare(
                "best ratio found by search, relative to the formula",
                data.ratio_best / data.ratio_formula,
                1,
                bound="exact",
                tolerance=1e-8,
            ),
            compare(
                "best ratio of a mixture, at least the better prompt's",
                data.ratio_best,
                better,
                bound="lower",
                tolerance=1e-12 * better,
            ),
            compare(
                "largest ratio of a mixture relative to the better prompt's, visibly above 1",
                largest(data.ratio_best / better),
                1.05,
                bound="lower",
                tolerance=0,
            ),
            compare(
                "best ratio where ρ = min(R)/max(R), relative to the better prompt's",
                data.equality_best / data.equality_single,
                1,
                bound="exact",
                tolerance=1e-8,
            ),
            compare(
                "correlation ρ in that case, against min(R)/max(R)",
                data.equality_correlation,
                data.equality_predicted,
                bound="exact",
                tolerance=1e-10,
            ),
            certified.comparison(data),
        ),
        assumptions.measured(data),
    )
