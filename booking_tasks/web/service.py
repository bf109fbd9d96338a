"""The content of the pages behind signed links."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import Resolution
from booking_tasks.invites.store import held_time, offer, request
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.calendar_copy import MailRecipient, Sender
from booking_tasks.mail.dates import instant_text, span_text
from booking_tasks.mail.render import one_line
from booking_tasks.mail.store import counterpart_name, mail_recipient, service_name
from booking_tasks.offers.rules import effective_state
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, confirmation_request


@dataclass(frozen=True)
class ConfirmationView:
    """A confirmation request for its consultant; times are texts in the reader's zone and language."""

    confirmation: ConfirmationRequest
    reader: MailRecipient
    resolution: Resolution
    service: str
    counterpart: str
    when: str | None = None
    until: str | None = None
    details: str | None = None


@dataclass(frozen=True)
class OfferView:
    """An offer for its requester; `state` is its effective state at this time."""

    request_id: UUID
    hold_token: UUID
    reader: MailRecipient
    state: str
    service: str
    counterpart: str
    when: str
    until: str


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
    )


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
    )
