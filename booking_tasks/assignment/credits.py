"""The fairness ledger, as rooms around the assignment use it.

It is a room of its own (`booking_tasks/credits/`), because ending a session takes its credit back and
sessions lie below the assignment.
"""

from __future__ import annotations

from booking_tasks.credits.service import give, take_back

__all__ = ["give", "take_back"]
