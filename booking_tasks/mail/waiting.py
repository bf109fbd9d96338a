"""What is not said of a session that an absence plan is about to change. Pure."""

from __future__ import annotations

from datetime import timedelta

from booking_tasks.jobs.steps import Skipped, Snooze

#: How often a letter that waits for a plan to be told or undone is looked at again.
_AGAIN = timedelta(minutes=1)


def held_back(plan: str | None) -> Snooze | Skipped | None:
    """What becomes of a letter about such a session; None when there is no plan.

    While the plan can be undone the letter waits: it may be right again. Once another time is proposed it
    never is: the session is moved or ends.
    """
    if plan == "applied":
        return Snooze("an absence plan is about to change the session", _AGAIN)
    return Skipped("another time is proposed") if plan == "offered" else None
