"""What several test modules share: where the repository lies, and the checker of array shapes at run time."""

import pathlib

from beartype import BeartypeConf, beartype

ROOT = pathlib.Path(__file__).parents[1]

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int is a float, as for static checkers."""
