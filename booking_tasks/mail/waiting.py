"""Mail about a session that an absence plan is about to change. Pure."""

from __future__ import annotations

from datetime import timedelta

from booking_tasks.enums import StepState
from booking_tasks.jobs.steps import Skipped, Snooze

#: How often a mail that waits for the announcement or the end of a plan is tried again.
_AGAIN = timedelta(minutes=1)


def hold_for_absence(step_state: str | None) -> Snooze | Skipped | None:
    """The step of a mail about such a session, by the state of the plan's step; None without a plan.

    While the plan can be undone the mail waits, because it may be correct again. Once another time is
    proposed it is never correct again: the session is moved or ends.
    """
    if step_state == StepState.APPLIED:
        return Snooze("an absence plan is about to change the session", _AGAIN)
    return Skipped("another time is proposed") if step_state == StepState.OFFERED else None
