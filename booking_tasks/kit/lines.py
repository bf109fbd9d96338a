"""One line of text as people write it: which characters it may contain, and how it is stored. Pure."""

from __future__ import annotations

import unicodedata

#: Invisible characters that scripts and emoji need: the joiners of Persian, Hindi and joined emoji, the
#: marks that give one letter a direction, and the tags of the flags of regions (Unicode section 23).
_NEEDED = frozenset("\u200c\u200d\u200e\u200f\u061c") | {chr(code) for code in range(0xE0020, 0xE0080)}


def plain_line(text: str) -> str:
    """Return a line with plain spaces, or raise ValueError that says what is wrong with it.

    Every space separator (Unicode category Zs, such as no-break and ideographic spaces) becomes U+0020.
    Refused are control characters, line separators, what changes the direction of the text that follows
    (embeddings, overrides and isolates, Unicode annex 9), and a line in which nothing is visible.
    """
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in text).strip()
    if not all(one.isprintable() or one in _NEEDED for one in spaced):
        raise ValueError("must be one line of text without control characters or changes of direction")
    if not any(one.isprintable() and unicodedata.category(one)[0] not in "MZ" for one in spaced):
        raise ValueError("must contain a visible character")
    return spaced
