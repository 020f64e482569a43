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
)


def collect(scale: Scale) -> xr.Dataset:
    """Derive every result; a step that does not hold stops its derivation."""
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
    """No derivation is broken, and none is empty."""
    return Finding(
        CLAIM,
        (
            compare(
                "derivations with a step that does not hold",
                int((data.broken != "").sum()),
                0,
                bound="exact",
                tolerance=0,
            ),
            compare("verified steps of a result", data.verified_steps, 1, bound="lower", tolerance=0),
        ),
    )
