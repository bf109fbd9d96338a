"""Who may be offered. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def has_specializations(offered: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether every wanted specialization is offered; upper and lower case do not matter."""
    return {word.casefold() for word in wanted} <= {word.casefold() for word in offered}
