"""The statements that stay allowed: name -> what one transaction may do."""

from __future__ import annotations

from tests.place.world import (
    ADA,
    BEN,
    BLOCK,
    BOOKING,
    BOOKING_OF_CEM,
    CEM,
    COMPLETED,
    HELD_FOR_QUIN,
    HOLD,
    KEPT,
    NEW,
    OF_CEM,
    OF_PIA,
    PIA,
    QUIN,
    REQUEST,
    REQUEST_COMPLETED,
    REQUEST_OF_CEM,
    RUBY,
    SCHEDULED,
    WINDOW,
    at,
    block,
    booking,
    hold,
    session,
    uid,
    window,
)


def _delete(slot: str) -> str:
    return f"DELETE FROM consultant_availability_slots WHERE id = {slot}"


def _sessions(values: str, session_id: str = SCHEDULED) -> str:
    return f"UPDATE scheduled_sessions SET {values} WHERE id = {session_id}"


def _moved(hour: int) -> tuple[str, ...]:
    """Session and booking moved, by a new booking as the service moves it."""
    return (
        _delete(BOOKING),
        booking(SCHEDULED, REQUEST, PIA, ADA, at(hour), at(hour + 1), BOOKING),
        _sessions(f"scheduled_start_time = {at(hour)}, scheduled_end_time = {at(hour + 1)}"),
    )


_CANCELLED = (
    _delete(BOOKING),
    _sessions("status = 'cancelled_by_user'"),
    f"UPDATE consultation_requests SET status = 'cancelled' WHERE id = {REQUEST}",
)
_BOOKED_FROM_HOLD = (
    _delete(HOLD),
    session(NEW, HELD_FOR_QUIN, QUIN, ADA, at(15), at(16)),
    f"UPDATE consultation_requests SET status = 'scheduled', scheduled_session_id = {NEW}"
    f" WHERE id = {HELD_FOR_QUIN}",
    booking(NEW, HELD_FOR_QUIN, QUIN, ADA, at(15), at(16)),
)
_SUBSTITUTE = (
    _delete(BOOKING),
    booking(SCHEDULED, REQUEST, PIA, CEM, at(12), at(13)),
    _delete(NEW),
    booking(SCHEDULED, REQUEST, PIA, ADA, at(10), at(11), BOOKING),
)
_TO_BEN = (
    _delete(BOOKING_OF_CEM),
    _delete(BOOKING),
    booking(SCHEDULED, REQUEST, PIA, BEN, at(10), at(11), BOOKING),
    _sessions(f"substitute_user_id = {BEN}"),
    block(at(10), at(11)),
    _sessions("status = 'cancelled_by_user'", OF_CEM),
)

