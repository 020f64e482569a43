"""What is said about a study's own numbers, and how often it is true."""

import numpy as np
import pytest
import xarray as xr

from promptfolio.companion.remarks import remarks

ENDS = {"predicted": (0.3, 0.3), "validation": (0.2, 0.4)}
"""First and last θ that are as good, where nothing is to be said."""


def dataset(untrained: tuple[int, int] = (0, 0), distinct: int = 2) -> xr.Dataset:
    """A study of two replicates, at the start and after two recorded rounds."""
    shape = (1, 2, 2, 3)
    dims = ("scheme", "choice", "seed", "step")
    low, high = (
        np.broadcast_to(np.array([ENDS[name][end] for name in ENDS])[None, :, None, None], shape).copy()
        for end in (0, 1)
    )
    low[..., 0], high[..., 0] = 0.0, 1.0  # at the start every θ is as good
    return xr.Dataset(
        {
            "tied_low": (dims, low),
            "tied_high": (dims, high),
            "accuracy": (("scheme", "split", "seed", "step", "theta", "client"), np.ones((1, 2, 2, 3, 3, 2))),
        },
        coords={
            "scheme": ["posthoc"],
            "choice": list(ENDS),
            "theta": [0.0, 0.5, 1.0],
            "round": ("step", [0, 4, 9]),
            "group": ["trained", "untrained"],
            "group_samples": (("group", "seed"), [[32, 30], list(untrained)]),
        },
        attrs={"distinct_replicates": distinct},
    )


def tied(data: xr.Dataset, choice: int, places: list[tuple[int, int]], low: float, high: float) -> list[str]:
    """What is said when these θ tie at some (seed, step)."""
    for seed, step in places:
        data.tied_low[0, choice, seed, step], data.tied_high[0, choice, seed, step] = low, high
    return list(remarks(data, 2))


def test_nothing_is_said_of_a_study_in_order() -> None:
    assert list(remarks(dataset(), 2)) == []


def test_the_share_of_new_classes_is_that_of_all_test_images() -> None:
    # 8 of 40 in one replicate, 20 of 50 in the other.
    (said,) = remarks(dataset(untrained=(8, 20)), 2)
    assert said.startswith("30% of the test images are of classes without training images")


@pytest.mark.parametrize(("distinct", "said"), [(1, "all 2 replicates are the same run"), (2, None)])
def test_equal_replicates_are_told(distinct: int, said: str | None) -> None:
    found = list(remarks(dataset(distinct=distinct), 2))
    assert [text.startswith(said or "") for text in found] == ([True] if said else [])


def test_a_flat_prediction_is_told_wherever_it_is() -> None:
    (said,) = tied(dataset(), 0, [(1, 2)], 0.3, 0.35)
    assert said.startswith("θ by (T24) is not unique under scheme posthoc in 1 of 4 replicates")


def test_validation_that_tells_no_theta_apart_is_told_where_it_is_the_rule() -> None:
    half = [(0, 1), (1, 2)]
    assert tied(dataset(), 1, half, 0.0, 1.0) == []
    (said,) = tied(dataset(), 1, [*half, (0, 2)], 0.0, 1.0)
    assert said.startswith("θ by validation accuracy is not unique under scheme posthoc in 3 of 4 replicates")
    assert tied(dataset(), 1, [*half, (0, 2)], 0.0, 0.5) == []
