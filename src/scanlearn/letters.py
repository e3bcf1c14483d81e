"""Letters that are not seen: they make one name look like another, or turn a line."""

from __future__ import annotations

import unicodedata

#: Control, line and paragraph ends, halves of letters, and formats: among those are the
#: marks that turn the direction of what follows.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")

#: Join or part letters of Arabic, Persian and Indian scripts.
_JOINERS = "\u200c\u200d"


def hidden_letter(text: str) -> str:
    """Return the first letter of a text that is not seen, as ``U+202E``; or nothing."""
    if text.isprintable():
        return ""
    for letter in text:
        if letter not in _JOINERS and unicodedata.category(letter) in _HIDDEN:
            return f"U+{ord(letter):04X}"
    return ""


def without_hidden(text: str) -> str:
    """Return a text with a blank for every letter that is not seen."""
    return "".join(" " if hidden_letter(letter) else letter for letter in text).strip()
