"""How much each term of the assignment's score counts. Pure; what the terms mean: docs/assignment.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from booking_tasks.words import TERMS


@dataclass(frozen=True)
class Weights:
    """One weight for each term; terms lie between 0 and 1, so a weight is the most that its term adds.

    The defaults rank strictly: one step of a term outweighs everything below it that can come with it.
    Preference above all; then tiers (a step is a quarter); then whose turn it is (the second in turn has
    half); the rest decides between those whose turn it is equally.
    """

    preference: float = 100.0
    priority: float = 80.0
    fairness: float = 12.0
    earliest: float = 2.0
    specialization: float = 1.5
    continuity: float = 1.0
    local_time: float = 1.0

    def changed(self, given: Mapping[str, float]) -> Weights:
        """These, with some of them different. Raises ValueError for a term that there is not."""
        unknown = sorted(set(given) - set(TERMS))
        if unknown:
            raise ValueError(f"there is no term {unknown[0]}; the terms are {', '.join(TERMS)}")
        return replace(self, **{term: float(weight) for term, weight in given.items()})

    def by_term(self) -> dict[str, float]:
        """Term -> weight."""
        return {term: getattr(self, term) for term in TERMS}

    @property
    def fault(self) -> str | None:
        """Why these cannot rank anybody, or None."""
        weights = self.by_term()
        wrong = [term for term, weight in weights.items() if weight < 0 or not math.isfinite(weight)]
        if wrong:
            return f"{wrong[0]} must be zero or more"
        if not any(weights.values()):
            return "at least one weight must be above zero, or nothing would tell candidates apart"
        return None
