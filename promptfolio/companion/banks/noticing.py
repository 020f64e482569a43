"""What a bank's names, labels and texts look like that its user must know."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptfolio.companion.banks.feature_bank import FeatureBank


def notices_about(bank: "FeatureBank") -> Iterator[str]:
    """Sentences on what is unusual in a bank; none for a bank that is as expected."""
    yield from ()
