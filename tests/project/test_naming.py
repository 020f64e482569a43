"""Names of files tell contents apart as finely as numbers can differ."""

import itertools
import math

from promptfolio.naming import content_name


def test_the_closest_numbers_and_every_order_have_names_of_their_own() -> None:
    contents = [
        {"rate": rate, "theta": theta}
        for rate, theta in itertools.product(
            (1e-9, 0.1, math.nextafter(0.1, 1), 2**53, 2**53 + 1), ([0.0, 0.5], [0.5, 0.0], [0.5])
        )
    ]
    assert len({content_name("study", content) for content in contents}) == len(contents)
