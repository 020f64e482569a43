"""Small pieces of a report's Markdown."""

import math

from promptfolio.checks.comparison import Comparison


def slack_of(comparison: Comparison) -> str:
    """A comparison's slack; of a count whether it was met, and how many points or proved inequalities it is of.

    Example:
        >>> from promptfolio.checks.comparison import compare
        >>> slack_of(compare("x", 1.02, 1, bound="exact", tolerance=0.1))
        '0.8'
        >>> slack_of(compare("failures", [0, 0, 0], 0, bound="exact", tolerance=0))
        '✓ 3'
    """
    if not comparison.is_count:
        return f"{comparison.slack:.3g}"
    if not comparison.holds:
        return "✗"
    return f"✓ {comparison.measured if comparison.bound == 'certified' else comparison.points:.0f}"


def number(value: float) -> str:
    """A number of a table; whole ones, such as counts, in all digits."""
    if value.is_integer() and abs(value) < 1e7:
        return str(int(value))
    return f"{value:.4g}" if math.isfinite(value) and abs(value) < 1e5 else f"{value:.3e}"


def escape(text: str) -> str:
    """Text of a table's cell, which a bar would end."""
    return text.replace("|", "\\|")


def emphasis(verdict: str) -> str:
    """A verdict, in bold unless the claim holds."""
    return verdict if verdict == "holds" else f"**{verdict}**"


def anchor(index: int, title: str) -> str:
    """The anchor GitHub gives a section's heading: lower case, punctuation dropped, spaces as hyphens."""
    heading = f"{index}. {title}".lower()
    return "".join(letter for letter in heading if letter.isalnum() or letter in " -_").replace(" ", "-")
