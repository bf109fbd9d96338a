"""The types of job, and the arguments of each.

A job row stores its arguments as JSON (`jobs.args`) and its key, which is derived from them. The first field
of every class is the job's subject, stored in a column of its own as well (`jobs.subject_id`).

An optional field that is added at the end, with None or False as default, changes no key and no stored row:
two releases can then work side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import TypeAdapter


class JobType(StrEnum):
    """What a job does. It is also the name of the task that runs jobs of the type."""

    ASSIGN_REQUEST = "assign_request"
    OFFER_TIME = "offer_time"
    ANNOUNCE_ABSENCE = "announce_absence"
    END_PROPOSAL = "end_proposal"
    CHECK_ATTENDANCE = "check_attendance"
    PROVISION_MEETING = "provision_meeting"
    CLOSE_MEETING = "close_meeting"
    COLLECT_ATTENDANCE = "collect_attendance"
    UPDATE_INVITES = "update_invites"
    SEND_INVITE = "send_invite"
    SEND_CANCELLATION = "send_cancellation"
    SEND_REMINDER = "send_reminder"
    SEND_NOTICE = "send_notice"
    PUBLISH_EVENT = "publish_event"


class NoticeType(StrEnum):
    """What a notice about a request says."""

    CONFIRMATION_REQUESTED = "confirmation_requested"
    CONFIRMATION_WITHDRAWN = "confirmation_withdrawn"
    CONFIRMATION_DECLINED = "confirmation_declined"
    REQUEST_REJECTED = "request_rejected"
    TIME_OFFERED = "time_offered"
    NEW_TIME_PROPOSED = "new_time_proposed"


class CloseReason(StrEnum):
    """Why a room is closed: its session ended, it was made after that, or the daily comparison found it."""

    SESSION_ENDED = "session_ended"
    MADE_TOO_LATE = "made_too_late"
    FOUND_ORPHANED = "found_orphaned"


@dataclass(frozen=True)
class JobArgs:
    """The arguments of one job."""

    job_type: ClassVar[JobType]

    @classmethod
    def subject_name(cls) -> str:
        """What the job is about: request, session, event, consultant or plan."""
        return fields(cls)[0].name.removesuffix("_id").removesuffix("_user")

    @property
    def subject_id(self) -> UUID:
        """The id of what the job is about."""
        subject: UUID = getattr(self, fields(self)[0].name)
        return subject

    @property
    def key(self) -> str:
        """What makes the effect exist once: the type and all arguments, in the order of the fields."""
        values = [_text(getattr(self, field.name)) for field in fields(self)]
        return ":".join([self.job_type, *values]).rstrip(":")

    def to_json(self) -> dict[str, Any]:
        """The arguments as JSON values, as `jobs.args` stores them."""
        return {field.name: _json(getattr(self, field.name)) for field in fields(self)}


ArgsT = TypeVar("ArgsT", bound=JobArgs)


def parse_args(args_type: type[ArgsT], stored: Mapping[str, Any]) -> ArgsT:
    """The arguments of a job row. Unknown fields are ignored: they belong to a later release.

    Raises ValueError when they do not fit.
    """
    parsed: ArgsT = _adapter(args_type.job_type).validate_python(stored)
    return parsed


@cache
def _adapter(job_type: JobType) -> TypeAdapter[Any]:
    return TypeAdapter(ARGS_TYPES[job_type])


def _text(value: object) -> str:
    return "" if value is None or value is False else str(value)


def _json(value: object) -> object:
    return value if value is None or isinstance(value, bool | int) else str(value)


@dataclass(frozen=True)
class AssignRequest(JobArgs):
    """Find a consultant and a time. Without an event: when the wait for the preferred consultant ends."""

    job_type = JobType.ASSIGN_REQUEST

    request_id: UUID
    event_id: UUID | None = None


@dataclass(frozen=True)
class OfferTime(JobArgs):
    """Offer time that a consultant became free for; `release_id` tells two releases apart."""

    job_type = JobType.OFFER_TIME

    consultant_user_id: UUID
    reason: str
    release_id: UUID


@dataclass(frozen=True)
class AnnounceAbsence(JobArgs):
    """Announce to everybody concerned what an absence plan did."""

    job_type = JobType.ANNOUNCE_ABSENCE

    plan_id: UUID


@dataclass(frozen=True)
class EndProposal(JobArgs):
    """End a session whose requester did not answer the proposal of another time."""

    job_type = JobType.END_PROPOSAL

    session_id: UUID
    revision: int
    proposal_id: UUID


@dataclass(frozen=True)
class CheckAttendance(JobArgs):
    """Evaluate who is in the room when the grace time ends."""

    job_type = JobType.CHECK_ATTENDANCE

    session_id: UUID
    revision: int


@dataclass(frozen=True)
class ProvisionMeeting(JobArgs):
    """Make the room of a session, or change its times. `reconcile_day`: the daily comparison missed it."""

    job_type = JobType.PROVISION_MEETING

    session_id: UUID
    revision: int
    reconcile_day: date | None = None


@dataclass(frozen=True)
class CloseMeeting(JobArgs):
    """Close the room of a session. `reconcile_day`: the day of the comparison that found it."""

    job_type = JobType.CLOSE_MEETING

    session_id: UUID
    revision: int
    reason: CloseReason = CloseReason.SESSION_ENDED
    reconcile_day: date | None = None


@dataclass(frozen=True)
class CollectAttendance(JobArgs):
    """Fetch the platform's attendance report. `is_repeat`: an earlier report was not complete."""

    job_type = JobType.COLLECT_ATTENDANCE

    session_id: UUID
    revision: int
    is_repeat: bool = False


