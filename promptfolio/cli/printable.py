"""Text as any terminal, pipe or file can show it: on one line, in the characters that its encoding has."""

import codecs
import re
import unicodedata

TRANSLITERATE = "promptfolio.transliterate"
"""Name of the error handler that writes θ as theta where an encoding has no θ."""

_SPELLED = {
    "‖": "||",
    "²": "^2",
    "³": "^3",
    "√": "sqrt",
    "∞": "inf",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "≈": "~",
    "∝": "~",
    "±": "+-",
    "×": "x",
    "·": "*",
    "•": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "→": "->",
    "←": "<-",
    "≪": "<<",
    "≫": ">>",
    "…": "...",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
}


def one_line(text: str) -> str:
    r"""Text on one line: what a terminal would obey, or not show, is written as Python escapes it.

    Example:
        >>> print(one_line("red\x1b[31m\nline"), one_line("θ ≥ 0"))
        red\x1b[31m\nline θ ≥ 0
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def encodable(text: str, encoding: str) -> str:
    """Text in the characters of an encoding: others are spelled out.

    Example:
        >>> encodable("σ² ≥ θ, é", "ascii"), encodable("σ² é", "latin-1")
        ('sigma^2 >= theta, e', 'sigma² é')
    """
    try:
        return text.encode(encoding, TRANSLITERATE).decode(encoding)
    except LookupError:
        return text.encode("ascii", TRANSLITERATE).decode("ascii")


def _spelled(character: str) -> str:
    """A character in ASCII; as Python escapes it where there is no usual way."""
    name = unicodedata.name(character, "")
    if character in _SPELLED:
        return _SPELLED[character]
    if letter := re.match(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)", name):
        word = letter[2].lower().replace("lamda", "lambda")
        return word.capitalize() if letter[1] == "CAPITAL" else word
    if name.startswith("BOX DRAWINGS"):
        return "+" if " AND " in name or "ARC" in name else "|" if "VERTICAL" in name else "-"
    parts = unicodedata.normalize("NFKD", character)
    if parts != character:
        return "".join(
            part if part.isascii() else _spelled(part) for part in parts if not unicodedata.combining(part)
        )
    return character.encode("unicode_escape").decode("ascii")


def _transliterate(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


codecs.register_error(TRANSLITERATE, _transliterate)
