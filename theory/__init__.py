"""What the mathematics says about federated prompt portfolios: one result per module.

Every module states one result (tags T1 … T29), derives it in SymPy (`derivation()`), and offers the same formula
as functions of NumPy arrays. Every formula is derived in this project from the model T1-T3; none is a
quotation of the paper. This package needs SymPy, NumPy and SciPy only, imports SymPy on first use, and never
prints, plots or writes files.

Start with `theory.proof.notation` for the letters and `theory.proof.catalogue` for the list of results.
"""
