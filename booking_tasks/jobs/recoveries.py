"""What a failed try says of its target: the columns that decide whether a recovery makes the job due."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, case, func, literal

from booking_tasks.enums import PutOffReason
from booking_tasks.jobs.rules import MOST_RECOVERIES, OF_WHOLE_TARGET
from booking_tasks.models import Job

#: Whether the try that failed was made because the target had recovered.
_AFTER_RECOVERY = Job.put_off_reason == PutOffReason.RECOVERED


def stored_reason(reason: PutOffReason) -> ColumnElement[str]:
    """The code to store; an effect that is put off after several recoveries is taken for the cause."""
    if reason != PutOffReason.PUT_OFF:
        return literal(reason)
    is_cause = and_(_AFTER_RECOVERY, Job.recoveries >= MOST_RECOVERIES)
    return case((is_cause, PutOffReason.PUT_OFF_AGAIN), else_=reason)


def recoveries_in_vain(reason: PutOffReason) -> ColumnElement[int]:
    """The count to store: a try after a wait of the job's own allows one more, a target that is away all."""
    if reason in OF_WHOLE_TARGET:
        return literal(0)
    return case((_AFTER_RECOVERY, Job.recoveries), else_=func.greatest(Job.recoveries - 1, 0))
