"""What the paper states in words, which claims bear on it, and what those do not cover.

The paper is Pan, Huang and Shi, NeurIPS 2024, arXiv:2409.19610. Its statements are known from its abstract and from
what is said about its θ figure. Every formula that makes one of them precise is derived in this project.
"""

from typing import NamedTuple


class Statement(NamedTuple):
    """One statement of the paper.

    Attributes:
        name: slug, by which a claim says that it bears on the statement.
        text: the statement in one sentence.
        source: where the paper makes it.
        uncovered: what the checks leave open, in one or two sentences.
    """

    name: str
    text: str
    source: str
    uncovered: str


STATEMENTS = (
    Statement(
        "ratio",
        "Performance is governed by the ratio of task-relevant to task-irrelevant coefficients.",
        "abstract",
        "Shown for two classes and Gaussian noise, as in the model (docs/model.md). On real CLIP features no such"
        " ratio is known exactly; there θ* is estimated from held-out margins (`promptfolio clip`).",
    ),
    Statement(
        "income_and_risk",
        "Mixing a global and a local prompt maintains the income while reducing the risk.",
        "abstract",
        "Income and risk are read as the signal s and the noise σ_p‖H_ξ‖ of a prompt's output, and what is shown is"
        " that their ratio, at the best θ, is at least that of the better prompt. The income alone is a weighted"
        " mean of both prompts', and may be below the larger one.",
    ),
    Statement(
        "beats_both",
        "The mixture performs better than either prompt alone.",
        "abstract",
        "True at the best θ, unless the correlation of the two noise outputs reaches the smaller over the larger"
        " ratio: then the better prompt alone is the best mixture. How θ* is chosen from few real samples is not"
        " part of these checks.",
    ),
    Statement(
        "closed_form",
        "An optimal mixing coefficient exists in closed form.",
        "abstract",
        "The paper's own formula was not available: the formulas are this project's. (T15) is exact for given"
        " prompts; those in the model's parameters hold in the limit of many noise coordinates, and joint training"
        " leaves them at late times where N is comparable to L (T29).",
    ),
    Statement(
        "users",
        "More users push the optimum towards the global prompt.",
        "θ figure",
        "Measured after one small step of training, with every client in a group of its own (χ = 1) and as many"
        " samples per client at every K.",
    ),
    Statement(
        "heterogeneity",
        "Data heterogeneity pushes the optimum towards the local prompt.",
        "θ figure",
        "Heterogeneity is the share of client-specific signal and the size of the groups that share it. Unequal"
        " class priors are another kind, which can pull either way (T27).",
    ),
)
"""In the order of the report."""


def require_statement(claim: str, name: str) -> None:
    """Raise `ValueError` when a claim bears on a statement that is not listed."""
    names = [statement.name for statement in STATEMENTS]
    if name not in names:
        raise ValueError(f"claim {claim}: bears_on = {name!r}; allowed: {', '.join(names)}")
