"""The statements that the database refuses: name -> statements, and the SQLSTATE that ends them."""

from __future__ import annotations

from tests.place.guarded_tables import TABLES
from tests.place.world import (
    ADA,
    BEN,
    BOOKING,
    BOOKING_COMPLETED,
    CANCELLED,
    CEM,
    CHECK,
    COMPLETED,
    EXCLUSION,
    FOREIGN_KEY,
    GENERATED,
    HELD_FOR_QUIN,
    HOLD,
    KEPT,
    NEW,
    OF_PIA,
    PIA,
    QUIN,
    REQUEST,
    REQUEST_CANCELLED,
    REQUEST_COMPLETED,
    RUBY,
    SCHEDULED,
    TYPE,
    UNIQUE,
    WAITS_FOR_CEM,
    WINDOW,
    Attack,
    at,
    block,
    booking,
    hold,
    session,
    uid,
)


def _sessions(values: str, session_id: str = SCHEDULED) -> str:
    return f"UPDATE scheduled_sessions SET {values} WHERE id = {session_id}"


def _slots(values: str, slot: str = BOOKING) -> str:
    return f"UPDATE consultant_availability_slots SET {values} WHERE id = {slot}"


def _requests(values: str, request: str) -> str:
    return f"UPDATE consultation_requests SET {values} WHERE id = {request}"


def _delete(slot: str) -> str:
    return f"DELETE FROM consultant_availability_slots WHERE id = {slot}"


_NO_RESERVATION = (
    "consultation_request_id = NULL, scheduled_session_id = NULL, requester_user_id = NULL,"
    " session_start_time = NULL, session_end_time = NULL"
)
_MOVED = (
    f"start_time = {at(12)}, end_time = {at(13)}, session_start_time = {at(12)}, session_end_time = {at(13)}"
)

#: A session and its booking say the same, or nothing is committed.
SESSIONS: dict[str, Attack] = {
    "insert a session without a booking": ((session(),), FOREIGN_KEY),
    "insert a session and a booking at another time": (
        (session(), booking(start=at(13), end=at(14))),
        FOREIGN_KEY,
    ),
    "insert a session and a shorter booking": ((session(), booking(end=at(12, 30))), FOREIGN_KEY),
    "insert a session and a booking of another consultant": (
        (session(), booking(consultant=BEN)),
        FOREIGN_KEY,
    ),
    "insert a session and a booking of another requester": (
        (session(), booking(requester=QUIN)),
        FOREIGN_KEY,
    ),
    "insert a session with the hold of another request": (
        (session(request=HELD_FOR_QUIN, requester=QUIN, start=at(15), end=at(16)),),
        FOREIGN_KEY,
    ),
    "insert a session over a booked one, without a booking": (
        (session(start=at(10, 30), end=at(11, 30)),),
        FOREIGN_KEY,
    ),
    "move a session alone": ((_sessions(f"scheduled_start_time = {at(9)}"),), FOREIGN_KEY),
    "lengthen a session alone": ((_sessions(f"scheduled_end_time = {at(13)}"),), FOREIGN_KEY),
    "write another consultant into a session": ((_sessions(f"consultant_user_id = {BEN}"),), FOREIGN_KEY),
    "write another requester into a session": ((_sessions(f"requester_user_id = {QUIN}"),), FOREIGN_KEY),
    "write a substitute into a session alone": ((_sessions(f"substitute_user_id = {BEN}"),), FOREIGN_KEY),
    "move a completed session": (
        (_sessions(f"scheduled_start_time = {at(7)}", COMPLETED),),
        FOREIGN_KEY,
    ),
    "write another consultant into a completed session": (
        (_sessions(f"consultant_user_id = {ADA}", COMPLETED),),
        FOREIGN_KEY,
    ),
    "give a session another id": ((_sessions(f"id = {NEW}"),), FOREIGN_KEY),
    "set the live id of a session": ((_sessions("live_id = NULL"),), GENERATED),
    "set the serving consultant of a session": ((_sessions(f"serving_user_id = {BEN}"),), GENERATED),
    "delete a session": ((f"DELETE FROM scheduled_sessions WHERE id = {SCHEDULED}",), FOREIGN_KEY),
    "delete a session and its booking": (
        (_delete(BOOKING), f"DELETE FROM scheduled_sessions WHERE id = {SCHEDULED}"),
        FOREIGN_KEY,
    ),
    "cancel a session and leave its booking": ((_sessions("status = 'cancelled_by_user'"),), FOREIGN_KEY),
    "cancel a session for its consultant and leave its booking": (
        (_sessions("status = 'cancelled_by_consultant'"),),
        FOREIGN_KEY,
    ),
}

