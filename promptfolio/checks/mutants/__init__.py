"""Faults to plant, and the claims that must notice each (see `promptfolio.checks.mutation`).

They are the slips one makes in such code: a sum for a mean, two weights swapped, a factor or a root forgotten, a
round too many, a prompt averaged that should stay home.
"""

from promptfolio.checks.mutants import sample_space as sample_space_mutants
from promptfolio.checks.mutants import simulator as simulator_mutants
from promptfolio.checks.mutants import theory as theory_mutants

MUTANTS = (*simulator_mutants.MUTANTS, *sample_space_mutants.MUTANTS, *theory_mutants.MUTANTS)
