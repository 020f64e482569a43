"""Faults to plant, and the claims that must notice each (see `checks.mutation`).

They are the slips one makes in such code: a sum for a mean, two weights swapped, a factor or a root forgotten, a
round too many, a prompt averaged that should stay home.
"""

from checks import sample_space_mutants, simulator_mutants, theory_mutants

MUTANTS = (*simulator_mutants.MUTANTS, *sample_space_mutants.MUTANTS, *theory_mutants.MUTANTS)
