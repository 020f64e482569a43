"""Random keys: one named stream per purpose and replicate.

A stream depends on the seed, the replicate and its own name alone. A sweep may therefore be batched
or split in any way, and one source of randomness changed, without touching the other draws.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

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
    return as_key(root_words(seed))


def root_words(seed: int) -> UInt32[np.ndarray, "2"]:
    """The two words of `root_key`, for `folded_words`."""
    return np.array([0, seed], np.uint32)


def as_key(words: UInt32[np.ndarray, "*keys 2"]) -> Key[Array, "*keys"]:
    """Keys of JAX from their words."""
    return jax.random.wrap_key_data(jax.device_put(words), impl=GENERATOR)


def replicate_keys(seed: int, replicates: UInt32[np.ndarray, " replicates"]) -> Key[Array, " replicates"]:
    """Keys of several replicates, each as `replicate_key` has it."""
    return as_key(folded_words(root_words(seed), replicates))


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
    numbers = jnp.asarray(purpose_numbers(purposes))
    return jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))(keys, numbers)


def purpose_numbers(purposes: tuple[Purpose, ...]) -> UInt32[np.ndarray, " purposes"]:
    """The numbers of the streams for some purposes."""
    return np.array([_STREAMS[purpose] for purpose in purposes], np.uint32)


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def folded_words(
    words: UInt32[np.ndarray, "... 2"], numbers: UInt32[np.ndarray, "..."]
) -> UInt32[np.ndarray, "... 2"]:
    """The words of `jax.random.fold_in`, in NumPy: integers, so that there is no rounding to tell them apart.

    A run folds a few keys before it draws; compiling the cipher for them would take longer than all else that a
    small run does first. It is Threefry-2x32 with 20 rounds (J. K. Salmon and others, 2011, "Parallel random
    numbers: as easy as 1, 2, 3"), of the block (0, number).

    Args:
        words: of the keys.
        numbers: what to fold in, broadcasting with the keys.

    Example:
        >>> folded_words(root_words(7), np.array([5], np.uint32)).tolist()
        [[3583082021, 1947592014]]
    """
    first, second = words[..., 0], words[..., 1]
    schedule = (first, second, first ^ second ^ _PARITY)
    left, right = np.broadcast_arrays(schedule[0], numbers + schedule[1])
    for turn in range(5):
        for rotation in _ROTATIONS[turn % 2]:
            left = left + right
            right = ((right << np.uint32(rotation)) | (right >> np.uint32(32 - rotation))) ^ left
        left = left + schedule[(turn + 1) % 3]
        right = right + schedule[(turn + 2) % 3] + np.uint32(turn + 1)
    return np.stack([left, right], axis=-1)


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
