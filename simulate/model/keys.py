"""Random keys: one named stream per purpose and replicate.

A stream depends on the seed, the replicate and its own name alone. A sweep may therefore be batched
or split in any way, and one source of randomness changed, without touching the other draws.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

Purpose = Literal[
    "data", "initialisation", "participation", "partition", "anchors", "bank", "test", "label_noise", "gram"
]
# Numbers are part of the stream's identity: append, never renumber.
_STREAMS: dict[Purpose, int] = {
    "data": 0,
    "initialisation": 1,
    "participation": 2,
    "partition": 3,
    "anchors": 4,
    "bank": 5,
    "test": 6,
    "label_noise": 7,
    "gram": 8,
}


GENERATOR = "threefry2x32"
"""Name of the generator of every draw, whatever JAX is set to."""


def root_key(seed: int) -> Key[Array, ""]:
    """Key of a seed, from 0 to `simulate.validation.LARGEST_SEED`: the only place where keys begin.

    It is made of the generator's own words, so that no setting of JAX has a part in it: neither its default
    generator, nor its offset of seeds, nor its default precision.
    """
    return jax.random.wrap_key_data(jnp.asarray(np.array([0, seed], np.uint32)), impl=GENERATOR)


def replicate_key(seed: int, replicate: int | Array) -> Key[Array, ""]:
    """Key of one replicate, from which its streams are folded."""
    return jax.random.fold_in(root_key(seed), replicate)


def fold_purpose(key: Key[Array, ""], purpose: Purpose) -> Key[Array, ""]:
    """The stream of a replicate for one purpose.

    Example:
        >>> key = replicate_key(seed=0, replicate=0)
        >>> streams = [jax.random.key_data(fold_purpose(key, name)) for name in ("data", "partition")]
        >>> bool((streams[0] == streams[1]).all())
        False
    """
    return jax.random.fold_in(key, _STREAMS[purpose])


def fold_purposes(keys: Key[Array, " seeds"], purposes: tuple[Purpose, ...]) -> Key[Array, "purposes seeds"]:
    """`fold_purpose` of several keys for several purposes, by one compiled cipher."""
    numbers = jnp.asarray([_STREAMS[purpose] for purpose in purposes], jnp.uint32)
    return jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))(keys, numbers)


def derived_key(stream: Key[Array, ""], first: int | Array, second: int | Array) -> Key[Array, ""]:
    """The key numbered (first, second) of a stream.

    Threefry is a strong function of its key, so keys that differ in any bit give independent draws, and
    setting them apart by exclusive-or is as good as `fold_in`. It is also free, where every `fold_in` inside a
    compiled function adds the cipher's rounds to it: seconds of compilation for a function that draws arrays.

    Args:
        stream: a random key.
        first, second: integers in [0, 2³²).
    """
    offset = jnp.stack([jnp.asarray(first, jnp.uint32), jnp.asarray(second, jnp.uint32)])
    return jax.random.wrap_key_data(jax.random.key_data(stream) ^ offset, impl=GENERATOR)
