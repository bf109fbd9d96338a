"""The fairness queue, by weights and credits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True)
class Balance:
    """The credits of a consultant in a pool. `idle_since`: their last assignment; None means never."""

    credits: Decimal = Decimal(0)
    weight: Decimal = Decimal(1)
    idle_since: datetime | None = None


def queue_positions(balances: Mapping[UUID, Balance]) -> dict[UUID, int]:
    """The position of each consultant in the queue: 0 for those who are next; equals share a position.

    The quota method of Balinski and Young (1975): nobody gets more than their share of all, rounded
    up; among the others the next is the one who then has least for their weight. Whatever the weights,
    nobody is ever a whole assignment away from their ideal share, as long as everyone can be chosen.
    """
    everything = sum((one.credits for one in balances.values()), Decimal(1))
    weights = sum((one.weight for one in balances.values()), Decimal(0))
    keys = {
        who: (one.credits * weights >= everything * one.weight, (one.credits + 1) / one.weight)
        for who, one in balances.items()
    }
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {who: places[key] for who, key in keys.items()}
