"""Claims notice faults: each fault is planted in the code, and the claim that should see it must fail."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import pytest

import simulate.coefficient_engine
import simulate.measure
import simulate.program
from checks.registry import load_claim

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.fixture(autouse=True)
def _fresh_compilation() -> Iterator[None]:
    """Compiled functions would outlive a planted fault, and hide the next."""
    jax.clear_caches()
    yield
    jax.clear_caches()


def verdict(name: str) -> str:
    claim = load_claim(name)
    return claim.judge(claim.collect("quick")).verdict


def test_sum_instead_of_mean_in_fedavg(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = property(lambda parameters: jnp.ones_like(parameters.sample_counts))
    monkeypatch.setattr(simulate.program.Parameters, "client_weights", ones)
    assert verdict("aggregation") == "fails"


def test_theta_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        simulate.coefficient_engine, "mix", lambda theta, first, second: theta * first + (1 - theta) * second
    )
    assert verdict("end_points") == "fails"


def test_slope_missing_from_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate.coefficient_engine.Encoder, "slope", lambda self, z: jnp.ones_like(z))
    assert verdict("sandwich") == "fails"


def test_noise_not_rescaled(monkeypatch: pytest.MonkeyPatch) -> None:
    original = simulate.measure._predictor_record
    monkeypatch.setattr(
        simulate.measure,
        "_predictor_record",
        lambda noise_std, *rest: original(jnp.ones_like(noise_std), *rest),
    )
    assert verdict("accuracy") == "fails"


def test_sound_code_holds() -> None:
    for name in ("aggregation", "end_points", "sandwich", "accuracy"):
        assert verdict(name) == "holds", name
