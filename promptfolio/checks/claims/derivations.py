"""Every formula is derived from the model, in steps whose algebra SymPy verifies one by one."""

import xarray as xr

from promptfolio.checks.claim import Claim, Finding, Scale, compare
from theory.proof.catalogue import derive, results
from theory.proof.derivation import DerivationError
from theory.proof.document import StepCounts, step_counts

CLAIM = Claim(
    name="derivations",
    equation="T1 to T32",
    provenance="derived",
    title="Derivations",
    statement="Every result follows from the model step by step, down to the expression that the numbers are"
    " computed from (docs/derivations.md). SymPy verifies the algebra of every step that is not assumed; steps that"
    " put a sentence about the model into letters are counted apart.",
    bound="exact",
    cost=7,
)


def collect(scale: Scale) -> xr.Dataset:
    """Derive every result, and count its steps; a step that SymPy cannot verify stops its derivation."""
    counts, broken = [], []
    for tag in results():
        try:
            counts.append(step_counts([derive(tag)]))
            broken.append("")
        except DerivationError as error:
            counts.append(StepCounts(0, 0, 0))
            broken.append(str(error))
    kinds = {
        f"{kind}_steps": ("result", [getattr(each, kind) for each in counts]) for kind in StepCounts._fields
    }
    return xr.Dataset({**kinds, "broken": ("result", broken)}, {"result": list(results())})


def judge(data: xr.Dataset) -> Finding:
    """No result has a step that fails, and every result has steps that algebra verifies."""
    return Finding(
        CLAIM,
        (
            compare(
                "results without a step that fails (1: yes)",
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
