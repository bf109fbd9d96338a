"""Giving sessions to others: messages of the admin queue."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from booking_tasks.contracts.base import Command, Outcome, Queue, Reason
from booking_tasks.contracts.booking import SessionOutcome


class ReassignOutcome(SessionOutcome):
    """The session as it stands now, and whose it is."""

    consultant_user_id: UUID | None = None


class ReassignSession(Command[ReassignOutcome]):
    """Give a session to another consultant at the same time; without one, to the best who can.

    It stays the same session: its row, its UID and its room. The start stays; how long it lasts is the new
    consultant's policy. A consultant who is named takes it on the operator's word and is not asked, also
    where they confirm bookings themselves; without a name nobody is chosen who confirms, or with whom it
    would last another time. `already_done`: it is theirs already.

    Codes when refused: `unknown_session`, `already_started`, `already_ended`, `unknown_consultant`; why the
    consultant is no candidate for the request, as the assignment says it (`is_the_requester`,
    `not_available_for_booking`, `missing_specialization`, `excluded` and its others); why the time is not
    theirs (`slot_taken`, `slot_not_free`, `requester_busy`, `notice_too_short`, `beyond_horizon`,
    `limit_reached`); `nobody_can` (no consultant was named and none is able). A refused one leaves the
    session where it was.
    """

    task: ClassVar[str] = "reassign_session"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = ReassignOutcome

    session_id: UUID
    consultant_user_id: UUID | None = None
    reason: Reason
