"""The content of the pages behind signed links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import OfferState, Resolution
from booking_tasks.invites.rules import proposal_state
from booking_tasks.invites.store import cancelled_at, held_time, offer, proposal, request
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.calendar_copy import MailRecipient, Sender
from booking_tasks.mail.dates import instant_text, span_text
from booking_tasks.mail.render import one_line
from booking_tasks.mail.store import counterpart_name, mail_recipient, service_name
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.offers.rules import effective_state
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, confirmation_request
from booking_tasks.states import CANCELLED

#: What became of an accepted time since: it has another time, another consultant, or was cancelled.
Later = Literal["moved", "reassigned", "cancelled"]


@dataclass(frozen=True)
class ConfirmationView:
    """A confirmation request for its consultant; times are texts in the reader's zone and language.

    `later` says what became of an accepted one since, and `when_now` is the time that it has now.
    """

    confirmation: ConfirmationRequest
    reader: MailRecipient
    resolution: Resolution
    service: str
    counterpart: str
    when: str | None = None
    until: str | None = None
    details: str | None = None
    later: Later | None = None
    when_now: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.resolution == Resolution.OPEN

    @property
    def is_unanswered(self) -> bool:
        """Whether its time ended without an answer."""
        return self.resolution == Resolution.UNANSWERED


@dataclass(frozen=True)
class OfferView:
    """An offer, or a proposal of another time, for its requester; `state` is its state at this time.

    `before` is the agreed time that a proposal replaces; `later` and `when_now` are as in ConfirmationView.
    """

    request_id: UUID
    hold_token: UUID | None
    reader: MailRecipient
    state: str
    service: str
    counterpart: str
    when: str
    until: str
    before: str | None = None
    later: Later | None = None
    when_now: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state == OfferState.OPEN

    @property
    def is_unanswered(self) -> bool:
        """Whether its time ended without an answer."""
        return self.state == OfferState.LAPSED


def offer_view(db: Session, ctx: Context, sender: Sender, grant: Grant) -> OfferView | None:
    """Return the offer of a link, or None when this person has no such offer.

    Raises AwaitedDataError while the directory has no entry of this person.
    """
    found = offer(db, grant.subject)
    about = request(db, found.consultation_request_id) if found is not None else None
    if found is None or about is None or about.requester_user_id != grant.person:
        return None
    reader = mail_recipient(db, sender, grant.person, ctx.policies)
    zone, language = reader.time_zone, reader.language
    return OfferView(
        request_id=about.id,
        hold_token=found.hold_token,
        reader=reader,
        state=effective_state(found.state, found.offered_until, ctx.now),
        service=one_line(service_name(db, about.consultation_service_type_id)),
        counterpart=counterpart_name(db, found.consultant_user_id, language),
        when=span_text(found.start_time, found.end_time, zone, language),
        until=instant_text(found.offered_until, zone, language),
        **_since(db, about, found.state == OfferState.ACCEPTED, (found.start_time, found.end_time), reader),
    )


def proposal_view(db: Session, ctx: Context, sender: Sender, grant: Grant) -> OfferView | None:
    """Return the proposal of another time of a link, or None when this person has no such proposal.

    Raises AwaitedDataError while the directory has no entry of this person.
    """
    found = proposal(db, grant.subject)
    session = None if found is None else db.get(ScheduledSession, found.scheduled_session_id)
    about = None if session is None else request(db, session.consultation_request_id)
    if found is None or session is None or about is None or about.requester_user_id != grant.person:
        return None
    who, start, end, until = found.consultant_user_id, found.start_time, found.end_time, found.answer_by
    if who is None or start is None or end is None or until is None:
        return None
    reader = mail_recipient(db, sender, grant.person, ctx.policies)
    zone, language = reader.time_zone, reader.language
    state = proposal_state(found.state, until, cancelled_at(db, session.id), ctx.now)
    agreed = session.scheduled_start_time, session.scheduled_end_time
    return OfferView(
        request_id=about.id,
        hold_token=None,
        reader=reader,
        state=state,
        service=one_line(service_name(db, about.consultation_service_type_id)),
        counterpart=counterpart_name(db, who, language),
        when=span_text(start, end, zone, language),
        until=instant_text(until, zone, language),
        before=span_text(*agreed, zone, language) if state == OfferState.OPEN else None,
        **_since(db, about, state == OfferState.ACCEPTED, (start, end), reader),
    )


def _since(
    db: Session,
    about: ConsultationRequest,
    is_accepted: bool,
    accepted: tuple[datetime | None, datetime | None],
    reader: MailRecipient,
    consultant: UUID | None = None,
) -> dict[str, Any]:
    """Return what became of an accepted time: the fields `later` and `when_now` of a view.

    `consultant` is the reader, if the reader is one: the session may have another consultant now.
    """
    session = db.get(ScheduledSession, about.scheduled_session_id) if about.scheduled_session_id else None
    if not is_accepted or session is None:
        return {}
    now = session.scheduled_start_time, session.scheduled_end_time
    later: Later | None = None
    if consultant is not None and session.consultant_user_id != consultant:
        later = "reassigned"
    elif session.status in CANCELLED:
        later = "cancelled"
    elif now != accepted:
        later = "moved"
    return {
        "later": later,
        "when_now": span_text(*now, reader.time_zone, reader.language) if later == "moved" else None,
    }


def confirmation_view(db: Session, ctx: Context, sender: Sender, grant: Grant) -> ConfirmationView | None:
    """Return the confirmation request of a link, or None when this consultant has no such request.

    Raises AwaitedDataError while the directory has no entry of this person.
    """
    found = confirmation_request(db, grant.subject)
    about = request(db, found.request_id) if found is not None else None
    if found is None or about is None or found.consultant_user_id != grant.person:
        return None
    reader = mail_recipient(db, sender, grant.person, ctx.policies)
    held = held_time(db, about.id, grant.person) if found.resolution == Resolution.OPEN else None
    is_held = held is not None and held.until > ctx.now
    zone, language = reader.time_zone, reader.language
    start, end = (held.start, held.end) if held else (found.start, found.end)
    return ConfirmationView(
        confirmation=found,
        reader=reader,
        resolution=Resolution.UNANSWERED
        if found.resolution == Resolution.OPEN and not is_held
        else found.resolution,
        service=one_line(service_name(db, about.consultation_service_type_id)),
        counterpart=counterpart_name(db, about.requester_user_id, language),
        when=span_text(start, end, zone, language) if start and end else None,
        until=instant_text(held.until, zone, language) if held else None,
        details=about.request_details,
        **_since(
            db,
            about,
            found.resolution == Resolution.ACCEPTED,
            (found.start, found.end),
            reader,
            consultant=grant.person,
        ),
    )