BOOKINGS: dict[str, Attack] = {
    "delete the booking of a session": ((_delete(BOOKING),), FOREIGN_KEY),
    "delete the booking of a completed session": ((_delete(BOOKING_COMPLETED),), FOREIGN_KEY),
    "delete the booking and hold its time": (
        (_delete(BOOKING), hold(start=at(10), end=at(11))),
        FOREIGN_KEY,
    ),
    "delete the booking and insert one at another time": (
        (_delete(BOOKING), booking(SCHEDULED, REQUEST, PIA, ADA, at(12), at(13))),
        FOREIGN_KEY,
    ),
    "delete the booking and insert one of another consultant": (
        (_delete(BOOKING), booking(SCHEDULED, REQUEST, PIA, CEM, at(9), at(10))),
        FOREIGN_KEY,
    ),
    "make a block of a booking": (
        (_slots(f"status = 'unavailable', source = 'manual', {_NO_RESERVATION}"),),
        FOREIGN_KEY,
    ),
    "make a kept time of a booking": (
        (_slots(f"status = 'unavailable', source = 'absence', {_NO_RESERVATION}"),),
        FOREIGN_KEY,
    ),
    "make a window of a booking of somebody without windows": (
        (_slots(f"status = 'available', consultant_user_id = {CEM}, {_NO_RESERVATION}"),),
        FOREIGN_KEY,
    ),
    "make a hold of a booking": (
        (_slots(f"status = 'held', held_until = {at(9)}, hold_token = {NEW}, scheduled_session_id = NULL"),),
        FOREIGN_KEY,
    ),
    "make a hold of a booking that keeps its session": (
        (_slots(f"status = 'held', held_until = {at(9)}, hold_token = {NEW}"),),
        CHECK,
    ),
    "insert a hold that names a session": (
        (
            "INSERT INTO consultant_availability_slots (id, consultant_user_id, start_time, end_time, status,"
            " consultation_request_id, scheduled_session_id, requester_user_id, session_start_time,"
            f" session_end_time, held_until, hold_token) VALUES ({NEW}, {CEM}, {at(6)}, {at(7)}, 'held',"
            f" {OF_PIA}, {CANCELLED}, {PIA}, {at(6)}, {at(7)}, {at(9)}, {NEW})",
        ),
        CHECK,
    ),
    "move a booking alone": ((_slots(_MOVED),), FOREIGN_KEY),
    "shorten a booking alone": ((_slots(f"session_end_time = {at(10, 30)}"),), FOREIGN_KEY),
    "write another consultant into a booking": (
        (_slots(f"consultant_user_id = {ADA}", BOOKING_COMPLETED),),
        FOREIGN_KEY,
    ),
    "write another consultant into a booking and move both": (
        (
            _slots(f"consultant_user_id = {CEM}, {_MOVED}"),
            _sessions(f"scheduled_start_time = {at(12)}, scheduled_end_time = {at(13)}"),
        ),
        FOREIGN_KEY,
    ),
    "write another requester into a booking": ((_slots(f"requester_user_id = {RUBY}"),), FOREIGN_KEY),
    "give a booking to another session": ((_slots(f"scheduled_session_id = {COMPLETED}"),), UNIQUE),
    "give a booking to a cancelled session": ((_slots(f"scheduled_session_id = {CANCELLED}"),), FOREIGN_KEY),
    "take the session out of a booking": ((_slots("scheduled_session_id = NULL"),), CHECK),
    "insert a second booking of a session": (
        (booking(SCHEDULED, REQUEST, PIA, ADA, at(12), at(13)),),
        UNIQUE,
    ),
    "insert a booking of a cancelled session": (
        (booking(CANCELLED, REQUEST_CANCELLED, PIA, ADA, at(14), at(15)),),
        FOREIGN_KEY,
    ),
    "insert a booking of no session": ((booking(uid(98)),), FOREIGN_KEY),
    "move session and booking apart in one statement": (
        (
            f"WITH moved AS ({_slots(_MOVED)})"
            f" UPDATE scheduled_sessions SET scheduled_start_time = {at(13)}, scheduled_end_time = {at(14)}"
            f" WHERE id = {SCHEDULED}",
        ),
        FOREIGN_KEY,
    ),
}

