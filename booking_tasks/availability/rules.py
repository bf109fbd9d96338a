"""Names of specializations: aliases, and who offers what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

#: Alias -> the specialization that it stands for; both case-folded.
Aliases = Mapping[str, str]
NO_ALIASES: Aliases = MappingProxyType({})


def canonical_specializations(names: Iterable[str], aliases: Aliases = NO_ALIASES) -> frozenset[str]:
    """Return the specializations that the names stand for; upper and lower case do not matter."""
    folded = (name.casefold() for name in names)
    return frozenset(aliases.get(name, name) for name in folded)


def has_specializations(
    offered: Iterable[str], required: Iterable[str], aliases: Aliases = NO_ALIASES
) -> bool:
    """Whether every required specialization is offered, by whatever name."""
    return canonical_specializations(required, aliases) <= canonical_specializations(offered, aliases)


def spellings(
    names: Iterable[str], required: Iterable[str], aliases: Aliases = NO_ALIASES
) -> list[tuple[str, ...]]:
    """Return for each required specialization those of the names that stand for it, as they are written."""
    known = {name: aliases.get(name.casefold(), name.casefold()) for name in names}
    specializations = sorted(canonical_specializations(required, aliases))
    return [tuple(name for name in known if known[name] == one) for one in specializations]
