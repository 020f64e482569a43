"""Optimizers by their optax name."""

import functools
import inspect

import optax
from jaxtyping import Array, Float

from simulate.validation import ConfigurationError, require_choice

# These need the loss value, a line search or a random key, which a plain gradient step does not supply,
# or are deprecated.
_NEED_MORE_THAN_GRADIENTS = frozenset({"lbfgs", "polyak_sgd", "noisy_sgd", "optimistic_adam"})


@functools.cache
def optimizer_names() -> tuple[str, ...]:
    """Names of the optax optimizers that work from gradients and a learning rate alone."""

    def usable(name: str) -> bool:
        factory = getattr(optax, name)
        if not inspect.isfunction(factory) or name in _NEED_MORE_THAN_GRADIENTS:
            return False
        parameters = inspect.signature(factory).parameters
        required = {
            key
            for key, parameter in parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        }
        return next(iter(parameters), None) == "learning_rate" and required == {"learning_rate"}

    public = (name for name in sorted(dir(optax)) if not name.startswith(("_", "scale_by_")))
    return tuple(name for name in public if usable(name))


def check_optimizer(name: str, options: tuple[tuple[str, float], ...]) -> None:
    """Raise `ConfigurationError` unless optax has this optimizer and it takes these options."""
    require_choice("optimizer", name, optimizer_names())
    accepted = set(inspect.signature(getattr(optax, name)).parameters) - {"learning_rate"}
    for option, value in options:
        if option not in accepted:
            raise ConfigurationError(
                f"optimizer_options[{option}]", value, f"an option of {name}: {', '.join(sorted(accepted))}"
            )


def build_optimizer(
    name: str, options: tuple[tuple[str, float], ...], learning_rate: Float[Array, ""] | float
) -> optax.GradientTransformation:
    """The optimizer itself; ``learning_rate`` may be traced, so that a new rate needs no recompilation."""
    return getattr(optax, name)(learning_rate, **dict(options))