#: Nobody is in two places, in whatever roles.
PLACES: dict[str, Attack] = {
    "hold a consultant twice": ((hold(start=at(10), end=at(11)),), EXCLUSION),
    "hold a consultant in a buffer": ((hold(start=at(11), end=at(12)),), EXCLUSION),
    "hold a requester twice": ((hold(CEM, PIA, at(10, 30), at(11, 30)),), EXCLUSION),
    "hold a requester who serves a session then": ((hold(CEM, ADA, at(10), at(11)),), EXCLUSION),
    "hold a consultant who requested a session then": ((hold(CEM, RUBY, at(10), at(11)),), EXCLUSION),
    "hold a requester who is held as consultant": ((hold(BEN, ADA, at(15, 30), at(16, 30)),), EXCLUSION),
    "hold a consultant who is held as requester": (
        (hold(CEM, BEN, at(12), at(13)), hold(BEN, RUBY, at(12, 30), at(13, 30), slot=uid(98))),
        EXCLUSION,
    ),
    "hold one person in both roles": ((hold(ADA, ADA),), EXCLUSION),
    "book one person in both roles": (
        (session(requester=ADA), booking(requester=ADA)),
        EXCLUSION,
    ),
    "book a consultant twice": (
        (session(start=at(10), end=at(11)), booking(start=at(10), end=at(11))),
        EXCLUSION,
    ),
    "book a requester twice": (
        (
            session(request=OF_PIA, requester=PIA, consultant=CEM, start=at(10), end=at(11)),
            booking(request=OF_PIA, requester=PIA, consultant=CEM, start=at(10), end=at(11)),
        ),
        EXCLUSION,
    ),
    "book a consultant who requested a session then": (
        (
            session(consultant=CEM, start=at(10, 45), end=at(11, 45)),
            booking(consultant=CEM, start=at(10, 45), end=at(11, 45)),
        ),
        EXCLUSION,
    ),
    "book a held start for another request": (
        (session(start=at(15), end=at(16)), booking(start=at(15), end=at(16))),
        EXCLUSION,
    ),
    "move a hold over a booking": (
        (
            _slots(
                f"start_time = {at(10)}, end_time = {at(11)}, session_start_time = {at(10)},"
                f" session_end_time = {at(11)}",
                HOLD,
            ),
        ),
        EXCLUSION,
    ),
    "lengthen a hold over a kept time": ((_slots(f"end_time = {at(17, 30)}", HOLD),), EXCLUSION),
    "write a requester into a hold who serves a session then": (
        (hold(CEM, RUBY, at(8), at(9)), _slots(f"requester_user_id = {BEN}", NEW)),
        EXCLUSION,
    ),
    "write a consultant into a hold who requested a session then": (
        (hold(ADA, RUBY, at(8), at(9)), _slots(f"consultant_user_id = {BEN}", NEW)),
        EXCLUSION,
    ),
    "move session and booking over another one": (
        (
            _sessions(f"scheduled_start_time = {at(15)}, scheduled_end_time = {at(16)}"),
            _slots(
                f"start_time = {at(15)}, end_time = {at(16)}, session_start_time = {at(15)},"
                f" session_end_time = {at(16)}"
            ),
        ),
        EXCLUSION,
    ),
    "hold a kept time": ((hold(start=at(17), end=at(18)),), EXCLUSION),
    "hold somebody as requester in their kept time": ((hold(BEN, ADA, at(17), at(18)),), EXCLUSION),
    "keep a booked time": ((block(at(10), at(11)),), EXCLUSION),
    "move a kept time over a booking": (
        (_slots(f"start_time = {at(10)}, end_time = {at(11)}", KEPT),),
        EXCLUSION,
    ),
    "make a kept time of a block over a booking": (
        (block(at(10), at(11), "manual"), _slots("source = 'absence'", NEW)),
        EXCLUSION,
    ),
    "make a hold of a block over a booking": (
        (
            block(at(10), at(11), "manual"),
            _slots(
                f"status = 'held', consultation_request_id = {OF_PIA}, requester_user_id = {RUBY},"
                f" session_start_time = {at(10)}, session_end_time = {at(11)}, held_until = {at(9)},"
                f" hold_token = {NEW}",
                NEW,
            ),
        ),
        EXCLUSION,
    ),
    "make a hold of a window over a booking": (
        (
            _slots(
                f"status = 'held', consultation_request_id = {OF_PIA}, requester_user_id = {RUBY},"
                f" session_start_time = {at(10)}, session_end_time = {at(11)}, held_until = {at(9)},"
                f" hold_token = {NEW}",
                WINDOW,
            ),
        ),
        EXCLUSION,
    ),
}