LEGAL: dict[str, tuple[str, ...]] = {
    "book a pending request": (session(), booking()),
    "book in any order": (booking(), session()),
    "move both": _moved(12),
    "move both within the old time": (
        _delete(BOOKING),
        booking(SCHEDULED, REQUEST, PIA, ADA, at(10, 15), at(11, 15), BOOKING),
        _sessions(f"scheduled_start_time = {at(10, 15)}, scheduled_end_time = {at(11, 15)}"),
    ),
    "move both by two updates": (
        f"UPDATE consultant_availability_slots SET start_time = {at(12)}, end_time = {at(13)},"
        f" session_start_time = {at(12)}, session_end_time = {at(13)} WHERE id = {BOOKING}",
        _sessions(f"scheduled_start_time = {at(12)}, scheduled_end_time = {at(13)}"),
    ),
    "move there and back": (*_moved(12), *_moved(10)),
    "move a completed session with its booking": (
        f"UPDATE consultant_availability_slots SET session_start_time = {at(8, 5)} WHERE id = {uid(52)}",
        _sessions(f"scheduled_start_time = {at(8, 5)}", COMPLETED),
    ),
    "two sessions swap their times": (
        _delete(BOOKING),
        _delete(BOOKING_OF_CEM),
        booking(SCHEDULED, REQUEST, PIA, ADA, at(12), at(13), BOOKING),
        booking(OF_CEM, REQUEST_OF_CEM, CEM, BEN, at(13), at(14), BOOKING_OF_CEM),
        _sessions(f"scheduled_start_time = {at(12)}, scheduled_end_time = {at(13)}"),
        _sessions(f"scheduled_start_time = {at(13)}, scheduled_end_time = {at(14)}", OF_CEM),
    ),
    "two sessions swap their consultants": (
        _delete(BOOKING),
        _delete(BOOKING_OF_CEM),
        booking(SCHEDULED, REQUEST, PIA, BEN, at(10), at(11), BOOKING),
        booking(OF_CEM, REQUEST_OF_CEM, CEM, ADA, at(10), at(11), BOOKING_OF_CEM),
        _sessions(f"consultant_user_id = {BEN}"),
        _sessions(f"consultant_user_id = {ADA}", OF_CEM),
    ),
    "cancel with the booking": _CANCELLED,
    "cancel, and take the time again": (
        *_CANCELLED,
        session(start=at(10), end=at(11)),
        booking(start=at(10), end=at(11)),
    ),
    "book a held start for its request": _BOOKED_FROM_HOLD,
    "book a held start and cancel it at once": (
        *_BOOKED_FROM_HOLD,
        _delete(NEW),
        _sessions("status = 'cancelled_by_user'", NEW),
        f"UPDATE consultation_requests SET status = 'cancelled' WHERE id = {HELD_FOR_QUIN}",
    ),
    "prolong a hold": (f"UPDATE consultant_availability_slots SET held_until = {at(10)} WHERE id = {HOLD}",),
    "release a hold and hold again": (_delete(HOLD), hold(start=at(15), end=at(16))),
    "hold behind a buffer": (hold(start=at(11, 10), end=at(12)),),
    "hold a requester back to back": (hold(CEM, PIA, at(11), at(12)),),
    "hold a consultant behind a session that they requested": (hold(CEM, RUBY, at(11), at(12)),),
    "another consultant and back": _SUBSTITUTE,
    "a substitute for an absence": _TO_BEN,
    "a substitute, announced": (
        *_TO_BEN,
        _delete(NEW),
        _sessions(f"consultant_user_id = {BEN}, substitute_user_id = NULL"),
    ),
    "a substitute, undone": (
        *_TO_BEN,
        _delete(NEW),
        _delete(BOOKING),
        booking(SCHEDULED, REQUEST, PIA, ADA, at(10), at(11), BOOKING, at(11, 10)),
        _sessions("substitute_user_id = NULL"),
    ),
    "begin, end and correct a session": (
        _sessions("status = 'in_progress'"),
        _sessions("status = 'attendance_unknown'"),
        _sessions("status = 'no_show_user'"),
        _sessions("status = 'completed'"),
        f"UPDATE consultation_requests SET status = 'completed' WHERE id = {REQUEST}",
    ),
    "write a status that is there": (_sessions("status = 'completed'", COMPLETED),),
    "a request waits, is asked about, waits again and ends": tuple(
        f"UPDATE consultation_requests SET status = '{one}' WHERE id = {OF_PIA}"
        for one in ("pending_assignment", "pending_confirmation", "pending_assignment", "rejected")
    ),
    "a window and a block over a booking": (
        _delete(WINDOW),
        window(at(10), at(12)),
        block(at(10), at(11), "leave", uid(98)),
    ),
    "move a block by hand over a booking": (
        f"UPDATE consultant_availability_slots SET start_time = {at(10)}, end_time = {at(11)}"
        f" WHERE id = {BLOCK}",
    ),
    "book a kept time once it is given up": (
        _delete(KEPT),
        session(start=at(17), end=at(18)),
        booking(start=at(17), end=at(18)),
    ),
    "remove what a person wrote": (
        f"UPDATE consultation_requests SET request_details = NULL, status_reason = NULL WHERE id = {REQUEST}",
        _sessions("outcome_notes = NULL, status_reason = NULL"),
    ),
    "replace a requester everywhere": tuple(
        f"UPDATE {table} SET requester_user_id = {NEW} WHERE requester_user_id = {QUIN}"
        for table in ("consultation_requests", "scheduled_sessions", "consultant_availability_slots")
    ),
    "delete a cancelled session with its request": (
        f"UPDATE consultation_requests SET scheduled_session_id = NULL WHERE id = {uid(43)}",
        f"DELETE FROM scheduled_sessions WHERE id = {uid(33)}",
        f"DELETE FROM consultation_requests WHERE id = {uid(43)}",
    ),
    "delete a completed session with all that is its own": (
        f"UPDATE consultation_requests SET scheduled_session_id = NULL WHERE id = {REQUEST_COMPLETED}",
        _delete(uid(52)),
        f"DELETE FROM scheduled_sessions WHERE id = {COMPLETED}",
        f"DELETE FROM consultation_requests WHERE id = {REQUEST_COMPLETED}",
    ),
}
