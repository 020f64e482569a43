"""What the fields of a configuration mean, read from where they are declared."""

import ast
import functools
import inspect
import textwrap
from typing import Any


@functools.cache
def field_meanings(configuration: type[Any]) -> dict[str, str]:
    """The first sentence below every field of a configuration's class, by the field's name.

    Example:
        >>> from simulate import Experiment
        >>> field_meanings(Experiment)["local_steps"]
        'E, gradient steps of each client in a round'
    """
    body = ast.parse(textwrap.dedent(inspect.getsource(configuration))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for declared, below in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            text = " ".join(str(below.value.value).split())
            found[declared.target.id] = text.split(". ")[0].rstrip(".")
    return found