@dataclass(frozen=True)
class UpdateInvites(JobArgs):
    """Bring the invitations ahead up to date after a person or a service type changed.

    `change_id` tells two changes apart. `after`: the session behind which a later part begins.
    """

    job_type = JobType.UPDATE_INVITES

    changed_id: UUID
    change_id: UUID
    after: UUID | None = None


@dataclass(frozen=True)
class SendInvite(JobArgs):
    """Invite one side of a session, or send the update of a revision."""

    job_type = JobType.SEND_INVITE

    session_id: UUID
    revision: int
    recipient: UUID


@dataclass(frozen=True)
class SendCancellation(JobArgs):
    """Remove a session from one calendar.

    `reassignment_id` is the event that gave the session to another consultant, when the recipient is the
    one who had it before. `mailbox_id` is a mailbox that the recipient does not use any more; it alone is
    written to. While a confirmation request is open, `session_id` is its id, which the session will take, and
    `change_id` tells two changes of an address apart.
    """

    job_type = JobType.SEND_CANCELLATION

    session_id: UUID
    revision: int
    recipient: UUID
    reassignment_id: UUID | None = None
    mailbox_id: UUID | None = None
    change_id: UUID | None = None


@dataclass(frozen=True)
class SendReminder(JobArgs):
    """Remind one side of a session, `seconds_before` its start."""

    job_type = JobType.SEND_REMINDER

    session_id: UUID
    revision: int
    recipient: UUID
    seconds_before: int


@dataclass(frozen=True)
class SendNotice(JobArgs):
    """Write to one person about a request; `event_id` is the event that the notice is about.

    `change_id` is set when a confirmation request goes to another mailbox, and tells two such changes apart.
    """

    job_type = JobType.SEND_NOTICE

    request_id: UUID
    recipient: UUID
    notice: NoticeType
    event_id: UUID | None = None
    change_id: UUID | None = None


@dataclass(frozen=True)
class PublishEvent(JobArgs):
    """Publish one event to other services."""

    job_type = JobType.PUBLISH_EVENT

    event_id: UUID


#: The class of each type's arguments.
ARGS_TYPES: dict[JobType, type[JobArgs]] = {
    args_type.job_type: args_type
    for args_type in (
        AssignRequest,
        OfferTime,
        AnnounceAbsence,
        EndProposal,
        CheckAttendance,
        ProvisionMeeting,
        CloseMeeting,
        CollectAttendance,
        UpdateInvites,
        SendInvite,
        SendCancellation,
        SendReminder,
        SendNotice,
        PublishEvent,
    )
}
