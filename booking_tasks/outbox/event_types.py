"""The types of event: everything that this service records about requests and sessions."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """The type of an event; docs/events.md describes those that other services receive."""

    REQUEST_SUBMITTED = "request.submitted"
    REQUEST_POSTPONED = "request.postponed"
    REQUEST_HELD = "request.held"
    REQUEST_WAITING = "request.waiting"
    REQUEST_OFFERED = "request.offered"
    REQUEST_OFFER_DECLINED = "request.offer_declined"
    REQUEST_OFFER_LAPSED = "request.offer_lapsed"
    REQUEST_CONFIRMATION_REQUESTED = "request.confirmation_requested"
    REQUEST_DECLINED = "request.declined"
    REQUEST_UNANSWERED = "request.unanswered"
    REQUEST_REJECTED = "request.rejected"
    REQUEST_CANCELLED = "request.cancelled"

    SESSION_SCHEDULED = "session.scheduled"
    SESSION_MEETING_READY = "session.meeting_ready"
    SESSION_MEETING_FAILED = "session.meeting_failed"
    SESSION_LINK_MISSING = "session.link_missing"
    SESSION_UNCOVERED = "session.uncovered"
    SESSION_LINK_CHANGED = "session.link_changed"
    SESSION_INVITES_UPDATED = "session.invites_updated"
    SESSION_RESCHEDULED = "session.rescheduled"
    SESSION_REASSIGNED = "session.reassigned"
    SESSION_CANCELLED = "session.cancelled"
    SESSION_TIME_PROPOSED = "session.time_proposed"
    SESSION_STARTED = "session.started"
    SESSION_SIDE_MISSING = "session.side_missing"
    SESSION_COMPLETED = "session.completed"
    SESSION_NO_SHOW = "session.no_show"
    SESSION_ATTENDANCE_UNKNOWN = "session.attendance_unknown"
    SESSION_ATTENDANCE_CORRECTED = "session.attendance_corrected"
    SESSION_OUTCOME_RECORDED = "session.outcome_recorded"
    SESSION_REPLY_RECORDED = "session.reply_recorded"
    SESSION_BILLED = "session.billed"

    ABSENCE_APPLIED = "absence.applied"
    ABSENCE_ANNOUNCED = "absence.announced"
    ABSENCE_UNDONE = "absence.undone"

    JOB_REPLAYED = "job.replayed"
    JOB_DISCARDED = "job.discarded"

    MESSAGE_REPLAYED = "message.replayed"
    MESSAGE_DISCARDED = "message.discarded"

    PERSON_FORGOTTEN = "person.forgotten"
