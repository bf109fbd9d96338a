"""The readers of mail from the directory, and what they may see of consultations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Policies
from booking_tasks.enums import StepState
from booking_tasks.kit.addresses import is_of_service, is_usable
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.mail.calendar_copy import CalendarCopy, MailRecipient, Sender
from booking_tasks.mail.dates import Language, language_of, zone_of
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.render import one_line, render_text
from booking_tasks.models import (
    AbsencePlanStep,
    AvailabilitySlot,
    ConsultationRequest,
    DirectoryUser,
    ForgottenPerson,
    ScheduledSession,
    ServiceType,
)


def mail_recipient(db: Session, sender: Sender, user_id: UUID, policies: Policies) -> MailRecipient:
    """A person as the recipient of mail.

    Raises AwaitedDataError while the directory does not have the person, or has an address that no mail can
    reach or that is the service's own: an organizer is never invited to their own event.
    """
    row = db.get(DirectoryUser, user_id, populate_existing=True)
    if row is None:
        raise AwaitedDataError(f"directory has no user {user_id}")
    if is_of_service(row.email, sender.mailbox.address):
        raise AwaitedDataError(f"directory gives user {user_id} the address of the service itself")
    if not is_usable(row.email):
        raise AwaitedDataError(f"directory gives user {user_id} an address that no mail can reach")
    return MailRecipient(
        mailbox=Mailbox(one_line(row.name), row.email),
        time_zone=zone_of(row.time_zone, policies.default_time_zone),
        language=language_of(row.language, policies.default_language),
    )


def counterpart_name(db: Session, user_id: UUID, language: Language) -> str:
    """The name of the other side as a reader of this language sees it, also while nobody knows it.

    The mail of one side depends on that side's own entry alone.
    """
    name = db.execute(select(DirectoryUser.name).where(DirectoryUser.user_id == user_id)).scalar_one_or_none()
    if name and one_line(name):
        return one_line(name)
    is_forgotten = db.get(ForgottenPerson, user_id) is not None
    return render_text("forgotten_name" if is_forgotten else "unknown_name", language)


def calendar_copy(
    db: Session, sender: Sender, session: ScheduledSession, recipient: UUID, policies: Policies
) -> CalendarCopy:
    """A consultation as the recipient may see it. Raises AwaitedDataError as `mail_recipient` does."""
    return copy_for(db, session, recipient, mail_recipient(db, sender, recipient, policies))


def copy_for(db: Session, session: ScheduledSession, recipient: UUID, reader: MailRecipient) -> CalendarCopy:
    """A consultation as a person may see it, written to `reader`, at whatever address that is."""
    is_requester = recipient == session.requester_user_id
    other = session.consultant_user_id if is_requester else session.requester_user_id
    return CalendarCopy(
        session_id=session.id,
        revision=session.revision,
        revised_at=session.revised_at,
        created_at=session.created_at,
        start=session.scheduled_start_time,
        end=session.scheduled_end_time,
        service=service_name(db, session.consultation_service_type_id),
        recipient=reader,
        counterpart=counterpart_name(db, other, reader.language),
        join_url=session.meeting_platform_join_url,
        details=None if is_requester else request_details(db, session.consultation_request_id),
    )


def session_times(db: Session, session_id: UUID) -> tuple[datetime | None, datetime | None]:
    """The agreed start and end of a session."""
    session = db.get(ScheduledSession, session_id)
    return (None, None) if session is None else (session.scheduled_start_time, session.scheduled_end_time)


def absence_step_state(db: Session, session_id: UUID) -> str | None:
    """The state of the absence plan's step that changes the session, `applied` or `offered`, or None.

    A step that was overtaken by a change of the session changes nothing any more.
    """
    return db.execute(
        select(AbsencePlanStep.state)
        .join(AvailabilitySlot, AvailabilitySlot.id == AbsencePlanStep.booking_id)
        .where(
            AbsencePlanStep.scheduled_session_id == session_id,
            AbsencePlanStep.state.in_((StepState.APPLIED, StepState.OFFERED)),
        )
    ).scalar_one_or_none()


def service_name(db: Session, service_type_id: UUID) -> str:
    """The name of a service type."""
    return db.execute(select(ServiceType.name).where(ServiceType.id == service_type_id)).scalar_one()


def request_details(db: Session, request_id: UUID) -> str | None:
    """The requester's description of the request."""
    return db.execute(
        select(ConsultationRequest.request_details).where(ConsultationRequest.id == request_id)
    ).scalar_one()