#: A status changes by an allowed step.
STEPS: dict[str, Attack] = {
    "complete a session that has not begun": ((_sessions("status = 'completed'"),), CHECK),
    "miss a session that has not begun": ((_sessions("status = 'no_show_user'"),), CHECK),
    "schedule a cancelled session": ((_sessions("status = 'scheduled'", CANCELLED),), CHECK),
    "schedule a cancelled session again, with a booking": (
        (
            _sessions("status = 'scheduled'", CANCELLED),
            booking(CANCELLED, REQUEST_CANCELLED, PIA, ADA, at(14), at(15)),
        ),
        CHECK,
    ),
    "schedule a completed session": ((_sessions("status = 'scheduled'", COMPLETED),), CHECK),
    "begin a completed session again": ((_sessions("status = 'in_progress'", COMPLETED),), CHECK),
    "cancel a completed session": (
        (_delete(BOOKING_COMPLETED), _sessions("status = 'cancelled_by_user'", COMPLETED)),
        CHECK,
    ),
    "cancel a session that has begun": (
        (
            _delete(BOOKING),
            _sessions("status = 'in_progress'"),
            _sessions("status = 'cancelled_by_user'"),
        ),
        CHECK,
    ),
    "set a status that does not exist": ((_sessions("status = 'lost'"),), CHECK),
    **{
        f"insert a session that is {status}": ((session(status=status), booking()), CHECK)
        for status in ("in_progress", "completed", "cancelled_by_user", "attendance_unknown")
    },
    "insert a session, or change its status": (
        (
            f"{session(SCHEDULED, REQUEST, PIA, ADA, at(10), at(11))}"
            " ON CONFLICT (id) DO UPDATE SET status = 'completed'",
        ),
        CHECK,
    ),
    "let a scheduled request wait": ((_requests("status = 'pending'", REQUEST),), CHECK),
    "reject a scheduled request": ((_requests("status = 'rejected'", REQUEST),), CHECK),
    "let a cancelled request wait": ((_requests("status = 'pending'", REQUEST_CANCELLED),), CHECK),
    "schedule a completed request": ((_requests("status = 'scheduled'", REQUEST_COMPLETED),), CHECK),
    "complete a request that waits": ((_requests("status = 'completed'", WAITS_FOR_CEM),), CHECK),
    **{
        f"insert a request that is {status}": (
            (
                "INSERT INTO consultation_requests"
                " (id, requester_user_id, consultation_service_type_id, status)"
                f" VALUES ({NEW}, {PIA}, {TYPE}, '{status}')",
            ),
            CHECK,
        )
        for status in ("pending_assignment", "pending_confirmation", "completed", "cancelled", "rejected")
    },
}

ATTACKS: dict[str, Attack] = {**SESSIONS, **BOOKINGS, **PLACES, **STEPS, **TABLES}
