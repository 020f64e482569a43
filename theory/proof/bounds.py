"""How a value may relate to a prediction: one vocabulary for results and for the claims that check them."""

from typing import Literal

Bound = Literal["exact", "upper", "lower", "sandwich", "certified", "asymptotic", "statistical"]
"""What a result or a comparison asserts.

- exact: equal under the stated assumptions (in numbers: up to rounding);
- upper, lower: an inequality;
- sandwich: a lower and an upper bound;
- certified: inequalities proved for given numbers in interval or rational arithmetic;
- asymptotic: equal in a limit, to leading order or with random quantities replaced by their expectation;
- statistical: equal up to sampling error.
"""
