"""The answer to an offer of time for a waiting request: commands of the booking queue."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from booking_tasks.contracts.base import Command, Outcome, PublicQueue, Reason
from booking_tasks.contracts.holds import HoldOutcome
from booking_tasks.enums import RefusalCode

OfferCode = Literal[
    RefusalCode.UNKNOWN_OFFER,
    RefusalCode.OFFER_EXPIRED,
    RefusalCode.OFFER_OVER,
]


class AcceptOffer(Command[HoldOutcome[OfferCode]]):
    """Accept the time that was offered to a waiting request; it is booked at once.

    If the consultant must confirm, they are asked and the time stays held. The token is in the event
    `request.offered`. Codes: `unknown_offer`, `offer_expired` (nobody answered in time; the
    request continues to wait), `offer_over` (declined, or the request ended).
    """

    task: ClassVar[str] = "accept_offer"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[OfferCode]

    request_id: UUID
    hold_token: UUID


class DeclineOffer(Command[HoldOutcome[OfferCode]]):
    """Decline the offered time; the request continues to wait and is not offered this start again.

    Codes: `unknown_offer`, `offer_expired`, `offer_over` (accepted, or the request ended).
    """

    task: ClassVar[str] = "decline_offer"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[OfferCode]

    request_id: UUID
    hold_token: UUID
    reason: Reason | None = None
