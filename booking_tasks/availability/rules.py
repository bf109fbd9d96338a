"""Who may be offered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

#: Other word -> the specialization that it means; both case-folded.
Aliases = Mapping[str, str]
NO_ALIASES: Aliases = MappingProxyType({})


def meant(words: Iterable[str], aliases: Aliases = NO_ALIASES) -> frozenset[str]:
    """The specializations that words mean; upper and lower case do not matter."""
    folded = (word.casefold() for word in words)
    return frozenset(aliases.get(word, word) for word in folded)


def has_specializations(offered: Iterable[str], wanted: Iterable[str], aliases: Aliases = NO_ALIASES) -> bool:
    """Whether every wanted specialization is offered, by whatever name."""
    return meant(wanted, aliases) <= meant(offered, aliases)


def spellings(
    words: Iterable[str], wanted: Iterable[str], aliases: Aliases = NO_ALIASES
) -> list[tuple[str, ...]]:
    """For each wanted specialization, those of the words that mean it, as they are written."""
    known = {word: aliases.get(word.casefold(), word.casefold()) for word in words}
    return [tuple(word for word in known if known[word] == one) for one in sorted(meant(wanted, aliases))]
