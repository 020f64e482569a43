"""Certificates beside simulations: what was proved free of rounding, for the very numbers of a run."""

from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr

from promptfolio.checks.claim import Comparison, compare
from theory.numerics.certificate import Certificate


def record(data: xr.Dataset, certify: Callable[[], Iterable[Certificate]]) -> xr.Dataset:
    """Prove, and put the outcome into a claim's dataset.

    Args:
        data: any.
        certify: makes the certificates; called once.

    Returns:
        The dataset with, per certificate, certified_stated and certified_shown (inequalities), certified_gap
        (the smallest) and certified_bits (precision).

    Raises:
        ValueError: there is no certificate, or one that states nothing.
    """
    certificates = list(certify())
    if not certificates or any(certificate.stated < 1 for certificate in certificates):
        stated = [certificate.stated for certificate in certificates]
        raise ValueError(f"certificates state {stated} inequalities; allowed: at least one each")
    columns = {
        "certified_stated": [certificate.stated for certificate in certificates],
        "certified_shown": [certificate.shown for certificate in certificates],
        "certified_gap": [certificate.smallest_gap for certificate in certificates],
        "certified_bits": [certificate.precision_bits for certificate in certificates],
    }
    data = data.assign({name: ("certificate", values) for name, values in columns.items()})
    return data.assign_coords(certificate=[certificate.statement for certificate in certificates])


def comparison(data: xr.Dataset) -> Comparison:
    """Inequalities proved against inequalities stated: none may be missing."""
    gaps = data.certified_gap.values
    smallest = np.min(gaps, initial=np.inf, where=np.isfinite(gaps))
    return compare(
        f"inequalities that are proved, of all that the claim makes (smallest gap {smallest:.2g})",
        data.certified_shown.sum(),
        data.certified_stated.sum(),
        bound="certified",
        tolerance=0,
    )
