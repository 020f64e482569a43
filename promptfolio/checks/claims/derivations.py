"""Every formula is derived from the model by steps that SymPy verifies, one by one."""

import xarray as xr

from promptfolio.checks.claim import Claim, Finding, Scale, compare
from theory.proof.catalogue import derive, results
from theory.proof.derivation import DerivationError

CLAIM = Claim(
    name="derivations",
    equation="T1 to T29",
    provenance="derived",
    title="Derivations",
    statement="Every result is proved from the model by a chain of equalities and inequalities, each verified by"
    " SymPy, down to the expression that the numbers are computed from (docs/derivations.md).",
    bound="exact",
    cost=7,
)


def collect(scale: Scale) -> xr.Dataset:
    """Derive every result; a step that SymPy cannot verify stops its derivation."""
    verified, broken = [], []
    for tag in results():
        try:
            verified.append(sum(step.how != "assumed" for step in derive(tag).steps))
            broken.append("")
        except DerivationError as error:
            verified.append(0)
            broken.append(str(error))
    return xr.Dataset(
        {"verified_steps": ("result", verified), "broken": ("result", broken)}, {"result": list(results())}
    )


def judge(data: xr.Dataset) -> Finding:
    """Every step of every result is verified, and every result has steps."""
    return Finding(
        CLAIM,
        (
            compare(
                "results of which every step is verified (1: yes)",
                (data.broken == "").astype(float),
                1,
                bound="exact",
                tolerance=0,
            ),
            compare(
                "results with at least one verified step (1: yes)",
                (data.verified_steps >= 1).astype(float),
                1,
                bound="exact",
                tolerance=0,
            ),
        ),
    )
