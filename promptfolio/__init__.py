"""The toolkit that holds theory and simulation against each other, and everything a user types.

`theory` says what the mathematics says, `simulate` what the model does, `figures` draws; this package joins them:
`checks` (claims and planted faults), `companion` (the portfolio on CLIP features), `sweep` (grids of experiments),
`audit` (what the released code does), `bench` (speed) and `cli` (the commands).
"""

from promptfolio.cli import main

__all__ = ["__version__", "main"]

__version__ = "0.2.0"  # the one place: packaging reads it here
